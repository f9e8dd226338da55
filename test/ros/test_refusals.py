"""Every refusal, end to end: good, bad, in /diagnostics within one control tick of its cause, good again.

The node's time is the test's clock. While a test waits for a refusal the clock stands still, so that what is heard was
said at the time at which the clock stands. The node answers in order: what it had to say before it answered has come.
"""

import math
import time

import numpy as np
import pytest
from harness import JOINTS, PERIOD, REST, Robot, picture
from std_msgs.msg import String

EXTERIOR, WRIST = "exterior_camera/image_raw", "wrist_camera/image_raw"
CAMERA_AGE, STATE_AGE = 200_000_000, 100_000_000


def count(robot, code):
    return int(robot.values(f"{robot.namespace}/policy_node").get(f"refused.{code}", 0))


class Expectation:
    """What /diagnostics says of one code from here on."""

    def __init__(self, robot, code):
        self.robot, self.code, self.before = robot, code, count(robot, code)
        self.node = f"{robot.namespace}/policy_node"

    def wait(self, topic, *words):
        """The refusal is there while the clock stands still, within one tick of it therefore; it names topic and sentence.

        The wait is longer than a busy machine needs and shorter than the second between periodic messages.
        """
        end = time.monotonic() + 0.6
        while count(self.robot, self.code) <= self.before and time.monotonic() < end:
            self.robot.settle()
        assert count(self.robot, self.code) > self.before, f"no {self.code} in time: {self.robot.values(self.node)}"
        inputs = [s for s in self.robot.statuses(self.node) if s[0] == "inputs"]
        level, message, values = next(
            (level, message, values)
            for _, level, message, values in inputs
            if values.get("last_refusal.code") == self.code and int(values[f"refused.{self.code}"]) > self.before
        )
        assert level == b"\x01"
        assert message == f"{self.code}: {values['last_refusal.message']}"
        assert values["last_refusal.topic"] == f"{self.robot.namespace}/{topic}"
        sentence = values["last_refusal.message"]
        for word in ("Expected", "received", *words):
            assert word in sentence, sentence


@pytest.fixture
def refused(sim_node, robot):
    """A node that works; then `refused(code, topic, (bad, words), …)` shows each refusal, and that it works again."""

    def refused(code, topic, *cases):
        node = sim_node(schedule__replan_steps=1)
        robot.first_chunk()
        for bad, words in cases:
            robot.next_chunk()
            expectation = Expectation(robot, code)
            bad()
            expectation.wait(topic, *words)
        robot.next_chunk()
        node.wait_for_log(f"{code}: ")

    return refused


def test_image_encoding(refused, robot):
    def case(encoding):
        words = ("rgb8", "bgra8", EXTERIOR, encoding or "no encoding")
        return lambda: robot.send_image("exterior", picture(3), encoding=encoding), words

    refused("IMAGE_ENCODING", EXTERIOR, *map(case, ("yuv422", "32FC1", "", "RGB8")))


def test_image_size(refused, robot):
    def case(size):
        width, height = size
        pixels = np.zeros((max(height, 1), max(width, 1), 3), np.uint8)
        words = ("32", "8192", f"{width}x{height}", WRIST)
        return lambda: robot.send_image("wrist", pixels, width=width, height=height), words

    refused("IMAGE_SIZE", WRIST, *map(case, ((31, 48), (64, 31), (8193, 32), (0, 0))))


def test_image_data(refused, robot):
    def case(fields):
        return lambda: robot.send_image("exterior", picture(3), **fields), (EXTERIOR,)

    refused("IMAGE_DATA", EXTERIOR, *map(case, ({"data": b"\1" * 100}, {"step": 10}, {"height": 4000}, {"data": b""})))


@pytest.mark.parametrize("data", [b"", b"no picture at all", b"\xff\xd8\xff\xe0" + b"\0" * 200])
def test_image_decode(data, start, context, namespace):
    robot = Robot(context, namespace, compressed=("wrist",))
    try:
        start(
            use_sim_time=True,
            cameras__wrist__transport="compressed",
            cameras__wrist__topic="wrist_camera/image_raw/compressed",
        )
        robot.wait_for_state("active")
        robot.wait_until_connected()
        robot.send_clock()
        expectation = Expectation(robot, "IMAGE_DECODE")
        robot.until(lambda: count(robot, "IMAGE_DECODE"), "IMAGE_DECODE", again=lambda: robot.send_compressed("wrist", data))
        expectation.wait("wrist_camera/image_raw/compressed", "wrist_camera/image_raw/compressed")
    finally:
        robot.close()


def test_joint_missing(refused, robot):
    bad = lambda: robot.send_joints(REST[:7], names=JOINTS[:7])
    refused("JOINT_MISSING", "joint_states", (bad, ("8 values", "received 7", "missing: panda_finger_joint1")))


