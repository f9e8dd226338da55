"""Episodes in lock-step with one node: between two of them it is deactivated, the world changes, and it is activated again."""

import sys
import threading

import numpy as np
import pytest
from harness import ARM, PERIOD, REST, ROOT, Robot, nanoseconds, random_image

sys.path.insert(0, str(ROOT))
from sim.errors import SimulationError
from sim.policy_control import PolicyControl

TICKS = 12
# Simulated time from the begin of one episode to that of the next, ns.
EPISODE = 1_000_000_000_000
# With a limited acceleration, commands depend on the command before them.
LIMITS = {f"action__{joint}__max_acceleration": 5.0 for joint in ARM}
PROMPTS = ["touch the red block", "pick up the green block", "put the blue block into the bowl"]


class Episodes:
    """A robot that moves as commanded, without physics, and runs episodes in lock-step with an inactive node."""

    def __init__(self, context, namespace, robot):
        self.robot = robot
        self.control = PolicyControl(namespace, context=context)
        self.control.connect()
        self.control.wait_for_state("inactive")
        robot.wait_until_connected()

    def close(self):
        self.control.close()

    def run(self, episode):
        """The commands of all ticks of an episode, a list of (arm, gripper), and the stamps of its chunks."""
        robot, control = self.robot, self.control
        # The node is inactive: this only sets its time.
        robot.now = (episode + 1) * EPISODE
        robot.send_clock()
        control.set_prompt(PROMPTS[episode])
        control.wait_until_processed()
        control.activate()
        rng = np.random.default_rng(episode)
        positions = np.array(REST) + [*rng.normal(0, 0.1, 7), 0]
        commands = []
        for messages in (robot.arm, robot.gripper, robot.chunks):
            messages.clear()
        for tick in range(TICKS):
            robot.now += PERIOD
            images = [random_image(1000 * episode + 2 * tick + camera) for camera in range(2)]
            robot.send_set(*images, positions)
            robot.send_clock()
            robot.wait_until(lambda: len(robot.arm) > tick and len(robot.gripper) > tick, "a command for each tick")  # noqa: B023
            velocities, gripper = (np.array(m[tick].data) for m in (robot.arm, robot.gripper))
            commands.append((velocities.tobytes(), gripper.tobytes()))
            positions = np.array([*(positions[:7] + velocities * PERIOD / 1e9), gripper[0]])
        control.deactivate()
        robot.wait_until(lambda: len(robot.arm) == len(robot.gripper) == TICKS + 1, "the stop action")
        assert list(robot.arm[-1].data) == [0.0] * len(ARM)
        return commands, [nanoseconds(chunk.header.stamp) for chunk in robot.chunks]


@pytest.fixture
def episodes(start, context, namespace):
    """Starts a node in lock-step and runs episodes: `episodes([0, 1], schedule__mode="sync")`.

    Returns the result of each episode and the last values in `/diagnostics`.
    """
    opened = []

    def episodes(order, **changes):
        robot = Robot(context, namespace)
        opened.append(robot)
        node = start(autostart=False, use_sim_time=True, schedule__lockstep=True, **LIMITS, **changes)
        assert robot.change_state("configure")
        runner = Episodes(context, namespace, robot)
        opened.append(runner)
        results = {episode: runner.run(episode) for episode in order}

        def counters():
            values = robot.values(node.node)
            return values if values.get("commands.stop") == str(len(order)) else None

        values = robot.wait_until(counters, "the counters of all episodes")
        assert not [key for key in values if key.startswith(("refused.", "fault."))], values
        assert node.stop() == 0
        return results, values

    yield episodes
    for item in reversed(opened):
        item.close()


@pytest.mark.parametrize(
    ("mode", "delay", "observed", "holds"),
    [
        ("sync", 0.0, [1, 5, 9], 0),
        ("async", 0.0, [1, 5, 9], 0),
        # A chunk arrives two ticks after its observation. Ticks 1, 2, 7 and 8 have no step to execute.
        ("sync", 0.1, [1, 7], 4),
        # As in sync, but steps of the first chunk run at ticks 7 and 8. The chunk of tick 11 is in flight at the end.
        ("async", 0.1, [1, 7], 2),
    ],
)
def test_an_episode_gives_the_same_commands_whatever_episodes_came_before_it(mode, delay, observed, holds, episodes):
    changes = {"schedule__mode": mode, "schedule__injected_delay": delay}
    (first, values), (again, _) = episodes([0, 1, 2], **changes), episodes([2, 0, 1], **changes)
    assert first == again
    assert values["commands.hold"] == str(3 * holds)
    for episode, (commands, stamps) in first.items():
        begin = (episode + 1) * EPISODE
        assert stamps == [begin + tick * PERIOD for tick in observed]
        assert len(set(commands)) > TICKS // 2
    assert len({tuple(commands) for commands, _ in first.values()}) == len(PROMPTS)


def test_a_transition_that_the_node_rejects_and_a_node_that_is_missing_are_errors(start, context, namespace):
    start(autostart=False)
    control = PolicyControl(namespace, context=context)
    control.connect()
    with pytest.raises(SimulationError, match="POLICY_REJECTED: Expected policy_node to activate.* in state unconfigured"):
        control.activate()
    control.close()
    stop = threading.Event()
    stop.set()
    interrupted = PolicyControl(namespace, "no_such_node", context=context, stop=stop)
    with pytest.raises(SimulationError, match="INTERRUPTED: Expected a response from .*no_such_node/get_state"):
        interrupted.connect()
    interrupted.close()
    absent = PolicyControl(namespace, "no_such_node", timeout=0.1, context=context)
    with pytest.raises(SimulationError, match="POLICY_TIMEOUT: Expected a response from .*no_such_node/get_state"):
        absent.connect()
    absent.close()
