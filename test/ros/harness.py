"""The two sides of the tests: the process of the real node, and a robot made with rclpy."""

import base64
import io
import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import rclpy
import yaml
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from PIL import Image as PillowImage
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

ROOT = Path(__file__).resolve().parents[2]
PI05 = str(ROOT / "bin" / "pi05")
# s after which a waiting test fails. A passing test does not wait this long.
DEADLINE = 120.0

ARM = [f"panda_joint{i}" for i in range(1, 8)]
FINGER = "panda_finger_joint1"
JOINTS = [*ARM, FINGER]
RATE = 15.0
PERIOD = round(1e9 / RATE)
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.VOLATILE)


# Limits that no test reaches, unless it gives its own.
WIDE_LIMITS = {"lower": -1000.0, "upper": 1000.0, "max_velocity": 1000.0, "max_acceleration": 1e6}


class PlainYaml(yaml.SafeDumper):
    """Writes no aliases, which the YAML parser of rcl does not support."""

    def ignore_aliases(self, data):
        return True


def parameters(checkpoint, **changes):
    """Parameters like those of pi05_droid. `changes`: parameters with `__` for each dot; None removes one."""
    finger = {"scale": -0.04, "offset": 0.04}
    flat = {
        "checkpoint": str(checkpoint),
        "backend": "cpu",
        "threads": 1,
        "prompt": "pick up the red block",
        "control_rate": RATE,
        # No time-out on a busy machine; test_safety.py has the defaults.
        "safety.command_timeout": 30.0,
        "safety.max_tick_gap": 30.0,
        "safety.latch_after": 60.0,
        "schedule.mode": "async",
        "schedule.replan_steps": 4,
        "cameras.names": ["exterior", "wrist"],
        "cameras.exterior.topic": "exterior_camera/image_raw",
        "cameras.exterior.slot": "base_0_rgb",
        "cameras.wrist.topic": "wrist_camera/image_raw",
        "cameras.wrist.slot": "left_wrist_0_rgb",
        "state.topic": "joint_states",
        "state.joints": JOINTS,
        "action.joints": JOINTS,
        "action.bound": "scale",
        "outputs.names": ["arm", "gripper"],
        "outputs.arm.topic": "arm_velocity_controller/commands",
        "outputs.arm.type": "float64_multi_array",
        "outputs.arm.joints": ARM,
        "outputs.gripper.topic": "gripper_controller/commands",
        "outputs.gripper.type": "float64_multi_array",
        "outputs.gripper.joints": [FINGER],
    }
    flat |= {f"action.{joint}.{key}": value for joint in ARM for key, value in (("kind", "velocity"), ("scale", 3.0))}
    flat |= {f"action.{joint}.{key}": value for joint in JOINTS for key, value in WIDE_LIMITS.items()}
    flat |= {f"state.{FINGER}.{key}": value for key, value in finger.items()}
    flat |= {f"action.{FINGER}.{key}": value for key, value in ({"kind": "position", "gripper": True} | finger).items()}
    flat |= {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in flat.items() if value is not None}


def nanoseconds(time):
    """A Time or Duration message in ns."""
    return time.sec * 1_000_000_000 + time.nanosec


