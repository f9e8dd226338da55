"""Compares arm.xml with the published parameters of the Panda."""

import numpy as np
import pytest

from sim.arm import Arm
from sim.control import MAX_VELOCITY
from sim.gl import mujoco
from sim.kinematics import FINGERS, JOINTS, flange_pose

HOME = np.array([0, -0.785398, 0, -2.356194, 0, 1.570796, 0.785398])  # Franka's ready pose
LIMITS = [
    (-2.8973, 2.8973),
    (-1.7628, 1.7628),
    (-2.8973, 2.8973),
    (-3.0718, -0.0698),
    (-2.8973, 2.8973),
    (-0.0175, 3.7525),
    (-2.8973, 2.8973),
]


def poses():
    generator = np.random.default_rng(7)
    lower, upper = np.array(LIMITS).T
    return [np.zeros(7), HOME, *generator.uniform(lower, upper, (20, 7))]


@pytest.mark.parametrize("q", poses(), ids=lambda q: np.array2string(q, precision=2, separator=","))
def test_the_flange_has_the_pose_of_the_published_dh_parameters(q):
    arm = Arm()
    for name, angle in zip(JOINTS, q, strict=True):
        arm.data.joint(name).qpos[0] = angle
    mujoco.mj_kinematics(arm.model, arm.data)
    flange = arm.data.site("flange")
    expected = flange_pose(q)
    np.testing.assert_allclose(flange.xpos, expected[:3, 3], atol=1e-6)
    np.testing.assert_allclose(flange.xmat.reshape(3, 3), expected[:3, :3], atol=1e-6)


def test_the_zero_pose_is_the_documented_one():
    np.testing.assert_allclose(flange_pose(np.zeros(7))[:3, 3], [0.088, 0, 0.333 + 0.316 + 0.384 - 0.107], atol=1e-12)


def test_the_arm_starts_at_home_with_the_gripper_open():
    np.testing.assert_allclose(Arm().read().position, [*HOME, 0.04, 0.04], atol=1e-12)


def test_joint_and_velocity_limits_are_the_pandas():
    model = Arm().model
    for name, limits in zip(JOINTS, LIMITS, strict=True):
        np.testing.assert_array_equal(model.joint(name).range, limits)
    for name in FINGERS:
        np.testing.assert_array_equal(model.joint(name).range, [0, 0.04])
    np.testing.assert_array_equal(MAX_VELOCITY, [2.175] * 4 + [2.61] * 3)


def test_the_arm_holds_still_against_gravity():
    arm = Arm()
    arm.advance(0, 1_000_000_000, 300)
    np.testing.assert_allclose(arm.read().position[:7], HOME, atol=1e-4)


def test_both_fingers_follow_one_command():
    arm = Arm()
    arm.gripper.set_position([0.01], "gripper")
    arm.advance(0, 1_000_000_000, 300)
    np.testing.assert_allclose(arm.read().position[7:], [0.01, 0.01], atol=5e-4)


def test_the_blocks_rest_on_the_table():
    arm = Arm()
    arm.advance(0, 1_000_000_000, 300)
    for block in ("red_block", "green_block", "blue_block"):
        body = arm.data.body(block)
        assert 0.025 < body.xpos[2] < 0.029
        assert np.abs(arm.data.joint(arm.model.body(block).jntadr[0]).qvel).max() < 1e-3
