"""Refusals of a single message, end to end."""

import io
import math
import struct

import numpy as np
import pytest
from harness import JOINTS, REST, Robot, encoded_image, random_image
from PIL import Image as PillowImage
from rclpy.serialization import serialize_message
from refusal_checks import EXTERIOR, WRIST, RefusalCheck, refusal_count, check_refusals
from sensor_msgs.msg import Image, JointState


def serialized(message, *changes):
    """The serialised message, with the last occurrence of each `old` replaced by `new`."""
    data = serialize_message(message)
    for old, new in changes:
        index = data.rindex(old)
        data = data[:index] + new + data[index + len(old) :]
    return data


def test_image_encoding(assert_refused, robot):
    def case(encoding):
        words = ("rgb8", "bgra8", EXTERIOR, encoding or "no encoding")
        return (lambda: robot.send_image("exterior", random_image(3), encoding=encoding)), words

    assert_refused("IMAGE_ENCODING", EXTERIOR, *map(case, ("16UC1", "32FC1", "", "RGB8")))


def test_image_size(assert_refused, robot):
    def case(size):
        width, height = size
        pixels = np.zeros((max(height, 1), max(width, 1), 3), np.uint8)
        words = ("32", "8192", f"{width}x{height}", WRIST)
        return (lambda: robot.send_image("wrist", pixels, width=width, height=height)), words

    assert_refused("IMAGE_SIZE", WRIST, *map(case, ((31, 48), (64, 31), (8193, 32), (0, 0))))


def test_image_data(assert_refused, robot):
    def case(fields):
        return (lambda: robot.send_image("exterior", random_image(3), **fields)), (EXTERIOR,)

    def raw(data):
        return (lambda: robot.cameras["exterior"].publish(data)), (EXTERIOR,)

    image = Image(height=48, width=64, encoding="rgb8", step=192, data=random_image(3).tobytes())
    image.header.stamp = robot.stamp()
    length = struct.pack("<I", 48 * 192)
    valid = serialized(image)
    assert_refused(
        "IMAGE_DATA",
        EXTERIOR,
        *map(case, ({"data": b"\1" * 100}, {"step": 10}, {"height": 4000}, {"data": b""}, {"step": 2**32 - 1})),
        *map(raw, (valid[:5000], valid[:20], valid[:4], serialized(image, (length, b"\xf0\xff\xff\xff")))),
        # A CDR parameter list instead of plain CDR; an encoding string that is longer than the message.
        raw(b"\x00\x03" + valid[2:]),
        raw(serialized(image, (b"\x05\0\0\0rgb8", b"\xff\xff\xff\x7frgb8"))),
    )


