"""Runs the node for a long time and checks that its memory does not grow and that no control tick is lost.

One process is the robot: two raw cameras and joint states that follow the commands. `pi05 node` runs with checkpoints/demo and
infers on the CPU. A third process notes when this machine gave no time to any process, since a tick that is lost then is not the
node's. Prints JSON; exit status 1 where a check fails.

    . .pi05/ros.env && python bench/soak.py --seconds 3600

Checks, counted from 5 s after the first inference:
- memory (resident, all processes of the node): from 60 s on no sample is more than 30 MiB above that at 60 s, and from 10 minutes on it grows by less
  than 1 MiB a minute (least squares);
- ticks: as many as control periods between the first and the last diagnostics, by their stamps;
- inferences have gone on until the end, no command passed the limits, and the node ends with status 0.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from pathlib import Path

import load
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray

SETTLED = 60.0  # s; memory is compared with its value at this time
MAX_GROWTH = 30.0  # MiB
MAX_SLOPE = 1.0  # MiB per minute
MIN_SLOPE_TIME = 600.0  # s; in a shorter time the garbage collector decides the slope
MEMORY_INTERVAL = 5.0  # s
PERIOD = 1 / load.CONTROL_RATE
JOINT_RATE = 500.0
IMAGES = 8  # different images of each camera


class Arm:
    """Joints that follow the commands: velocities of the arm, a position of the finger."""

    def __init__(self):
        self.positions = np.array(load.HOME)
        self.velocities = np.zeros(7)
        self.moved_at = time.monotonic()

    def step(self):
        now = time.monotonic()
        self.positions[:7] += self.velocities * (now - self.moved_at)
        self.moved_at = now
        return self.positions


def run_robot(namespace, size, rate):
    """Publishes cameras and joint states until a signal ends it."""
    rclpy.init()
    node = rclpy.create_node("robot", namespace=namespace)
    arm = Arm()

    def move_arm(message):
        arm.velocities = np.array(message.data)

    def move_finger(message):
        arm.positions[7] = message.data[0]

    node.create_subscription(Float64MultiArray, "arm_velocity_controller/commands", move_arm, 10)
    node.create_subscription(Float64MultiArray, "gripper_controller/commands", move_finger, 10)
    threads = [
        threading.Thread(target=publish_cameras, args=(node, size, rate)),
        threading.Thread(target=publish_joints, args=(node, arm)),
    ]
    for thread in threads:
        thread.start()
    with contextlib.suppress(ExternalShutdownException):
        rclpy.spin(node)
    for thread in threads:
        thread.join()


def publish_cameras(node, size, rate):
    width, height = size
    cameras = []
    for seed, name in enumerate(load.CAMERAS):
        pixels = np.random.default_rng(seed).integers(0, 256, (IMAGES, height, width, 3), np.uint8)
        messages = [Image(height=height, width=width, encoding="rgb8", step=3 * width, data=p.tobytes()) for p in pixels]
        publisher = node.create_publisher(Image, f"{name}_camera/image_raw", load.BEST_EFFORT)
        cameras.append((publisher, [bytearray(serialize_message(message)) for message in messages]))
    sent = 0

    def publish():
        nonlocal sent
        for publisher, messages in cameras:
            publisher.publish(load.stamped(messages[sent % IMAGES]))
        sent += 1

    load.at_rate(rate, publish)


def publish_joints(node, arm):
    publisher = node.create_publisher(JointState, "joint_states", load.BEST_EFFORT)
    message = bytearray(serialize_message(JointState(name=load.JOINTS, position=load.HOME)))
    place = bytes(message).find(np.array(load.HOME).tobytes())

    def publish():
        message[place : place + 64] = arm.step().tobytes()
        publisher.publish(load.stamped(message))

    load.at_rate(JOINT_RATE, publish)


def note_pauses(count, longest):
    """Counts how many control periods this process, which needs almost no time, was not run for."""
    before = time.monotonic()
    while True:
        time.sleep(0.005)
        now = time.monotonic()
        pause = now - before - 0.005
        longest.value = max(longest.value, pause)
        if pause > PERIOD / 2:
            count.value += 1 + int(pause / PERIOD)
        before = now


def memory(pid):
    """Resident memory of a process, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def children(pid):
    """The processes that a process has started, and theirs."""
    found = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [*found, *(below for child in found for below in children(child))]


class Soak(load.Monitor):
    """Receives the diagnostics of the node and samples its memory."""

    def __init__(self, namespace):
        super().__init__(namespace)
        self.longest_gap = 0.0  # s between two commands
        self.ticks = []  # (stamp s, number) of each diagnostics
        self.samples = []  # (s, {process: MiB})

    def _command(self, _):
        now = time.monotonic()
        if self.commands:
            self.longest_gap = max(self.longest_gap, now - self.commands.pop())
        self.commands.append(now)

    def _diagnostics(self, array: DiagnosticArray):
        super()._diagnostics(array)
        for status in array.status:
            if status.name == f"{self.prefix}control":
                stamp = array.header.stamp
                self.ticks.append((stamp.sec + stamp.nanosec / 1e9, int(self.values["ticks"])))

    def wait_for_inference(self):
        end = time.monotonic() + 120
        while int(self.values.get("chunks", 0)) == 0:
            if time.monotonic() > end:
                raise SystemExit(f"Expected an inference within 120 s, received {self.values}")
            self.executor.spin_once(0.5)

    def sample(self, seconds, processes):
        """Spins for a time and samples the memory of processes, {name: pid}."""
        start, minutes = time.monotonic(), 1
        while (elapsed := time.monotonic() - start) < seconds:
            self.samples.append((elapsed, {name: memory(pid) for name, pid in processes.items()}))
            if elapsed > 60 * minutes:
                minutes += 1
                print(f"{elapsed:.0f} s: {self.lost} ticks lost, {total(self.samples[-1]):.1f} MiB", file=sys.stderr, flush=True)
            self.spin(min(MEMORY_INTERVAL, seconds - elapsed))

    @property
    def lost(self):
        """Control periods between the first and the last diagnostics without a tick."""
        (began, before), (ended, after) = self.ticks[0], self.ticks[-1]
        return round((ended - began) * load.CONTROL_RATE) - (after - before)


