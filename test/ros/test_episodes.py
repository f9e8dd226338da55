"""The node in lock-step with a changing task: episodes between which it is deactivated, and prompts while it is active."""

import sys

import numpy as np
import pytest
from harness import ARM, PERIOD, REST, ROOT, Robot, chunk_values, nanoseconds, random_image, reference_chunk
from rcl_interfaces.srv import GetParameters
from std_msgs.msg import String

sys.path.insert(0, str(ROOT))
from sim.errors import SimulationError
from sim.policy_control import PolicyControl

TICKS = 12
# Simulated time from the begin of one episode to that of the next, ns.
EPISODE = 1_000_000_000_000
# With a limited acceleration, commands depend on the command before them.
LIMITS = {f"action__{joint}__max_acceleration": 5.0 for joint in ARM}
PROMPTS = ["touch the red block", "pick up the green block", "put the blue block into the bowl"]
# A chunk arrives two ticks after its observation.
DELAYED = {"schedule__injected_delay": 0.1}


class World:
    """A robot that moves as commanded, without physics, in lock-step with a node that is inactive at first."""

    def __init__(self, context, namespace):
        self.robot = Robot(context, namespace)
        self.control = PolicyControl(namespace, context=context)

    def connect(self):
        assert self.robot.change_state("configure")
        self.control.connect()
        self.control.wait_for_state("inactive")
        self.robot.wait_until_connected()

    def close(self):
        self.control.close()
        self.robot.close()

    def begin(self, episode):
        """Activates the node for an episode, with its prompt."""
        robot, control = self.robot, self.control
        # The node is inactive: this only sets its time.
        robot.now = (episode + 1) * EPISODE
        robot.send_clock()
        control.set_prompt(PROMPTS[episode])
        control.wait_until_processed()
        control.activate()
        self.positions = np.array(REST) + [*np.random.default_rng(episode).normal(0, 0.1, 7), 0]
        self.seeds = np.random.SeedSequence(episode).generate_state(100).tolist()
        self.observations = []  # images and positions of each tick
        for messages in (robot.arm, robot.gripper, robot.chunks):
            messages.clear()

    def tick(self):
        """One control tick. Returns the command: velocities [7] and the position of the gripper [1]."""
        robot, count = self.robot, len(self.observations)
        robot.now += PERIOD
        observation = (random_image(self.seeds.pop()), random_image(self.seeds.pop()), self.positions)
        self.observations.append(observation)
        robot.send_set(*observation)
        robot.send_clock()
        robot.wait_until(lambda: min(len(robot.arm), len(robot.gripper)) > count, "the command of a tick")
        velocities, gripper = (np.array(messages[count].data) for messages in (robot.arm, robot.gripper))
        self.positions = np.array([*(self.positions[:7] + velocities * PERIOD / 1e9), *gripper])
        return velocities, gripper

    def end(self):
        """Deactivates the node and waits for its stop action."""
        robot, count = self.robot, len(self.observations) + 1
        self.control.deactivate()
        robot.wait_until(lambda: min(len(robot.arm), len(robot.gripper)) == count, "the stop action")
        assert list(robot.arm[-1].data) == [0.0] * len(ARM)

    def episode(self, number):
        """The commands of all ticks of an episode, as bytes, and the stamps of its chunks."""
        self.begin(number)
        commands = [tuple(part.tobytes() for part in self.tick()) for _ in range(TICKS)]
        self.end()
        return commands, [nanoseconds(chunk.header.stamp) for chunk in self.robot.chunks]


@pytest.fixture
def world(start, context, namespace):
    """Starts a node in lock-step, and a world with it: `world(schedule__mode="sync")`. Returns both."""
    worlds = []

    def world(**changes):
        node = start(autostart=False, use_sim_time=True, schedule__lockstep=True, **changes)
        worlds.append(World(context, namespace))
        worlds[-1].connect()
        return node, worlds[-1]

    yield world
    for world in worlds:
        world.close()


