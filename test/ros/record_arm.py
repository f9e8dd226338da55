"""Records the simulated arm into a rosbag2 bag with the independent `rosbags` package, without ROS.

    python test/ros/record_arm.py OUT [--seconds 2] [--lockstep] [--compressed jpeg|png] [--storage mcap|sqlite3] [--namespace NS]

Images at 30 Hz, joint states at 100 Hz, `/clock` at 300 Hz, commands at 15 Hz. With --lockstep there is one of each per tick,
as `sim.robot --lockstep` publishes them. Stamps are simulation time, which starts at START; log times are DELAY later.
"""

import argparse
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.enums import StoragePlugin
from rosbags.typesys import Stores, get_typestore

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SECOND = 1_000_000_000
START = 1000 * SECOND
PERIOD = round(SECOND / 15)
# From stamp to log time, ns. Messages of one stamp keep this order.
DELAY = {"exterior": 200_000, "wrist": 300_000, "joints": 400_000, "clock": 500_000, "command": 900_000}
STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types


class Recorder:
    """Writes ROS messages into a bag. `namespace`: '' or one like '/left'."""

    def __init__(self, path, storage="mcap", namespace=""):
        plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
        self.writer = Writer(path, version=9, storage_plugin=plugin)
        self.namespace = namespace
        self.connections = {}

    def __enter__(self):
        self.writer.open()
        return self

    def __exit__(self, *_):
        self.writer.close()

    def write(self, topic, kind, time, *fields):
        if not topic.startswith("/"):
            topic = f"{self.namespace}/{topic}"
        self.copy(topic, kind, time, STORE.serialize_cdr(TYPES[kind](*fields), kind))

    def copy(self, topic, kind, time, data):
        """Writes a serialised message of another bag."""
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=STORE)
        self.writer.write(self.connections[topic], time, data)

    def clock(self, stamp):
        self.write("/clock", "rosgraph_msgs/msg/Clock", stamp + DELAY["clock"], ros_time(stamp))

    def image(self, camera, stamp, pixels):
        height, width = pixels.shape[:2]
        fields = (header(stamp, camera), height, width, "rgb8", 0, 3 * width, pixels.reshape(-1))
        self.write(f"{camera}_camera/image_raw", "sensor_msgs/msg/Image", stamp + DELAY[camera], *fields)

    def compressed(self, camera, stamp, data, kind):
        fields = (header(stamp, camera), f"rgb8; {kind} compressed bgr8", np.frombuffer(data, np.uint8))
        topic = f"{camera}_camera/image_raw/compressed"
        self.write(topic, "sensor_msgs/msg/CompressedImage", stamp + DELAY[camera], *fields)

    def joints(self, stamp, names, readings):
        fields = (header(stamp, "base"), list(names), readings.position, readings.velocity, readings.effort)
        self.write("joint_states", "sensor_msgs/msg/JointState", stamp + DELAY["joints"], *fields)

    def command(self, topic, stamp, values):
        layout = TYPES["std_msgs/msg/MultiArrayLayout"]([], 0)
        data = np.array(values, np.float64)
        self.write(topic, "std_msgs/msg/Float64MultiArray", stamp + DELAY["command"], layout, data)


def ros_time(ns):
    return TYPES["builtin_interfaces/msg/Time"](ns // SECOND, ns % SECOND)


def header(stamp, frame):
    return TYPES["std_msgs/msg/Header"](ros_time(stamp), frame)


def encoded_image(pixels, kind):
    out = io.BytesIO()
    PillowImage.fromarray(pixels).save(out, kind, **({"quality": 90} if kind == "jpeg" else {"compress_level": 1}))
    return out.getvalue()


def record(path, seconds=2.0, lockstep=False, compressed=None, storage="mcap", namespace=""):
    """Records an arm that moves in sines. The imports are local, so that tests can use this module without OpenGL."""
    from sim.arm import Arm
    from sim.cameras import HEIGHT, WIDTH, Cameras
    from sim.kinematics import FINGERS, JOINTS
    from sim.topics import GRIPPER, VELOCITY

    arm = Arm()
    cameras = Cameras(arm.model)
    images = {camera: np.zeros((HEIGHT, WIDTH, 3), np.uint8) for camera in ("exterior", "wrist")}

    def render(stamp):
        cameras.render(arm.data.qpos, images)
        for camera, pixels in images.items():
            if compressed:
                recorder.compressed(camera, stamp, encoded_image(pixels, compressed), compressed)
            else:
                recorder.image(camera, stamp, pixels)

    def command(stamp):
        t = (stamp - START) / SECOND
        velocities = [0.2 * np.sin(2 * t + joint) for joint in range(7)]
        opening = [0.02 + 0.02 * np.cos(3 * t)]
        arm.control.set_velocity(velocities, VELOCITY)
        arm.gripper.set_position(opening, GRIPPER)
        recorder.command(VELOCITY, stamp, velocities)
        recorder.command(GRIPPER, stamp, opening)

    with Recorder(path, storage, namespace) as recorder:
        if lockstep:
            recorder.clock(START)
            for tick in range(1, round(seconds * SECOND / PERIOD) + 1):
                stamp = START + tick * PERIOD
                render(stamp)
                recorder.joints(stamp, JOINTS + FINGERS, arm.read())
                recorder.clock(stamp)
                command(stamp)
                arm.advance(stamp, PERIOD, 20)
        else:
            for tick in range(round(seconds * 300)):
                stamp, next_stamp = (START + k * SECOND // 300 for k in (tick, tick + 1))
                if tick % 10 == 0:
                    render(stamp)
                if tick % 3 == 0:
                    recorder.joints(stamp, JOINTS + FINGERS, arm.read())
                recorder.clock(stamp)
                if tick % 20 == 0:
                    command(stamp)
                arm.advance(stamp, next_stamp - stamp, 1)
    cameras.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--lockstep", action="store_true")
    parser.add_argument("--compressed", choices=["jpeg", "png"])
    parser.add_argument("--storage", default="mcap", choices=["mcap", "sqlite3"])
    parser.add_argument("--namespace", default="")
    record(**vars(parser.parse_args()))
