"""Every refusal, end to end: good, bad, in /diagnostics within one control tick of its cause, good again.

The node's time is the test's clock. While a test waits for a refusal the clock stands still, so that what is heard was
said at the time at which the clock stands. The node answers in order: what it had to say before it answered has come.
"""

import io
import math
import struct
import time

import numpy as np
import pytest
from harness import JOINTS, PERIOD, REST, Robot, encoded, picture
from PIL import Image as PillowImage
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
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


def show(node, robot, code, topic, *cases):
    """Good passes, then each case `(bad, words)` is refused with these words, and good passes again at once."""
    robot.first_chunk()
    for bad, words in cases:
        robot.next_chunk()
        expectation = Expectation(robot, code)
        bad()
        expectation.wait(topic, *words)
    robot.next_chunk()
    node.wait_for_log(f"{code}: ")


@pytest.fixture
def refused(sim_node, robot):
    """`refused(code, topic, (bad, words), …)`: as `show`, with a node of its own."""

    def refused(code, topic, *cases, **changes):
        show(sim_node(schedule__replan_steps=1, **changes), robot, code, topic, *cases)

    return refused


def serialized(message, *changes):
    """A message's bytes with each `(old, new)` replaced, the last that there is."""
    data = serialize_message(message)
    for old, new in changes:
        at = data.rindex(old)
        data = data[:at] + new + data[at + len(old) :]
    return data


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

    def raw(data):
        return lambda: robot.cameras["exterior"].publish(data), (EXTERIOR,)

    image = Image(height=48, width=64, encoding="rgb8", step=192, data=picture(3).tobytes())
    image.header.stamp = robot.stamp()
    length = struct.pack("<I", 48 * 192)
    whole = serialized(image)
    refused(
        "IMAGE_DATA",
        EXTERIOR,
        *map(case, ({"data": b"\1" * 100}, {"step": 10}, {"height": 4000}, {"data": b""}, {"step": 2**32 - 1})),
        *map(raw, (whole[:5000], whole[:20], whole[:4], serialized(image, (length, b"\xf0\xff\xff\xff")))),
        # Parameter lists instead of plain CDR; a name of the encoding that is longer than the message.
        raw(b"\x00\x03" + whole[2:]),
        raw(serialized(image, (b"\x05\0\0\0rgb8", b"\xff\xff\xff\x7frgb8"))),
    )


@pytest.fixture
def compressed_node(start, context, namespace):
    """A node whose wrist camera sends files, and its robot."""
    robot = Robot(context, namespace, compressed=("wrist",))
    node = start(
        use_sim_time=True,
        schedule__replan_steps=1,
        cameras__wrist__transport="compressed",
        cameras__wrist__topic="wrist_camera/image_raw/compressed",
    )
    robot.wait_for_state("active")
    robot.wait_until_connected()
    yield node, robot
    robot.close()


