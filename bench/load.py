"""Measures the control loop under load: how late the ticks are, and what each process and each message costs.

One process publishes two raw cameras (rgb8, best effort), another one joint states; `pi05 node` runs with checkpoints/demo.
This process receives commands and diagnostics.

    . .pi05/ros.env && python bench/load.py [--size 1920x1080] [--rate 60] [--joints 500] [--infer] [--seconds 20]

Without --infer the prompt is empty, so that nothing is inferred. CPU times are shares of one core. Run it on a machine that
does nothing else; `--no-node` shows what publishers and DDS need alone.
"""

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import struct
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
for variable, file in (("FASTRTPS_DEFAULT_PROFILES_FILE", "fastdds.xml"), ("FASTDDS_DEFAULT_PROFILES_FILE", "fastdds3.xml")):
    os.environ.setdefault(variable, str(ROOT / "configs" / file))

import numpy as np  # noqa: E402
import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from std_msgs.msg import Float64MultiArray  # noqa: E402

CAMERAS = ("exterior", "wrist")
JOINTS = [*(f"panda_joint{i}" for i in range(1, 8)), "panda_finger_joint1"]
HOME = [0.0, -0.785, 0.0, -2.356, 0.0, 1.571, 0.785, 0.02]
CONTROL_RATE = 15.0
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
WARM_UP = 5.0  # s
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def at_rate(rate, publish):
    """Calls `publish` `rate` times a second, and not more often after a delay."""
    due = time.monotonic()
    while rclpy.ok():
        try:
            publish()
        except RuntimeError:
            if rclpy.ok():
                raise
            return  # ended by a signal
        due = max(due + 1 / rate, time.monotonic() - 1 / rate)
        time.sleep(max(0.0, due - time.monotonic()))


def stamped(message):
    """The bytes of a serialised message with the present time in its header: seconds and nanoseconds at offset 4."""
    now = time.time_ns()
    struct.pack_into("<iI", message, 4, now // 1_000_000_000, now % 1_000_000_000)
    return bytes(message)


def publish_cameras(namespace, width, height, rate, sent):
    """@param sent a shared counter of messages."""
    rclpy.init()
    node = rclpy.create_node("cameras", namespace=namespace)
    cameras = []
    for seed, name in enumerate(CAMERAS):
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8).tobytes()
        message = Image(height=height, width=width, encoding="rgb8", step=3 * width, data=pixels)
        publisher = node.create_publisher(Image, f"{name}_camera/image_raw", BEST_EFFORT)
        cameras.append((publisher, bytearray(serialize_message(message))))

    def publish():
        for publisher, message in cameras:
            publisher.publish(stamped(message))
        sent.value += len(cameras)

    at_rate(rate, publish)


def publish_joints(namespace, rate):
    rclpy.init()
    node = rclpy.create_node("joints", namespace=namespace)
    publisher = node.create_publisher(JointState, "joint_states", BEST_EFFORT)
    message = bytearray(serialize_message(JointState(name=JOINTS, position=HOME)))
    at_rate(rate, lambda: publisher.publish(stamped(message)))


def cpu_seconds(stat):
    fields = Path(stat).read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class Usage:
    """The CPU time of processes between two calls of `start` and `shares`."""

    def __init__(self, processes):
        self.processes = processes

    def _read(self):
        usage = {name: cpu_seconds(f"/proc/{pid}/stat") for name, pid in self.processes.items()}
        for name, pid in self.processes.items():
            if name in ("node", "guard"):
                usage[f"{name}, main thread"] = cpu_seconds(f"/proc/{pid}/task/{pid}/stat")
        return usage

    def start(self):
        self.began, self.before = time.monotonic(), self._read()

    def shares(self):
        """Shares of one core."""
        elapsed = time.monotonic() - self.began
        return {name: (seconds - self.before[name]) / elapsed for name, seconds in self._read().items()}


def guard_of(namespace):
    """The process id of the node's guard, where there is one."""
    for entry in Path("/proc").iterdir():
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if b"guard" in arguments and any(namespace.encode() in argument for argument in arguments):
            return int(entry.name)
    return None


