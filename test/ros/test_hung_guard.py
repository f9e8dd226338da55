"""A policy that starts while its guard hangs neither waits for it for ever nor hangs itself."""

import os
import signal

import pytest


@pytest.fixture
def hung_guard(start):
    """A guard that is stopped and whose policy was killed."""
    node = start()
    node.wait_for_log("active: control ticks")
    guard = node.guard
    os.kill(guard, signal.SIGSTOP)
    node.process.kill()
    node.process.wait(60)
    yield guard
    os.kill(guard, signal.SIGCONT)


def test_a_policy_whose_guard_does_not_answer_ends_with_guard_lost(hung_guard, start):
    node = start()
    assert node.process.wait(120) == 1
    node.wait_for_log("GUARD_LOST: ")


def test_a_policy_whose_guard_does_not_answer_ends_at_sigterm(hung_guard, start, robot):
    node = start(autostart=False)
    robot.wait_for_state("unconfigured")
    assert node.stop(signal.SIGTERM) == 0