def processes_with(*words):
    """The ids of the processes whose command lines contain all words."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if all(word in arguments for word in words):
            found.append(int(entry.name))
    return found


class PolicyProcess:
    """The process of `pi05 node`, as a user starts it, and the guard that it starts. `lines` is the log of both."""

    def __init__(self, directory, values, *arguments, namespace="/"):
        self.namespace = namespace
        self.node = f"{namespace.rstrip('/')}/policy_node"
        file = Path(directory) / f"{namespace.strip('/').replace('/', '_') or 'node'}_{time.monotonic_ns()}.yaml"
        file.write_text(yaml.dump({"/**": {"ros__parameters": values}}, Dumper=PlainYaml))
        self.file = file
        command = [PI05, "node", "--ros-args", "--params-file", str(file), "-r", f"__ns:={namespace}", *arguments]
        self.process, self._output = self._spawn(command)
        self.lines = []
        self._line_added = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _spawn(self, command):
        """Starts the process; returns it and a file with its log."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return process, process.stdout

    def _read(self):
        for line in self._output:
            with self._line_added:
                self.lines.append(line.rstrip("\n"))
                self._line_added.notify_all()
        with self._line_added:
            self._line_added.notify_all()

    @property
    def log(self):
        return "\n".join(self.lines)

    def wait_for_log(self, text):
        """Waits until a line of the log contains `text`."""
        with self._line_added:
            found = self._line_added.wait_for(
                lambda: any(text in line for line in self.lines) or not self._reader.is_alive(), DEADLINE
            )
        assert found and text in self.log, f"no {text!r} in the log:\n{self.log}"

    @property
    def guard(self):
        """The process id of the guard; None where there is none."""
        return next(iter(processes_with("guard", str(self.file))), None)

    def wait(self):
        """Waits for the end of the process and, after an orderly exit, of its guard; returns the exit status of the process."""
        status = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return status

    def stop(self, signum=signal.SIGINT):
        """Sends a signal, waits for the end of the process and returns its exit status."""
        self.process.send_signal(signum)
        return self.wait()

    def end(self):
        """Ends the process with SIGTERM, since a killed process leaves its shared memory behind. Kills it if that fails.

        The same for a guard that is left.
        """
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGCONT)
                self.process.terminate()
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self.end_guard()
            self._reader.join(DEADLINE)

    def end_guard(self):
        """Ends the guard. After an orderly exit of the policy it ends by itself."""
        deadline = time.monotonic() + 10
        for guard in processes_with("guard", str(self.file)):
            os.kill(guard, signal.SIGCONT)
            os.kill(guard, signal.SIGTERM)
        while (guard := self.guard) is not None:
            if time.monotonic() > deadline:
                os.kill(guard, signal.SIGKILL)
            time.sleep(0.05)


