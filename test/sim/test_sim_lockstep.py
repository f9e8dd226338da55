"""The arm in lock-step over real DDS. This process acts as the policy node."""

import hashlib
import signal

import numpy as np
import pytest
from robot_process import ArmClient, RobotProcess, nanoseconds, start

PERIOD = round(1e9 / 15)


@pytest.fixture
def client():
    with ArmClient() as client:
        yield client


def drive(client: ArmClient, commands: list[tuple[list[float], float]]) -> list[dict]:
    """Sends each command in its tick. Returns the messages of every tick, one more than there are commands."""
    seen = []
    for k, (velocities, gripper) in enumerate(commands, start=1):
        seen.append(client.tick(k * PERIOD))
        client.command(velocities, gripper)
    return [*seen, client.tick((len(commands) + 1) * PERIOD)]


def test_a_velocity_of_0_2_for_one_second_moves_joint_1_by_0_2_rad(client):
    with RobotProcess("--lockstep") as robot:
        seen = drive(client, [([0.2] + [0.0] * 6, 0.04)] * 15)
        assert robot.end()[0] == 0
    moved = np.array(seen[-1]["joints"].position) - np.array(seen[0]["joints"].position)
    np.testing.assert_allclose(moved, [0.2] + [0.0] * 8, atol=2e-3)
    assert seen[-1]["joints"].velocity[0] == pytest.approx(0.2, abs=1e-2)


def test_the_gripper_closes_on_command(client):
    with RobotProcess("--lockstep") as robot:
        seen = drive(client, [([0.0] * 7, 0.0)] * 10)
        assert robot.end()[0] == 0
    np.testing.assert_allclose(seen[0]["joints"].position[7:], [0.04, 0.04], atol=1e-6)
    np.testing.assert_allclose(seen[-1]["joints"].position[7:], [0.0, 0.0], atol=1e-3)


def test_all_messages_of_a_tick_have_one_stamp_and_the_next_tick_waits_for_commands(client):
    with RobotProcess("--lockstep", "--control-rate", "10") as robot:
        assert robot.ready["mode"] == "lock-step"
        for k in range(1, 6):
            now = k * 100_000_000
            messages = client.tick(now)
            assert {nanoseconds(message.header.stamp) for message in messages.values()} == {now}
            assert max(client.clock_times) == now
            client.command([0.0] * 7)
        assert robot.end()[0] == 0


def test_the_same_commands_give_the_same_joints_and_images_byte_for_byte():
    generator = np.random.default_rng(3)
    commands = [(generator.uniform(-1, 1, 7).tolist(), float(generator.uniform(0, 0.04))) for _ in range(12)]

    def run() -> list[tuple[bytes, bytes, str, str]]:
        with ArmClient() as client, RobotProcess("--lockstep") as robot:
            seen = drive(client, commands)
            assert robot.end()[0] == 0
        return [
            (
                m["joints"].position.tobytes(),
                m["joints"].velocity.tobytes(),
                hashlib.sha256(m["exterior"].data.tobytes()).hexdigest(),
                hashlib.sha256(m["wrist"].data.tobytes()).hexdigest(),
            )
            for m in seen
        ]

    first = run()
    assert len({exterior for _, _, exterior, _ in first}) == len(first), "the arm moved, so every image differs"
    assert run() == first


def test_without_a_publisher_of_commands_it_ends_with_one_sentence():
    with RobotProcess("--lockstep", "--timeout", "1") as robot:
        status, errors = robot.wait()
    assert status == 1
    assert errors.splitlines()[-1].startswith("LOCKSTEP_TIMEOUT: Expected a publisher on arm_velocity_controller/commands")
    assert errors.splitlines()[-1].endswith("found none within 1 s")


def test_when_commands_stop_it_ends_with_a_sentence_that_names_the_topics(client):
    with RobotProcess("--lockstep", "--timeout", "10") as robot:
        client.tick(PERIOD)
        client.command([0.0] * 7)
        client.tick(2 * PERIOD)
        status, errors = robot.wait()
    assert status == 1
    assert errors.splitlines()[-1] == (
        "LOCKSTEP_TIMEOUT: Expected a command on arm_velocity_controller/commands and gripper_controller/commands "
        "for the tick at 0.133 s, received none within 10 s"
    )


def test_a_signal_ends_a_waiting_arm_cleanly(client):
    with RobotProcess("--lockstep") as robot:
        client.tick(PERIOD)
        assert robot.end(signal.SIGTERM) == (0, "")


def test_wrong_usage_ends_with_status_2():
    process = start("sim.robot", "--control-rate", "-3")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 2
    assert "expected a positive number, received -3" in errors
