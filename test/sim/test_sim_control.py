"""The controllers: from commands to joint references."""

import numpy as np
import pytest

from sim.control import MAX_LEAD, ArmController, GripperController
from sim.errors import CommandRejected
from sim.kinematics import JOINTS

MS = 1_000_000
SECOND = 1000 * MS
START = np.array([0.1, 0.2, 0.3, -1.0, 0.5, 0.6, 0.7])
LOWER, UPPER = np.full(7, -2.0), np.full(7, 2.0)


def arm() -> ArmController:
    return ArmController(JOINTS, LOWER, UPPER, START)


def run(control: ArmController, begin: int, end: int, step: int = MS) -> np.ndarray:
    """The reference at `end`, for an arm that follows it exactly."""
    for now in range(begin + step, end + 1, step):
        control.advance(now, step / SECOND, control.reference)
    return control.reference


def ramp(*points, names=JOINTS):
    """Joint names and points of a trajectory. `points`: (time from its start in ns, positions)."""
    return names, [(time, list(values)) for time, values in points]


def test_holds_its_start_without_a_command():
    np.testing.assert_array_equal(run(arm(), 0, SECOND), START)


def test_a_velocity_lasts_until_the_next_one():
    control = arm()
    control.set_velocity([0.2, 0, 0, 0, 0, 0, -0.1], "v")
    np.testing.assert_allclose(run(control, 0, SECOND) - START, [0.2, 0, 0, 0, 0, 0, -0.1], atol=1e-9)
    control.set_velocity([0.0] * 7, "v")
    np.testing.assert_allclose(run(control, SECOND, 2 * SECOND) - START, [0.2, 0, 0, 0, 0, 0, -0.1], atol=1e-9)


def test_velocities_and_positions_stay_inside_the_limits():
    control = arm()
    control.set_velocity([50.0] * 7, "v")
    moved = run(control, 0, 100 * MS) - START
    np.testing.assert_allclose(moved, np.array([2.175] * 4 + [2.61] * 3) * 0.1, atol=1e-9)
    np.testing.assert_array_equal(run(control, 100 * MS, 5 * SECOND), UPPER)


def test_the_reference_leads_a_blocked_joint_by_at_most_max_lead():
    control = arm()
    control.set_velocity([1.0] + [0.0] * 6, "v")
    for now in range(MS, SECOND, MS):
        control.advance(now, 0.001, START)
    assert control.reference[0] == pytest.approx(START[0] + MAX_LEAD)


def test_a_trajectory_is_linear_between_points_and_held_at_its_end():
    control = arm()
    control.set_trajectory(0, 0, *ramp((SECOND, START + 0.5), (2 * SECOND, START - 0.5)), "t")
    np.testing.assert_allclose(run(control, 0, SECOND // 2), START + 0.25, atol=1e-9)
    np.testing.assert_allclose(run(control, SECOND // 2, SECOND * 3 // 2), START, atol=3e-3)
    np.testing.assert_allclose(run(control, SECOND * 3 // 2, 4 * SECOND), START - 0.5, atol=1e-9)


def test_a_new_trajectory_replaces_the_old_one_from_the_current_reference():
    control = arm()
    control.set_trajectory(0, 0, *ramp((SECOND, START + 1.0)), "t")
    midway = run(control, 0, SECOND // 2).copy()
    control.set_trajectory(SECOND // 2, 0, *ramp((SECOND, START)), "t")
    control.advance(SECOND // 2 + MS, 0.001, control.reference)
    np.testing.assert_allclose(control.reference, midway, atol=1e-3)
    np.testing.assert_allclose(run(control, SECOND // 2 + MS, 2 * SECOND), START, atol=1e-9)


def test_joints_are_matched_by_name():
    control = arm()
    backwards = tuple(reversed(JOINTS))
    control.set_trajectory(0, 0, *ramp((SECOND, (START + 0.1)[::-1]), names=backwards), "t")
    np.testing.assert_allclose(run(control, 0, 2 * SECOND), START + 0.1, atol=1e-9)


def test_points_that_have_passed_are_skipped():
    control = arm()
    control.set_trajectory(2 * SECOND, SECOND, *ramp((SECOND // 2, START + 1.5), (2 * SECOND, START + 0.2)), "t")
    np.testing.assert_allclose(run(control, 2 * SECOND, 2 * SECOND + SECOND // 2), START + 0.1, atol=1e-9)


def test_a_velocity_ends_a_trajectory_and_a_trajectory_ends_a_velocity():
    control = arm()
    control.set_trajectory(0, 0, *ramp((SECOND, START + 1.0)), "t")
    control.set_velocity([0.0] * 7, "v")
    np.testing.assert_array_equal(run(control, 0, SECOND), START)
    control.set_velocity([0.3] * 7, "v")
    control.set_trajectory(SECOND, 0, *ramp((SECOND, START)), "t")
    np.testing.assert_array_equal(run(control, SECOND, 3 * SECOND), START)


@pytest.mark.parametrize(
    ("names", "points", "sentence"),
    [
        (JOINTS[:6], [(SECOND, [0.0] * 6)], "Expected the joints panda_joint1"),
        ((*JOINTS[:6], "elbow"), [(SECOND, [0.0] * 7)], "received panda_joint1.*elbow"),
        (JOINTS, [], "at least 1 point"),
        (JOINTS, [(SECOND, [])], "Expected 7 values, received 0 from t"),
        (JOINTS, [(SECOND, [float("nan")] * 7)], "finite"),
        (JOINTS, [(SECOND, [0.0] * 7), (SECOND, [0.0] * 7)], "rise from point to point"),
    ],
)
def test_a_trajectory_that_a_controller_rejects_changes_nothing(names, points, sentence):
    control = arm()
    with pytest.raises(CommandRejected, match=sentence):
        control.set_trajectory(0, 0, names, points, "t")
    np.testing.assert_array_equal(run(control, 0, SECOND), START)


def test_a_trajectory_that_has_ended_is_rejected():
    with pytest.raises(CommandRejected, match="ended 1.000 s ago from t"):
        arm().set_trajectory(3 * SECOND, SECOND, *ramp((SECOND, START)), "t")


@pytest.mark.parametrize("values", [[0.1] * 6, [0.1] * 8, [], [float("inf")] * 7])
def test_a_velocity_command_of_the_wrong_shape_is_rejected_and_the_last_one_continues(values):
    control = arm()
    control.set_velocity([0.1] * 7, "v")
    with pytest.raises(CommandRejected, match="from v"):
        control.set_velocity(values, "v")
    np.testing.assert_allclose(run(control, 0, SECOND), START + 0.1, atol=1e-9)


def test_the_gripper_keeps_its_last_command_and_its_limits():
    gripper = GripperController(0.0, 0.04, 0.04)
    gripper.set_position([-1.0], "g")
    assert gripper.advance(0.1) == pytest.approx(0.03)
    for _ in range(10):
        gripper.advance(0.1)
    assert gripper.reference == 0.0
    with pytest.raises(CommandRejected, match="Expected 1 values, received 2 from g"):
        gripper.set_position([0.0, 0.0], "g")
