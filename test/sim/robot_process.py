"""The process of the simulated arm, and a node that receives its messages and commands it."""

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
DEADLINE = 60.0  # s; a passing test does not wait this long
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)


def nanoseconds(stamp) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def start(module: str, *arguments: str, **options) -> subprocess.Popen:
    """Starts `python -m module …` in the root of the package."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


class RobotProcess:
    """`python -m sim.robot …` as a context manager: it is ready after entry and has ended after exit."""

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
        # SIGINT first: a process that is killed leaves its shared memory behind.
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def end(self, signum: int = signal.SIGINT) -> tuple[int, str]:
        """Sends a signal; returns exit status and stderr."""
        self._process.send_signal(signum)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Waits for the end; returns exit status and stderr."""
        _, errors = self._process.communicate(timeout=DEADLINE)
        return self._process.returncode, errors


class ArmClient:
    """A node that receives the messages of the arm and sends commands to it. In lock-step it receives every tick."""

    def __init__(self, namespace: str = "") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = Node("arm_client", namespace=namespace, context=self._context)
        self._executor = rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._messages: dict[int, dict] = {}
        self.clock_times: list[int] = []
        self.velocity_publisher = self.node.create_publisher(Float64MultiArray, "arm_velocity_controller/commands", RELIABLE)
        self._gripper = self.node.create_publisher(Float64MultiArray, "gripper_controller/commands", RELIABLE)
        for camera in ("exterior", "wrist"):
            self.node.create_subscription(Image, f"{camera}_camera/image_raw", self._store(camera), RELIABLE)
        self.node.create_subscription(JointState, "joint_states", self._store("joints"), RELIABLE)
        self.node.create_subscription(Clock, "/clock", lambda m: self.clock_times.append(nanoseconds(m.clock)), RELIABLE)

    def _store(self, name: str):
        def store(message) -> None:
            self._messages.setdefault(nanoseconds(message.header.stamp), {})[name] = message

        return store

    def __enter__(self) -> "ArmClient":
        return self

    def __exit__(self, *_) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait_until(self, condition) -> None:
        """Spins until `condition()` is true."""
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, f"timed out after {DEADLINE:g} s"
            self._executor.spin_once(timeout_sec=0.1)

    def tick(self, now: int) -> dict:
        """Waits for the tick at `now` ns. Returns its messages by name: exterior, wrist, joints."""
        self.wait_until(lambda: now in self.clock_times and len(self._messages.get(now, {})) == 3)
        return self._messages[now]

    def command(self, velocities: list[float], gripper: float = 0.04) -> None:
        """Publishes one command per topic: rad/s, m."""
        self.velocity_publisher.publish(Float64MultiArray(data=velocities))
        self._gripper.publish(Float64MultiArray(data=[gripper]))