def test_compressed_images(compressed_node):
    """What is no whole file, what is of the wrong size, and what has another meaning than 8 bits of grey or colour."""
    node, robot = compressed_node
    topic = f"{WRIST}/compressed"

    def case(data, *words):
        return lambda: robot.send_compressed("wrist", data), (topic, *words)

    jpeg, png = encoded(picture(3)), encoded(picture(3), "PNG")
    sixteen = io.BytesIO()
    PillowImage.fromarray(np.full((48, 64), 40000, np.uint16)).save(sixteen, "PNG")
    upside_down = PillowImage.Exif()
    upside_down[0x0112] = 3
    broken = (
        b"",
        b"no picture at all",
        b"\xff\xd8\xff\xe0" + b"\0" * 200,
        picture(3).tobytes(),
        jpeg[: len(jpeg) // 2],
        png[:-20],
        png[:60] + bytes(40) + png[100:],
        encoded(picture(3), "GIF"),
        b"\0" * 12 + png,
    )
    show(node, robot, "IMAGE_DECODE", topic, *map(case, broken))
    sizes = ((16, 48), (64, 31), (9000, 32))
    small = [case(encoded(np.zeros((h, w, 3), np.uint8)), f"{w}x{h}", "32", "8192") for w, h in sizes]
    show(node, robot, "IMAGE_SIZE", topic, *small)
    strange = (
        (encoded(picture(3), mode="CMYK"), "CMYK"),
        (sixteen.getvalue(), "8 bits", "ushort"),
        (encoded(picture(3), exif=upside_down), "upright", "3"),
    )
    show(node, robot, "IMAGE_ENCODING", topic, *(case(*each) for each in strange))
    show(node, robot, "CAMERA_FROZEN", topic, case(encoded(picture(8)), "the same again"))


def test_joint_missing(refused, robot):
    bad = lambda: robot.send_joints(REST[:7], names=JOINTS[:7])
    refused("JOINT_MISSING", "joint_states", (bad, ("8 values", "received 7", "missing: panda_finger_joint1")))


def test_joint_count(refused, robot):
    def case(joints):
        return lambda: robot.send_joints(joints[0], names=joints[1]), ("joint_states",)

    cases = ((REST[:7], JOINTS), ([], JOINTS), ([*REST, 0.5], JOINTS), (REST, ["", *JOINTS]))
    refused("JOINT_COUNT", "joint_states", *map(case, cases))


def test_joint_duplicate(refused, robot):
    bad = lambda: robot.send_joints([*REST, 0.5], names=[*JOINTS, JOINTS[0]])
    refused("JOINT_DUPLICATE", "joint_states", (bad, ("each joint once", JOINTS[0])))


def test_joint_range(refused, robot):
    """Refused beyond the limits, and not at them."""

    def case(index, value, *words):
        joints = [*REST[:index], value, *REST[index + 1 :]]
        return lambda: robot.send_joints(joints), (JOINTS[index], f"received {value:g} for", *words)

    limits = {"state__panda_joint1__lower": -3.0, "state__panda_joint1__upper": 3.0, "state__panda_finger_joint1__upper": 0.05}
    cases = (case(0, 3.25, "from -3 to 3"), case(0, -180.0), case(7, 0.06, "from -Infinity to 0.05"))
    refused("JOINT_RANGE", "joint_states", *cases, **limits)
    before = count(robot, "JOINT_RANGE")
    robot.next_chunk(positions=[3.0, *REST[1:7], 0.05])
    assert count(robot, "JOINT_RANGE") == before


def test_message_data(refused, robot):
    reading = JointState(name=JOINTS, position=REST)
    reading.header.stamp = robot.stamp()
    whole = serialized(reading)
    names, values = (struct.pack("<I", 8) + part for part in (b"\x0d\0\0\0panda_joint1", struct.pack("<d", REST[0])))
    absurd = b"\xff\xff\xff\xff"
    broken = (
        whole[:4],
        whole[:11],
        whole[:-80],
        b"\x12\x34" + whole[2:],
        serialized(reading, (names, absurd + names[4:])),
        serialized(reading, (b"\x0d\0\0\0panda_joint7", absurd + b"panda_joint7")),
        whole[:8] + struct.pack("<I", 2_000_000_000) + whole[12:],
    )
    assert len(values) == 12
    refused("MESSAGE_DATA", "joint_states", *((lambda data=data: robot.joints.publish(data), ("Expected",)) for data in broken))


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


def test_camera_frozen(refused, robot):
    """A stamp that stands still, at the same time and a tick later; what was delivered twice is not refused."""

    def again():
        for _ in range(3):
            robot.send_image("wrist", picture(2))

    def a_tick_later():
        robot.advance()
        robot.send_image("wrist", picture(2), offset=-PERIOD)

    def twice():
        robot.advance()
        robot.send_set()
        robot.send_image("exterior", picture(1))
        robot.send_image("wrist", picture(2))
        robot.settle()

    refused(
        "CAMERA_FROZEN",
        WRIST,
        (again, ("the same again 0.000 s later",)),
        (lambda: robot.send_image("wrist", picture(9)), ("the same again",)),
        (a_tick_later, ("the same again 0.067 s later",)),
    )
    before = count(robot, "CAMERA_FROZEN")
    twice()
    robot.next_chunk()
    assert count(robot, "CAMERA_FROZEN") == before


def test_time_backwards(refused, robot):
    def image(camera, offset):
        return lambda: robot.send_image(camera, picture(3), offset=offset), ("0.010 s before it",)

    refused("TIME_BACKWARDS", EXTERIOR, image("exterior", -10_000_000))
    show_joints = (lambda: robot.send_joints(REST, offset=-20_000_000), ("0.020 s before it",))
    robot.next_chunk()
    expectation = Expectation(robot, "TIME_BACKWARDS")
    show_joints[0]()
    expectation.wait("joint_states", *show_joints[1])
    robot.next_chunk()
    expectation = Expectation(robot, "TIME_BACKWARDS")
    robot.send_image("wrist", picture(3), offset=-robot.now)
    expectation.wait(WRIST, "received 0.000000000")
    robot.next_chunk()


def test_a_simulation_that_is_reset_or_a_bag_that_begins_again_is_followed_without_help(sim_node, robot):
    node = sim_node(schedule__replan_steps=1)
    robot.first_chunk()
    for back in (50_000_000_000, 300_000_000, 0):
        robot.next_chunk()
        robot.now -= back or robot.now
        # The sensors may be ahead of the clock, or behind it.
        robot.send_set()
        robot.send_clock()
        robot.next_chunk()
    assert node.process.poll() is None


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


def test_prompts(sim_node, robot):
    """Empty at the start and later, too long, and broken: each time the next good prompt works at once."""
    sim_node(schedule__replan_steps=1, prompt=" \n")
    robot.send_clock()
    expectation = Expectation(robot, "PROMPT_EMPTY")
    robot.until(lambda: count(robot, "PROMPT_EMPTY"), "PROMPT_EMPTY", again=robot.feed)
    expectation.wait("prompt")
    assert robot.chunks == []
    say = lambda text: robot.prompt.publish(String(data=text))
    robot.until(lambda: robot.chunks, "a chunk", again=lambda: (robot.feed(), say("pick up the red block")))

    long = "put the red block on the green block "
    cases = (
        ("PROMPT_EMPTY", " \t\n", ()),
        ("PROMPT_EMPTY", "\u200b\u2003", ()),
        ("PROMPT_TOO_LONG", long * 60, ("200 tokens",)),
        ("PROMPT_TOO_LONG", long * 3000, ("200 tokens", "or more")),
        ("PROMPT_TOO_LONG", "x" + " " * 100_000 + "x", ("200 tokens", "100002 characters")),
    )
    for code, text, words in cases:
        expectation = Expectation(robot, code)
        say(text)
        # The policy reads a prompt when there is a new observation and no inference of the one before is under way.
        news = lambda: count(robot, code) > expectation.before
        robot.until(news, code, again=lambda: (robot.advance(), robot.send_set()))
        expectation.wait("prompt", *words)
        say("go")
        robot.next_chunk()

    # What is no text changes nothing.
    for data in (b"\0\1\0\0\xff\xff\xff\xff", b"\0\1\0\0\3\0\0\0\xff\xff\0", b"\0\1\0\0\4\0\0\0a\0b\0"):
        expectation = Expectation(robot, "MESSAGE_DATA")
        robot.prompt.publish(data)
        expectation.wait("prompt", "data")
        robot.next_chunk()


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
