"""A terminal that is not read (Ctrl-S, a stalled ssh connection) delays neither the policy nor its guard."""

import os
import pty
import subprocess
import time

import pytest
from harness import RATE, PolicyProcess, parameters
from live_robot import LiveRobot

CTRL_S, CTRL_Q = b"\x13", b"\x11"
# s; how long the stop action is repeated.
REPEATED = 2.0


class TerminalProcess(PolicyProcess):
    """`pi05 node` in a terminal."""

    def _spawn(self, command):
        self.terminal, inside = pty.openpty()
        process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside)
        os.close(inside)
        return process, self._lines_of_terminal()

    def _lines_of_terminal(self):
        with os.fdopen(os.dup(self.terminal), errors="replace") as output:
            try:
                yield from output
            except OSError:
                return  # all processes in the terminal have ended

    def press(self, key):
        os.write(self.terminal, key)


@pytest.fixture
def live(robot):
    with LiveRobot(robot) as live:
        yield live


@pytest.fixture
def node(tmp_path, checkpoint, namespace, live):
    # Default time-outs; no fault but those of the test writes a line.
    changes = {"safety__command_timeout": None, "safety__latch_after": 1.0, "safety__max_tick_gap": None}
    values = parameters(checkpoint=checkpoint, safety__max_following_error=1000.0, **changes)
    node = TerminalProcess(tmp_path, values, namespace=namespace)
    live.wait_for_motion()
    yield node
    node.press(CTRL_Q)
    node.end()
    os.close(node.terminal)


@pytest.mark.parametrize("event", ["stop", "kill"])
def test_the_stop_action_is_repeated_while_the_terminal_is_paused(event, node, live):
    node.press(CTRL_S)
    instant = time.monotonic()
    if event == "stop":
        assert live.stop().success
    else:
        node.process.kill()
    live.wait_until(lambda: live.stops_since(instant), "the stop action")
    time.sleep(REPEATED + 0.5)
    stops = live.stops_since(instant)
    assert len(stops) > REPEATED * RATE / 2
    assert live.motion_since(stops[0]) == []