@pytest.fixture
def episodes(world):
    """Runs episodes with a new node: `episodes([0, 1])`. Returns their results and the last values in `/diagnostics`."""

    def episodes(order, **changes):
        node, running = world(**LIMITS, **changes)
        results = {number: running.episode(number) for number in order}

        def counters():
            values = running.robot.values(node.node)
            return values if values.get("commands.stop") == str(len(order)) else None

        values = running.robot.wait_until(counters, "the counters of all episodes")
        assert not [key for key in values if key.startswith(("refused.", "fault."))], values
        assert node.stop() == 0
        return results, values

    return episodes


@pytest.mark.parametrize(
    ("mode", "delay", "observed", "holds"),
    [
        ("sync", {}, [1, 5, 9], 0),
        ("async", {}, [1, 5, 9], 0),
        # Ticks 1, 2, 7 and 8 have no step to execute.
        ("sync", DELAYED, [1, 7], 4),
        # Only ticks 1 and 2 have no step: the next chunk is requested after replan_steps ticks, when this one still has steps.
        ("async", DELAYED, [1, 5, 9], 2),
    ],
)
def test_an_episode_gives_the_same_commands_whatever_episodes_came_before_it(mode, delay, observed, holds, episodes):
    changes = {"schedule__mode": mode, **delay}
    (first, values), (again, _) = episodes([0, 1, 2], **changes), episodes([2, 0, 1], **changes)
    assert first == again
    assert values["commands.hold"] == str(3 * holds)
    for number, (commands, stamps) in first.items():
        begin = (number + 1) * EPISODE
        assert stamps == [begin + tick * PERIOD for tick in observed]
        assert len(set(commands)) > TICKS // 2
    assert len({tuple(commands) for commands, _ in first.values()}) == len(PROMPTS)


def test_after_a_new_prompt_the_arm_holds_until_the_chunk_for_it_arrives(world):
    node, running = world(schedule__mode="async", **DELAYED)
    robot = running.robot

    def prompt():
        response = robot.call(GetParameters, "policy_node/get_parameters", GetParameters.Request(names=["prompt"]))
        return response.values[0].string_value

    def publish(text):
        """The topic is not acknowledged, but it sets the parameter."""
        robot.prompt.publish(String(data=text))
        robot.wait_until(lambda: prompt() == text, "the prompt")

    robot.wait_until(robot.prompt.get_subscription_count, "the subscription of the prompt")
    running.begin(0)
    velocities = {}
    for tick in range(1, 15):
        velocities[tick] = running.tick()[0]
        if tick == 6:
            running.control.set_prompt(PROMPTS[1])  # the chunk of tick 5 is in flight
        if tick == 10:
            publish(PROMPTS[2])
    running.end()
    assert [tick for tick in velocities if not velocities[tick].any()] == [1, 2, 7, 8, 11, 12]
    observed = [round((nanoseconds(chunk.header.stamp) - EPISODE) / PERIOD) for chunk in robot.chunks]
    assert observed == [1, 7, 11]
    for chunk, tick, text in zip(robot.chunks, observed, PROMPTS, strict=True):
        reference = reference_chunk(node, chunk.header.stamp, *running.observations[tick - 1], text)
        assert np.array_equal(chunk_values(chunk), reference)
        assert np.array_equal(velocities[tick + 2], reference[0, :7])


def test_a_transition_that_the_node_rejects_and_a_node_that_is_missing_are_errors(start, context, namespace):
    start(autostart=False)
    control = PolicyControl(namespace, context=context)
    control.connect()
    with pytest.raises(SimulationError, match="POLICY_REJECTED: Expected policy_node to activate.* in state unconfigured"):
        control.activate()
    control.close()
    absent = PolicyControl(namespace, "no_such_node", timeout=0.1, context=context)
    with pytest.raises(SimulationError, match="POLICY_TIMEOUT: Expected a response from .*no_such_node/get_state"):
        absent.connect()
    absent.close()