@pytest.fixture
def compressed_node(start, context, namespace):
    """A node with a compressed wrist camera, and its robot."""
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
    """Files that cannot be decoded, images of a wrong size, and pixels that are not 8 bits of grey or colour."""
    node, robot = compressed_node
    topic = f"{WRIST}/compressed"

    def case(data, *words):
        return (lambda: robot.send_compressed("wrist", data)), (topic, *words)

    jpeg, png = encoded_image(random_image(3)), encoded_image(random_image(3), "PNG")
    sixteen = io.BytesIO()
    PillowImage.fromarray(np.full((48, 64), 40000, np.uint16)).save(sixteen, "PNG")
    upside_down = PillowImage.Exif()
    upside_down[0x0112] = 3
    broken = (
        b"",
        b"no picture at all",
        b"\xff\xd8\xff\xe0" + b"\0" * 200,
        random_image(3).tobytes(),
        jpeg[: len(jpeg) // 2],
        png[:-20],
        png[:60] + bytes(40) + png[100:],
        encoded_image(random_image(3), "GIF"),
        b"\0" * 12 + png,
    )
    check_refusals(node, robot, "IMAGE_DECODE", topic, *map(case, broken))
    sizes = ((16, 48), (64, 31), (9000, 32))
    wrong_sizes = [case(encoded_image(np.zeros((h, w, 3), np.uint8)), f"{w}x{h}", "32", "8192") for w, h in sizes]
    check_refusals(node, robot, "IMAGE_SIZE", topic, *wrong_sizes)
    unsupported = (
        (encoded_image(random_image(3), mode="CMYK"), "CMYK"),
        (sixteen.getvalue(), "8 bits", "ushort"),
        (encoded_image(random_image(3), exif=upside_down), "upright", "3"),
    )
    check_refusals(node, robot, "IMAGE_ENCODING", topic, *(case(*each) for each in unsupported))
    check_refusals(node, robot, "CAMERA_FROZEN", topic, case(encoded_image(random_image(8)), "the same again"))


def test_joints_may_come_in_messages_of_their_own_and_one_that_never_comes_or_stops_is_named(sim_node, robot):
    sim_node(schedule__replan_steps=1)

    def send(*parts):
        robot.advance()
        for camera in ("exterior", "wrist"):
            robot.send_image(camera, random_image(len(camera)))
        for first, end in parts:
            robot.send_joints(REST[first:end], names=JOINTS[first:end])
        robot.wait_until_processed()

    arm, finger = (0, 7), (7, 8)
    check = RefusalCheck(robot, "JOINT_MISSING")
    for _ in range(3):
        send(arm)
    robot.advance()
    check.wait("joint_states", "8 values", "received 7", "missing: panda_finger_joint1")
    robot.wait_until(lambda: robot.chunks, "a chunk", repeat=lambda: send(arm, finger))
    # Joints that the policy does not know are ignored.
    robot.send_joints([1.0, 2.0], names=["wheel_left", "wheel_right"])
    # Under load a message of the arm can arrive after its tick; then the arm's joints are named as well, until the next one.
    node = f"{robot.namespace}/policy_node"
    only_the_finger = "STATE_STALE: Expected valid data at most 0.100 s old for panda_finger_joint1 on "
    robot.wait_until(
        lambda: any(message.startswith(only_the_finger) for _, _, message, _ in robot.statuses(node)),
        "a refusal that names the finger alone",
        repeat=lambda: send(arm),
    )
    counts = robot.values(node)
    assert not {f"refused.{code}" for code in ("JOINT_COUNT", "JOINT_NOT_FINITE", "TIME_BACKWARDS")} & counts.keys()


def test_joint_count(assert_refused, robot):
    def case(joints):
        return (lambda: robot.send_joints(joints[0], names=joints[1])), ("joint_states",)

    cases = ((REST[:7], JOINTS), ([], JOINTS), ([*REST, 0.5], JOINTS), (REST, ["", *JOINTS]))
    assert_refused("JOINT_COUNT", "joint_states", *map(case, cases))


def test_joint_duplicate(assert_refused, robot):
    bad = lambda: robot.send_joints([*REST, 0.5], names=[*JOINTS, JOINTS[0]])
    assert_refused("JOINT_DUPLICATE", "joint_states", (bad, ("each joint once", JOINTS[0])))


def test_joint_range(assert_refused, robot):
    """Values outside the limits are refused; values at the limits are not."""

    def case(index, value, *words):
        joints = [*REST[:index], value, *REST[index + 1 :]]
        return (lambda: robot.send_joints(joints)), (JOINTS[index], f"received {value:g} for", *words)

    limits = {"state__panda_joint1__lower": -3.0, "state__panda_joint1__upper": 3.0, "state__panda_finger_joint1__upper": 0.05}
    cases = (case(0, 3.25, "from -3 to 3"), case(0, -180.0), case(7, 0.06, "from -Infinity to 0.05"))
    assert_refused("JOINT_RANGE", "joint_states", *cases, **limits)
    before = refusal_count(robot, "JOINT_RANGE")
    robot.next_chunk(positions=[3.0, *REST[1:7], 0.05])
    assert refusal_count(robot, "JOINT_RANGE") == before


def test_message_data(assert_refused, robot):
    reading = JointState(name=JOINTS, position=REST)
    reading.header.stamp = robot.stamp()
    valid = serialized(reading)
    names, values = (struct.pack("<I", 8) + part for part in (b"\x0d\0\0\0panda_joint1", struct.pack("<d", REST[0])))
    too_long = b"\xff\xff\xff\xff"
    broken = (
        valid[:4],
        valid[:11],
        valid[:-80],
        b"\x12\x34" + valid[2:],
        serialized(reading, (names, too_long + names[4:])),
        serialized(reading, (b"\x0d\0\0\0panda_joint7", too_long + b"panda_joint7")),
    )
    assert len(values) == 12
    cases = ((lambda data=data: robot.joints.publish(data), ("Expected",)) for data in broken)
    assert_refused("MESSAGE_DATA", "joint_states", *cases)


def test_joint_not_finite(assert_refused, robot):
    def case(value):
        return (lambda: robot.send_joints([*REST[:6], value, REST[7]])), ("finite", "panda_joint7")

    assert_refused("JOINT_NOT_FINITE", "joint_states", *map(case, (math.nan, math.inf, -math.inf)))
