"""The faults of docs/faults.md: how each is made, and what is expected of the node."""

import math

import rclpy
from fault_walk import PROMPT, Fault
from harness import JOINTS, PERIOD, RELIABLE, REST, encoded_image, random_image
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
HEARTBEAT_TOPIC = "operator/heartbeat"
# The parameters of the node. A message of joint states may arrive some ticks late on a busy machine.
PARAMETERS = {
    "schedule__replan_steps": 1,
    "schedule__engine_timeout": 0.3,
    "state__max_age": 0.3,
    "cameras__exterior__max_age": 0.25,
    "cameras__exterior__max_still": 0.5,
    "cameras__wrist__max_age": 0.25,
    "state__panda_joint2__lower": -3.0,
    "action__panda_joint1__max_velocity": 3.0,
    "safety__max_tick_gap": 0.15,
    "safety__max_following_error": 1000.0,
    "safety__heartbeat_topic": HEARTBEAT_TOPIC,
    "safety__heartbeat_max_age": 3.0,
    "cameras__wrist__transport": "compressed",
    "cameras__wrist__topic": "wrist_camera/image_raw/compressed",
}
CAMERA_AGE, STATE_AGE = "`cameras.<camera>.max_age`, 0.25 s", "`state.max_age`, 0.3 s"
TICK = "the next check, once per tick"


def image(name, code, *sends, **options):
    """A camera whose images are bad while the other inputs are good."""

    def send(walk):
        exterior, wrist = sends
        walk.send(exterior=exterior is None, wrist=wrist is None)
        for bad in (exterior, wrist):
            if bad is not None:
                bad(walk)

    return Fault(name, code, send, **options)


def exterior(name, code, width=64, height=48, **fields):
    return image(name, code, lambda walk: walk.robot.send_image("exterior", random_image(3, width, height), **fields), None)


def wrist(name, code, data, **options):
    return image(name, code, None, lambda walk: walk.robot.send_compressed("wrist", data), **options)


def joints(name, code, send, **options):
    """Joint states that are bad while the cameras are good; the robot is stopped when the last good ones are too old."""

    def send_all(walk):
        walk.send(joints=False)
        send(walk.robot)

    return Fault(name, code, send_all, **({"reaction": ("step", "stop")} | options))


def joint_values(name, code, index, value):
    return joints(name, code, lambda robot: robot.send_joints([*REST[:index], value, *REST[index + 1 :]]))


def same_stamp(walk):
    """An image with the stamp of the first one of the fault."""
    walk.send(wrist=False)
    walk.robot.send_compressed("wrist", encoded_image(random_image(4)), offset=walk.onset - walk.robot.now)


def remember_stamp(walk):
    """The stamp of the last good set, which is that of the tick before."""
    walk.onset = walk.robot.now - PERIOD


def apart(walk):
    """Stamps that are too far apart: the wrist's is too old for this set and too new for the one before."""
    walk.tick_of_motion()
    walk.tick_of_motion()
    walk.send(wrist=False)
    walk.robot.send_compressed("wrist", encoded_image(random_image(4)), offset=-60_000_000)
    walk.robot.wait_until_processed()


def identical(walk):
    pixels = random_image(5)
    walk.send(exterior=False, wrist=False)
    walk.robot.send_image("exterior", pixels)
    walk.robot.send_compressed("wrist", encoded_image(pixels, "PNG"), kind="png")


def truncated_joints(robot):
    message = JointState(name=JOINTS, position=REST)
    message.header.stamp = robot.stamp()
    robot.joints.publish(serialize_message(message)[:-80])


def jumping_joint(robot):
    """The true position and a false one in turn."""
    robot.jumped = not getattr(robot, "jumped", False)
    robot.send_joints([2.0 if robot.jumped else 0.0, *REST[1:]])


def prompt(text):
    return lambda walk: walk.set_prompt(text)


def clock_step(step):
    def begin(walk):
        walk.robot.now += step
        walk.robot.send_clock()

    return begin


def late_tick(walk):
    clock_step(PERIOD + 30_000_000)(walk)


def realign(walk):
    """The next tick is on time again."""
    walk.robot.now -= 30_000_000


def realign_gap(walk):
    """The next tick is on time again: the jump was 2 periods and 47 ms."""
    walk.robot.now -= 180_000_000 - 2 * PERIOD


