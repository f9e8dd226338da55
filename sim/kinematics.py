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
