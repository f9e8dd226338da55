"""The simulated arm as a process, and a lock-step partner for it: what the tests talk to."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 60.0  # s; only a broken test waits this long
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


def nanoseconds(stamp) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def start(module: str, *arguments: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


class RobotProcess:
    """`python -m sim.robot …`, ready when entered, ended when left."""

    def __init__(self, *arguments: str) -> None:
        self._process = start("sim.robot", *arguments)
        self.ready: dict = {}

    def __enter__(self) -> "RobotProcess":
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the arm did not start: {self._process.communicate(timeout=DEADLINE)[1]}")
        self.ready = json.loads(line)
        return self

    def __exit__(self, *_) -> None:
        # A killed process would leave its shared memory behind.
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Exit status and stderr after a signal."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, errors = self._process.communicate(timeout=DEADLINE)
        return self._process.returncode, errors


class Partner:
    """Sees every tick of a lock-step arm and answers it."""

    def __init__(self, namespace: str = "") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("partner", namespace=namespace, context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._seen: dict[int, dict] = {}
        self._clocks: list[int] = []
        self._velocity = self.node.create_publisher(Float64MultiArray, "arm_velocity_controller/commands", RELIABLE)
        self._gripper = self.node.create_publisher(Float64MultiArray, "gripper_controller/commands", RELIABLE)
        for camera in ("exterior", "wrist"):
            self.node.create_subscription(Image, f"{camera}_camera/image_raw", self._keep(camera), RELIABLE)
        self.node.create_subscription(JointState, "joint_states", self._keep("joints"), RELIABLE)
        self.node.create_subscription(Clock, "/clock", lambda m: self._clocks.append(nanoseconds(m.clock)), RELIABLE)

    def _keep(self, name: str):
        def keep(message) -> None:
            self._seen.setdefault(nanoseconds(message.header.stamp), {})[name] = message

        return keep

    def __enter__(self) -> "Partner":
        return self

    def __exit__(self, *_) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def until(self, condition) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            self._executor.spin_once(timeout_sec=0.1)

    def tick(self, now: int) -> dict:
        """Messages by name (exterior, wrist, joints) of the tick at `now` ns, once all and the clock are there."""
        self.until(lambda: now in self._clocks and len(self._seen.get(now, {})) == 3)
        return self._seen[now]

    def command(self, velocities: list[float], gripper: float = 0.04) -> None:
        self._velocity.publish(Float64MultiArray(data=velocities))
        self._gripper.publish(Float64MultiArray(data=[gripper]))