def older_clock(walk):
    walk.robot.keeps_clock = False
    walk.robot.clock.publish(Clock(clock=walk.robot.stamp(-20_000_000)))


class Endpoint:
    """Something of another node that exists while the fault lasts."""

    def __init__(self, create, destroy, code):
        self.create, self.destroy, self.code = create, destroy, code

    def begin(self, walk):
        self.created = self.create(walk.robot)

    def end(self, walk):
        self.destroy(walk.robot, self.created)
        walk.robot.wait_until(lambda: f"present.{self.code}" not in walk.newest(), f"the end of {self.code}")


def publisher(name, code, kind, topic, qos=RELIABLE, **options):
    create = lambda robot: robot.ros.create_publisher(kind, topic, qos)
    endpoint = Endpoint(create, lambda robot, created: robot.ros.destroy_publisher(created), code)
    return Fault(name, code, lambda walk: walk.send(), endpoint.begin, endpoint.end, **({"reaction": ("step",), "age": TICK} | options))


def second_node(robot):
    return rclpy.create_node("policy_node", namespace=robot.namespace, context=robot.ros.context, start_parameter_services=False)


def other_type(robot):
    """A publisher in a DDS participant of its own, since one participant has one type for a topic."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("other_type", namespace=robot.namespace, context=context)
    node.create_publisher(Image, "wrist_camera/image_raw/compressed", RELIABLE)
    return node


def stop_listening(robot):
    found = [s for s in robot.ros.subscriptions if s.topic_name.endswith("gripper_controller/commands")]
    for subscription in found:
        robot.ros.destroy_subscription(subscription)


UNHEARD = Endpoint(
    stop_listening,
    lambda robot, _: robot.record(Float64MultiArray, "gripper_controller/commands", robot.gripper),
    "OUTPUT_UNHEARD",
)
OTHER_TYPE = Endpoint(other_type, lambda _, node: (node.destroy_node(), rclpy.shutdown(context=node.context)), "TOPIC_TYPE")
DUPLICATE = Endpoint(second_node, lambda _, node: node.destroy_node(), "NODE_DUPLICATE")


def release(walk):
    walk.heartbeats.set()
    walk.resume()


def first_messages(walk):
    """The first messages may come before a subscription of the node knows their publisher."""
    walk.robot.first_chunk()
    walk.robot.next_chunk()


def stop_clock(walk):
    walk.robot.keeps_clock = False


def start_clock(walk):
    walk.robot.keeps_clock = True


GOOD = lambda walk: walk.send()
FAULTS = [
    # Nothing was sent to the node yet.
    Fault("nothing comes on a topic, although it has a publisher", "INPUT_SILENT", end=first_messages, age="3 s of real time after the activation", reaction=(), present=True),
    Fault("a camera sends nothing after the activation", "CAMERA_MISSING", lambda w: w.send(wrist=False), lambda w: w.activate_again(), ticks=4, age=CAMERA_AGE, reaction=()),
    Fault("no joint states come after the activation", "STATE_STALE", lambda w: w.send(joints=False), lambda w: w.activate_again(), ticks=5, age=STATE_AGE, reaction=()),
    joints("a joint is in no message after the activation", "JOINT_MISSING", lambda r: r.send_joints(REST[:7], names=JOINTS[:7]), begin=lambda w: w.activate_again(), ticks=5, age=STATE_AGE, reaction=()),
    Fault("a camera stops", "CAMERA_STALE", lambda w: w.send(wrist=False), ticks=4, age=CAMERA_AGE),
    image("a camera's stamps are 1 s ahead", "CAMERA_STALE", lambda w: w.robot.send_image("exterior", random_image(3), offset=1_000_000_000), None),
    image("a camera's stamps go back by 0.1 s", "TIME_BACKWARDS", lambda w: w.robot.send_image("exterior", random_image(3), offset=-100_000_000), None, lasts=False, reaction=("step",)),
    image("a camera's stamps are 0", "TIME_BACKWARDS", lambda w: w.robot.send_image("exterior", random_image(3), offset=-w.robot.now), None),
    Fault("a camera sends the same stamp again", "CAMERA_FROZEN", same_stamp, remember_stamp),
    image("a camera sends the same pixels under new stamps", "CAMERA_STILL", lambda w: w.robot.send_image("exterior", random_image(3)), None, ticks=9, age="`cameras.<camera>.max_still`, 0.5 s after the first of them"),
    Fault("stamps are further apart than `sync.max_skew`", "CAMERA_SKEW", begin=apart, ticks=1, age="checked once per tick", lasts=False, reaction=("step",)),
    Fault("two cameras send the same image", "CAMERA_DUPLICATE", identical),
    exterior("an image has another encoding", "IMAGE_ENCODING", encoding="32FC1"),
    exterior("an image has another size", "IMAGE_SIZE", 16, 16),
    exterior("an image has too few bytes", "IMAGE_DATA", data=b"\1" * 100),
    wrist("a JPEG is cut off", "IMAGE_DECODE", encoded_image(random_image(3))[:600]),
    wrist("a compressed image is no image", "IMAGE_DECODE", b"no image at all"),
    Fault("joint states stop", "STATE_LOST", lambda w: w.send(joints=False), ticks=5, age=STATE_AGE, reaction=("stop",)),
    joints("one joint stops", "STATE_STALE", lambda r: r.send_joints(REST[:7], names=JOINTS[:7]), ticks=5, age=STATE_AGE, reaction=("stop",)),
    joints("a message has fewer values than names", "JOINT_COUNT", lambda r: r.send_joints(REST[:7], names=JOINTS)),
    joints("a joint is twice in a message", "JOINT_DUPLICATE", lambda r: r.send_joints([*REST, 0.5], names=[*JOINTS, JOINTS[0]])),
    joint_values("a joint is NaN", "JOINT_NOT_FINITE", 6, math.nan),
    joint_values("a joint is out of range", "JOINT_RANGE", 1, -180.0),
    joints("two publishers contradict each other about a joint", "JOINT_JUMP", jumping_joint, reaction=("stop",), recovery=15),
    joints("a joint message is cut off", "MESSAGE_DATA", truncated_joints),
    joints("the stamps of joint states go back by 0.1 s", "TIME_BACKWARDS", lambda r: r.send_joints(REST, offset=-100_000_000), lasts=False, reaction=("step",)),
    Fault("the prompt is empty", "PROMPT_EMPTY", GOOD, prompt(" "), prompt(PROMPT), ticks=1, age="checked once per tick", reaction=("hold", "stop")),
    Fault("the prompt is too long", "PROMPT_TOO_LONG", GOOD, prompt("put the red block on the green block " * 60), prompt(PROMPT), ticks=1, age="with the next observation", reaction=("hold", "stop")),
    Fault("a control tick is 0.03 s late", "TICK_LATE", GOOD, late_tick, realign, lasts=False, reaction=("step",)),
    Fault("the time jumps ahead by 0.18 s", "TICK_GAP", GOOD, clock_step(180_000_000), realign_gap, reaction=("stop",)),
    Fault("`/clock` goes back by 0.02 s", "CLOCK_BACKWARDS", GOOD, older_clock, start_clock, reaction=("step",), lasts=False),
    Fault("`/clock` stands still", "CLOCK_STILL", begin=stop_clock, end=start_clock, age="1 s of real time", reaction=("stop",)),
    publisher("a second publisher on `/clock`", "CLOCK_SHARED", Clock, "/clock"),
    publisher("another node publishes commands", "OUTPUT_SHARED", Float64MultiArray, "arm_velocity_controller/commands", reaction=("stop",)),
    publisher("a publisher whose QoS cannot match", "QOS_INCOMPATIBLE", String, "prompt", BEST_EFFORT),
    Fault("a publisher of another type", "TOPIC_TYPE", GOOD, OTHER_TYPE.begin, OTHER_TYPE.end, age=TICK, reaction=("step",)),
    Fault("a second node of the same name", "NODE_DUPLICATE", GOOD, DUPLICATE.begin, DUPLICATE.end, age=TICK, reaction=("step",)),
    Fault("nobody listens to a command topic", "OUTPUT_UNHEARD", GOOD, UNHEARD.begin, UNHEARD.end, age="1 s of real time", reaction=("step",)),
    Fault("the emergency stop", "EMERGENCY_STOP", begin=lambda w: w.trigger("stop"), end=release, reaction=("stop", "latch"), wait="`~/resume`"),
    Fault("the dead man's switch falls silent", "HEARTBEAT_LOST", begin=lambda w: w.heartbeats.clear(), end=release, age="`safety.heartbeat_max_age` of real time", reaction=("stop", "latch"), wait="its messages and `~/resume`"),
]
