"""Inverse kinematics for the tests: where the arm has to be for the gripper to be somewhere."""

import numpy as np

from sim.kinematics import flange_pose
from sim.layouts import HOME, TCP_LENGTH


def pointing_down(target) -> np.ndarray:
    """Joint positions [7] with the TCP at `target` [3] and the hand pointing down, by damped least squares from home."""
    q = HOME.copy()
    for _ in range(200):
        tcp, axis = tcp_pose(q)
        error = np.concatenate([target - tcp, np.cross(axis, [0, 0, -1])])
        if np.linalg.norm(error) < 1e-4:
            return q
        error *= min(1, 0.05 / np.linalg.norm(error))  # small steps, to stay near home
        jacobian = np.empty((6, 7))
        for joint in range(7):
            moved_tcp, moved_axis = tcp_pose(q + 1e-5 * np.eye(7)[joint])
            jacobian[:, joint] = np.concatenate([moved_tcp - tcp, np.cross(axis, moved_axis)]) / 1e-5
        q = q + jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 1e-4 * np.eye(6), error)
    raise AssertionError(f"no solution at {target}")


def tcp_pose(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The position [3] of the TCP and the axis [3] along which the hand points."""
    pose = flange_pose(q)
    return pose[:3, 3] + TCP_LENGTH * pose[:3, 2], pose[:3, 2]