class Monitor:
    """Receives the commands and the diagnostics of the node."""

    def __init__(self, namespace):
        rclpy.init()
        self.node = rclpy.create_node("monitor", namespace=namespace)
        self.prefix = f"{namespace}/policy_node: "
        self.commands = []  # s
        self.values = {}
        self.node.create_subscription(Float64MultiArray, "arm_velocity_controller/commands", self._command, 50)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics, 10)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def _command(self, _):
        self.commands.append(time.monotonic())

    def _diagnostics(self, array):
        for status in array.status:
            if status.name.startswith(self.prefix):
                self.values |= {value.key: value.value for value in status.values}

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(left)

    def wait_until_active(self):
        end = time.monotonic() + 60
        while self.values.get("state") != "active":
            if time.monotonic() > end:
                raise SystemExit(f"Expected an active node, received {self.values}")
            self.executor.spin_once(0.5)


def start_node(namespace, infer):
    changes = ["-p", "backend:=cpu", "-p", "safety.hold_before_plan:=true"]
    if not infer:
        changes += ["-p", "prompt:=''"]
    command = [str(ROOT / "bin" / "pi05"), "node", "--ros-args", "--params-file", str(ROOT / "configs" / "demo.yaml")]
    log = open(f"/tmp/{namespace.strip('/')}.log", "w")
    return subprocess.Popen(
        [*command, "-r", f"__ns:={namespace}", *changes], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT
    )


def measure(options):
    namespace = f"/load_{os.getpid()}"
    width, height = (int(side) for side in options.size.split("x"))
    context = multiprocessing.get_context("spawn")
    sent = context.Value("q", 0)
    publishers = {
        "cameras": context.Process(target=publish_cameras, args=(namespace, width, height, options.rate, sent)),
        "joints": context.Process(target=publish_joints, args=(namespace, options.joints)),
    }
    for process in publishers.values():
        process.start()
    processes = {name: process.pid for name, process in publishers.items()}
    node = None if options.no_node else start_node(namespace, options.infer)
    try:
        monitor = Monitor(namespace)
        if node is not None:
            monitor.wait_until_active()
            processes["node"] = node.pid
            guard = guard_of(namespace)
            processes |= {} if guard is None else {"guard": guard}
        monitor.spin(WARM_UP)
        usage = Usage(processes)
        usage.start()
        monitor.commands.clear()
        images = sent.value
        monitor.spin(options.seconds)
        shares, images = usage.shares(), sent.value - images
        # Two more periods of the diagnostics.
        monitor.spin(2.0)
        return report(options, shares, images, monitor)
    finally:
        if node is not None:
            node.send_signal(signal.SIGINT)
            node.wait(30)
            # A latched guard outlives its policy.
            guard = guard_of(namespace)
            if guard is not None:
                os.kill(guard, signal.SIGTERM)
        for process in publishers.values():
            process.terminate()
            process.join()


def report(options, shares, images, monitor):
    gaps = [1000 * (b - a) for a, b in zip(monitor.commands, monitor.commands[1:], strict=False)]
    per_second = images / options.seconds
    node = shares.get("node, main thread")
    return {
        "size": options.size,
        "rate": options.rate,
        "inference": options.infer,
        "images_per_second": round(per_second, 1),
        "tick_lateness_ms": {
            key: float(value)
            for key in ("p50", "p99", "max")
            if (value := monitor.values.get(f"tick_lateness_ms_{key}")) is not None
        },
        "command_gap_ms": {"median": round(statistics.median(gaps), 1), "max": round(max(gaps), 1)} if gaps else None,
        "command_gap_limit_ms": round(2000 / CONTROL_RATE, 1),
        "cpu": {name: round(share, 3) for name, share in shares.items()},
        # An upper limit: the joint states and the ticks are in it too.
        "main_thread_ms_per_image": None if node is None else round(1000 * node / per_second, 3),
        "cameras": {key: int(value) for key, value in monitor.values.items() if key.startswith("camera.")},
        "latency_ms_p50": monitor.values.get("latency_ms_p50"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1920x1080", help="pixels, width x height")
    parser.add_argument("--rate", type=float, default=60.0, help="images per second and camera")
    parser.add_argument("--joints", type=float, default=500.0, help="joint states per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of the measurement")
    parser.add_argument("--infer", action="store_true", help="with inference on the CPU")
    parser.add_argument("--no-node", action="store_true", help="only the publishers")
    print(json.dumps(measure(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
