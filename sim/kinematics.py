"""Forward kinematics of the Franka Panda from its published Denavit-Hartenberg parameters.

The tests compare `arm.xml` and `gazebo/` with it.
"""

import numpy as np

JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
FINGERS = ("panda_finger_joint1", "panda_finger_joint2")

# Craig's convention, https://frankaemika.github.io/docs/control_parameters.html: a[i-1] m, d[i] m, alpha[i-1] rad.
DH = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
)
FLANGE = 0.107  # m, along the axis of joint 7


def flange_pose(q: np.ndarray) -> np.ndarray:
    """The pose [4, 4] of the flange (panda_link8) in the base frame, for the joint angles `q` [7] in rad."""
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(DH, q, strict=True):
        ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        pose = pose @ np.array(
            [
                [ct, -st, 0.0, a],
                [st * ca, ct * ca, -sa, -d * sa],
                [st * sa, ct * sa, ca, d * ca],
                [0.0, 0.0, 0.0, 1.0],
            ]
        )
    pose[:3, 3] += FLANGE * pose[:3, 2]
    return pose


TCP = 0.1034  # m, from the flange to the point between the fingertips, along the axis of joint 7
HAND_YAW = -np.pi / 4  # rad, of the hand about the axis of joint 7


def hand_frames(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For joint angles `q` [n, 7] in rad: the TCP [n, 3] in m, the rotation of the hand [n, 3, 3] and the Jacobian [n, 6, 7].

    The rows of the Jacobian are the linear velocity of the TCP (m/s) and the angular velocity of the hand (rad/s), in the
    base frame, for joint velocities in rad/s.
    """
    n = len(q)
    rotation = np.broadcast_to(np.eye(3), (n, 3, 3))
    position = np.zeros((n, 3))
    axes, origins = np.empty((n, 7, 3)), np.empty((n, 7, 3))
    for joint, (a, d, alpha) in enumerate(DH):
        ct, st = np.cos(q[:, joint]), np.sin(q[:, joint])
        ca, sa = np.cos(alpha), np.sin(alpha)
        local = np.zeros((n, 3, 3))
        local[:, 0, 0], local[:, 0, 1] = ct, -st
        local[:, 1, 0], local[:, 1, 1], local[:, 1, 2] = st * ca, ct * ca, -sa
        local[:, 2, 0], local[:, 2, 1], local[:, 2, 2] = st * sa, ct * sa, ca
        position = position + rotation @ np.array([a, -d * sa, d * ca])
        rotation = rotation @ local
        axes[:, joint], origins[:, joint] = rotation[:, :, 2], position
    tcp = position + (FLANGE + TCP) * rotation[:, :, 2]
    jacobian = np.concatenate([np.cross(axes, tcp[:, None] - origins), axes], axis=2).transpose(0, 2, 1)
    c, s = np.cos(HAND_YAW), np.sin(HAND_YAW)
    return tcp, rotation @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]), jacobian