class Robot:
    """Cameras, joint states, clock, and lists of all messages from the node, in one namespace.

    The test controls the time: `now` (ns) is the stamp of every message and the time that `send_clock` publishes.
    """

    def __init__(self, context, namespace="/", qos=RELIABLE, compressed=()):
        self.namespace = namespace
        self.now = 1_000_000_000_000
        self.ros = rclpy.create_node(f"robot_{os.getpid()}", namespace=namespace, context=context)
        self.executor = SingleThreadedExecutor(context=context)
        self.executor.add_node(self.ros)
        self.chunks, self.arm, self.gripper, self.trajectories, self.diagnostics = [], [], [], [], []
        self.clients = {}
        # How many messages were sent since the last `wait_until_processed`, by topic.
        self._unprocessed = Counter()
        self.compressed = compressed
        self.cameras = {
            name: self.ros.create_publisher(
                CompressedImage if name in compressed else Image,
                f"{name}_camera/image_raw" + ("/compressed" if name in compressed else ""),
                qos,
            )
            for name in ("exterior", "wrist")
        }
        self.joints = self.ros.create_publisher(JointState, "joint_states", qos)
        self.prompt = self.ros.create_publisher(String, "prompt", 10)
        self.clock = self.ros.create_publisher(Clock, "/clock", RELIABLE)
        self.record(JointTrajectory, "policy_node/chunk", self.chunks)
        self.record(Float64MultiArray, "arm_velocity_controller/commands", self.arm)
        self.record(Float64MultiArray, "gripper_controller/commands", self.gripper)
        self.record(JointTrajectory, "arm_controller/joint_trajectory", self.trajectories)
        self.record(DiagnosticArray, "/diagnostics", self.diagnostics)

    def record(self, kind, topic, messages):
        """Subscribes to a topic; appends its messages to a list."""
        self.ros.create_subscription(kind, topic, messages.append, RELIABLE)

    def close(self):
        self.executor.shutdown()
        self.ros.destroy_node()

    # Waiting. Every wait ends with an event or fails after DEADLINE.

    def wait_until(self, condition, what, repeat=None):
        """Spins until `condition()` is true and returns its value. Calls `repeat` ten times per second while it waits."""
        deadline = time.monotonic() + DEADLINE
        next_call = 0.0
        while not (value := condition()):
            now = time.monotonic()
            assert now < deadline, f"timed out after {DEADLINE:g} s waiting for {what}"
            if repeat is not None and now >= next_call:
                repeat()
                next_call = now + 0.1
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def call(self, kind, service, request, retry=True):
        """Calls a service and returns the response.

        With `retry` it calls again after 2 s without a response: a server that has not yet discovered this client loses it.
        """
        if service not in self.clients:
            self.clients[service] = self.ros.create_client(kind, service)
        client = self.clients[service]
        self.wait_until(client.service_is_ready, f"service {service}")
        futures, send_times = [], []

        def send():
            if not futures or retry and time.monotonic() > send_times[-1] + 2:
                futures.append(client.call_async(request))
                send_times.append(time.monotonic())

        done = self.wait_until(lambda: [f for f in futures if f.done()], f"a response of {service}", send)
        return done[0].result()

    # Lifecycle.

    def change_state(self, transition):
        service = "policy_node/change_state"
        if service not in self.clients:
            # A transition that does not exist may be sent twice. After its response the client and the server have discovered
            # each other, so that the real transition is sent only once.
            assert not self.call(ChangeState, service, ChangeState.Request(transition=Transition(id=250))).success
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return self.call(ChangeState, service, request, retry=False).success

    def state(self):
        return self.call(GetState, "policy_node/get_state", GetState.Request()).current_state.label

    def wait_for_state(self, label):
        self.wait_until(lambda: self.state() == label, f"state {label}")

    def wait_until_connected(self):
        """Waits until the subscriptions and publishers of the node, its guard and the robot have discovered each other."""
        node = {publisher: 1 for publisher in self.cameras.values()}
        both = {self.joints: 2}
        names = [publisher.topic_name for publisher in node | both]
        connected = lambda: all(publisher.get_subscription_count() >= count for publisher, count in (node | both).items())
        self.wait_until(connected, f"subscribers of {names}")
        topics = {"policy_node/chunk": 1, "gripper_controller/commands": 2}
        published = lambda: all(self.ros.count_publishers(topic) >= count for topic, count in topics.items())
        self.wait_until(published, f"publishers of {[*topics]}")
        # The client is created after the other endpoints of the robot, and discovery announces them in this order: a guard that
        # answers knows them all.
        self.call(Trigger, "policy_node/resume", Trigger.Request())

    # Messages.

    def stamp(self, offset=0):
        seconds, nanoseconds = divmod(self.now + offset, 1_000_000_000)
        return Time(sec=seconds, nanosec=nanoseconds)

    def send_clock(self):
        self._publish(self.clock, Clock(clock=self.stamp()))

    def send_image(self, camera, pixels, offset=0, encoding="rgb8", **fields):
        height, width = pixels.shape[:2]
        message = Image(height=height, width=width, encoding=encoding, step=pixels.nbytes // height)
        message.header.stamp = self.stamp(offset)
        message.data = pixels.tobytes()
        for field, value in fields.items():
            setattr(message, field, value)
        self._publish(self.cameras[camera], message)

    def send_compressed(self, camera, data, offset=0, kind="jpeg"):
        message = CompressedImage(format=kind, data=data)
        message.header.stamp = self.stamp(offset)
        self._publish(self.cameras[camera], message)

    def send_joints(self, positions, offset=0, names=None):
        message = JointState(name=names or JOINTS, position=[float(p) for p in positions])
        message.header.stamp = self.stamp(offset)
        self._publish(self.joints, message)

    def _publish(self, publisher, message):
        publisher.publish(message)
        self._unprocessed[publisher] += 1

    def send_set(self, exterior=None, wrist=None, positions=None):
        """Sends a valid image of each camera and valid joint states, with the stamp `now`."""
        exterior = random_image(1) if exterior is None else exterior
        wrist = random_image(2) if wrist is None else wrist
        images = {"exterior": exterior, "wrist": wrist}
        for camera, pixels in images.items():
            if camera in self.compressed:
                self.send_compressed(camera, encoded_image(pixels))
            else:
                self.send_image(camera, pixels)
        self.send_joints(REST if positions is None else positions)

    # Ticks. The time of the node is /clock, so that it has exactly these control ticks.

    def advance(self, ticks=1):
        """Advances by control ticks, each after the node has processed the one before."""
        for _ in range(ticks):
            self.now += PERIOD
            self.send_clock()
            self.wait_until_processed()

    def send_next_set(self, **contents):
        """Advances by 1 ms and sends a valid set."""
        self.now += 1_000_000
        self.send_clock()
        self.send_set(**contents)

    def first_chunk(self, **contents):
        """Sends sets until there is a chunk. After it, every topic is known to work in both directions."""
        self.wait_until(lambda: self.chunks, "a chunk", repeat=lambda: self.send_next_set(**contents))
        self.wait_until_processed()
        return self.chunks[-1]

    def wait_until_processed(self):
        """Waits until the node has processed the messages of this robot, and the guard the commands that follow from them.

        Messages of one process arrive in their order. Node and guard take at least one message of each topic that has some
        before they answer a service call, but a message that arrives together with a call may be taken after its answer: so
        there is one call more than messages on a topic. Another one of the guard, since commands reach it in another way; and one
        since this process may take the guard's answer before the guard's last command. `resume` has no effect
        while the guard is not latched. What the node does on other threads (inference, decoding) is not waited for.
        """
        messages = max([1, *self._unprocessed.values()])
        self._unprocessed.clear()
        for _ in range(messages + 1):
            self.state()
        for _ in range(messages + 2):
            self.call(Trigger, "policy_node/resume", Trigger.Request())

    def next_chunk(self, **contents):
        """Advances by ticks and sends sets until there is a chunk of one of them, and returns it."""
        stamps = []

        def repeat():
            self.advance()
            self.send_set(**contents)
            stamps.append(self.stamp())

        return self.wait_until(
            lambda: next((c for c in self.chunks if c.header.stamp in stamps), None), "a chunk of this set", repeat
        )

    # Diagnostics.

    def statuses(self, node):
        """All statuses of `node` so far, oldest first: (component, level, message, values)."""
        prefix = f"{node}: "
        return [
            (s.name.removeprefix(prefix), s.level, s.message, {v.key: v.value for v in s.values})
            for array in self.diagnostics
            for s in array.status
            if s.name.startswith(prefix)
        ]

    def values(self, node):
        """The newest diagnostic values of `node`, of all components in one dictionary."""
        return {key: value for _, _, _, values in self.statuses(node) for key, value in values.items()}


def reference_chunk(node, stamp, exterior, wrist, positions, prompt="pick up the red block"):
    """The chunk that policy and engine compute without the node: an array [rows, joints]."""
    state = [*positions[:7], (positions[7] - 0.04) / -0.04]
    views = {
        name: {"width": pixels.shape[1], "height": pixels.shape[0], "pixels": base64.b64encode(pixels.tobytes()).decode()}
        for name, pixels in (("exterior", exterior), ("wrist", wrist))
    }
    observation = {"stamp": str(nanoseconds(stamp)), "prompt": prompt, "state": state, "views": views}
    script = Path(__file__).with_name("reference.mjs")
    result = subprocess.run(
        ["node", script, node.file], input=json.dumps(observation), capture_output=True, text=True, check=True
    )
    chunk = json.loads(result.stdout)
    return np.array(chunk["values"]).reshape(chunk["rows"], -1)


def chunk_values(chunk):
    """The numbers of a chunk message, [rows, joints]: velocities of the arm, positions of the gripper."""
    return np.array([[*p.velocities[:7], p.positions[7]] for p in chunk.points])


# Joint positions of a valid observation: seven of the arm, rad, and the finger, m.
REST = [0.0, -0.7, 0.0, -2.3, 0.0, 1.6, 0.8, 0.04]


def random_image(seed, width=64, height=48):
    """Random pixels, uint8 [height, width, 3], different for each seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded_image(pixels, kind="JPEG", mode=None, **options):
    """The image as the bytes of a file. `mode`: a mode of Pillow to convert to."""
    image = PillowImage.fromarray(pixels)
    file = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()