def test_joint_count(refused, robot):
    def case(joints):
        return lambda: robot.send_joints(joints[0], names=joints[1]), ("joint_states",)

    cases = ((REST[:7], JOINTS), ([], JOINTS), ([*REST, 0.5], [*JOINTS, JOINTS[0]]))
    refused("JOINT_COUNT", "joint_states", *map(case, cases))


def test_joint_not_finite(refused, robot):
    def case(value):
        return lambda: robot.send_joints([*REST[:6], value, REST[7]]), ("finite", "panda_joint7")

    refused("JOINT_NOT_FINITE", "joint_states", *map(case, (math.nan, math.inf, -math.inf)))


def test_camera_duplicate(refused, robot):
    def bad():
        robot.advance()
        robot.send_set(exterior=picture(5), wrist=picture(5))
        robot.settle()
        robot.advance()

    refused("CAMERA_DUPLICATE", WRIST, (bad, (EXTERIOR, WRIST, "identical")))


def test_a_uniform_picture_in_both_cameras_is_legal(sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    dark = np.zeros((48, 64, 3), np.uint8)
    robot.next_chunk(exterior=dark, wrist=dark)
    assert count(robot, "CAMERA_DUPLICATE") == 0


def test_camera_skew(refused, robot):
    def bad():
        # The wrist's picture is too old for the others, and too new for those before them.
        robot.advance(2)
        robot.send_image("exterior", picture(3))
        robot.send_joints(REST)
        robot.send_image("wrist", picture(4), offset=-60_000_000)
        robot.settle()
        robot.advance()

    refused("CAMERA_SKEW", WRIST, (bad, ("0.050", "0.060", WRIST)))


@pytest.mark.parametrize(
    ("code", "silent", "topic", "age"),
    [
        ("CAMERA_STALE", "exterior", EXTERIOR, CAMERA_AGE),
        ("CAMERA_STALE", "wrist", WRIST, CAMERA_AGE),
        ("STATE_STALE", "joints", "joint_states", STATE_AGE),
    ],
)
def test_a_stream_that_falls_silent_is_refused_within_its_age_and_one_tick(code, silent, topic, age, sim_node, robot):
    sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    robot.next_chunk()
    last = robot.now
    expectation = Expectation(robot, code)

    def others():
        for camera, seed in (("exterior", 1), ("wrist", 2)):
            if camera != silent:
                robot.send_image(camera, picture(seed))
        if silent != "joints":
            robot.send_joints(REST)

    while robot.now + PERIOD <= last + age + PERIOD:
        robot.advance()
        others()
        robot.settle()
        if robot.now <= last + age:
            assert count(robot, code) == expectation.before, "too early"
    expectation.wait(topic, topic)
    robot.next_chunk()


def test_a_camera_that_never_came_is_missing(sim_node, robot):
    sim_node()
    robot.send_clock()
    robot.settle()
    start = robot.now
    expectation = Expectation(robot, "CAMERA_MISSING")
    while robot.now + PERIOD <= start + CAMERA_AGE + PERIOD:
        robot.advance()
        robot.send_image("exterior", picture(1))
        robot.send_joints(REST)
        robot.settle()
        if robot.now <= start + CAMERA_AGE:
            assert count(robot, "CAMERA_MISSING") == 0, "too early"
    expectation.wait(WRIST, WRIST)
    robot.until(lambda: robot.chunks, "a chunk", again=robot.feed)


def test_prompt_empty(sim_node, robot):
    sim_node(schedule__replan_steps=1, prompt=" \n")
    robot.send_clock()
    expectation = Expectation(robot, "PROMPT_EMPTY")
    robot.until(lambda: count(robot, "PROMPT_EMPTY"), "PROMPT_EMPTY", again=robot.feed)
    expectation.wait("prompt")
    assert robot.chunks == []
    robot.prompt.publish(String(data="pick up the red block"))
    robot.until(lambda: robot.chunks, "a chunk", again=lambda: (robot.feed(), robot.prompt.publish(String(data="go"))))


def test_prompt_too_long(sim_node, robot):
    node = sim_node(schedule__replan_steps=1, prompt="put the red block on the green block " * 60)
    expectation = Expectation(robot, "PROMPT_TOO_LONG")
    robot.until(lambda: count(robot, "PROMPT_TOO_LONG"), "PROMPT_TOO_LONG", again=robot.feed)
    expectation.wait("prompt")
    assert robot.chunks == []
    robot.until(lambda: robot.chunks, "a chunk", again=lambda: (robot.feed(), robot.prompt.publish(String(data="go"))))
    assert node.process.poll() is None


def test_a_storm_of_bad_messages_is_logged_once_a_second_and_counted_in_full(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    before = count(robot, "JOINT_MISSING")
    for _ in range(40):
        robot.send_joints([0.0], names=["stranger"])
        robot.settle()
    robot.until(lambda: count(robot, "JOINT_MISSING") == before + 40, "every refusal")
    assert sum("JOINT_MISSING" in line for line in node.lines) < 40
    robot.next_chunk()