def total(sample):
    return sum(sample[1].values())


def slope(samples):
    """MiB per minute, least squares."""
    times, values = [at / 60 for at, _ in samples], [total(sample) for sample in samples]
    return float(np.polyfit(times, values, 1)[0])


def numbers(values, prefix):
    return {key.removeprefix(prefix): int(value) for key, value in values.items() if key.startswith(prefix)}


def results(monitor, seconds, earlier_chunks, status, pauses, longest_pause):
    """@param earlier_chunks number of inferences before the measurement."""
    (began, before), (ended, after) = monitor.ticks[0], monitor.ticks[-1]
    lost = monitor.lost
    warm = [sample for sample in monitor.samples if sample[0] >= SETTLED]
    # The garbage collector makes single samples differ.
    base = float(np.median([total(sample) for sample in monitor.samples if abs(sample[0] - SETTLED) <= 10]))
    growth = max(total(sample) for sample in warm) - base
    per_minute = slope(warm) if seconds >= MIN_SLOPE_TIME else None
    chunks = int(monitor.values["chunks"]) - earlier_chunks
    problems = []
    if lost > 1 + pauses:
        problems.append(f"{lost} control ticks were lost, and the machine paused for {pauses} periods")
    if growth > MAX_GROWTH:
        problems.append(f"memory grew by {growth:.1f} MiB")
    if per_minute is not None and per_minute > MAX_SLOPE:
        problems.append(f"memory grows by {per_minute:.2f} MiB per minute")
    if chunks < seconds / 4:
        problems.append(f"only {chunks} inferences")
    if monitor.values.get("latched"):
        problems.append(f"latched: {monitor.values['latched']}")
    if status != 0:
        problems.append(f"the node ended with status {status}")
    return {
        "problems": problems,
        "seconds": round(ended - began, 1),
        "ticks": {"expected": after - before + lost, "lost": lost},
        "commands": numbers(monitor.values, "commands."),
        "command_gap_ms_max": round(1000 * monitor.longest_gap, 1),
        "tick_lateness_ms": {k: float(monitor.values[f"tick_lateness_ms_{k}"]) for k in ("p50", "p99", "max")},
        "machine_paused": {"periods": pauses, "longest_ms": round(1000 * longest_pause, 1)},
        "memory_mib": {
            "at_60_s": {name: round(value, 1) for name, value in warm[0][1].items()},
            "at_the_end": {name: round(value, 1) for name, value in warm[-1][1].items()},
            "largest_growth": round(growth, 1),
            "per_minute": None if per_minute is None else round(per_minute, 3),
        },
        "inferences": chunks,
        "inference_ms_p50": float(monitor.values["inference_ms_p50"]),
        "cameras": {key: int(value) for key, value in monitor.values.items() if key.startswith("camera.")},
        "refused": numbers(monitor.values, "refused."),
        "faults": numbers(monitor.values, "fault."),
        "load_average": os.getloadavg(),
    }


def soak(options):
    namespace = f"/soak_{os.getpid()}"
    size = tuple(int(side) for side in options.size.split("x"))
    context = multiprocessing.get_context("spawn")
    pauses, longest = context.Value("q", 0), context.Value("d", 0.0)
    helpers = [
        context.Process(target=run_robot, args=(namespace, size, options.rate)),
        context.Process(target=note_pauses, args=(pauses, longest), daemon=True),
    ]
    for helper in helpers:
        helper.start()
    node = load.start_node(namespace, infer=True)
    try:
        monitor = Soak(namespace)
        monitor.wait_until_active()
        monitor.wait_for_inference()
        monitor.spin(load.WARM_UP)
        processes = {"node": node.pid, "guard": load.guard_of(namespace)}
        processes |= {f"child {i}": pid for i, pid in enumerate(children(node.pid)) if pid != processes["guard"]}
        monitor.ticks.clear()
        monitor.commands.clear()
        monitor.longest_gap, pauses.value, longest.value = 0.0, 0, 0.0
        earlier_chunks = int(monitor.values["chunks"])
        monitor.sample(options.seconds, processes)
        node.send_signal(signal.SIGINT)
        return results(monitor, options.seconds, earlier_chunks, node.wait(30), pauses.value, longest.value)
    finally:
        if node.poll() is None:
            node.terminate()
            node.wait(30)
        guard = load.guard_of(namespace)
        if guard is not None:
            os.kill(guard, signal.SIGTERM)
        for helper in helpers:
            helper.terminate()
            helper.join(10)
            helper.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600.0, help="from the first inference")
    parser.add_argument("--size", default="640x480", help="pixels of each camera, width x height")
    parser.add_argument("--rate", type=float, default=30.0, help="images per second and camera")
    options = parser.parse_args()
    if options.seconds < 2 * SETTLED:
        parser.error(f"expected at least {2 * SETTLED:g} seconds, received {options.seconds:g}")
    found = soak(options)
    print(json.dumps(found, indent=2))
    raise SystemExit(1 if found["problems"] else 0)


if __name__ == "__main__":
    main()
