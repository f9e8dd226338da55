"""The two ways to advance simulation time: in real time, or in lock-step with the node that sends the commands."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sim.cameras import Cameras
from sim.description.robot import JOINT_RATE
from sim.description.world import CAMERA_RATE
from sim.errors import SimulationError
from sim.node import RobotNode
from sim.tasks import CONTROL_RATE
from sim.topics import COMMANDS

SECOND = 1_000_000_000
CLOCK_RATE = 300  # Hz; a common multiple of images (30 Hz), joint states (100 Hz) and a 15 Hz policy
JOINTS_EVERY, IMAGES_EVERY = CLOCK_RATE // JOINT_RATE, CLOCK_RATE // CAMERA_RATE
CONTROL_EVERY = CLOCK_RATE // CONTROL_RATE
STEP_RATE = CLOCK_RATE  # Hz, the least rate of physics steps
MAX_DELAY = 0.1  # s; with a longer delay real time continues from now instead of catching up
DISCOVERY_INTERVAL = 0.5  # s without a new command publisher before lock-step begins


class CameraRenderer:
    """Renders and publishes the images on a separate thread, which owns the OpenGL context. One pair of images at a time."""

    def __init__(self, node: RobotNode) -> None:
        self._node = node
        self._thread = ThreadPoolExecutor(1, "cameras")
        self._cameras: Cameras = self._thread.submit(Cameras, node.arm.model).result()
        node.set_intrinsics(self._cameras)
        self._pending: Future | None = None
        self.render_ms = 0.0  # duration of the last rendering
        for _ in range(3):  # the first images are slow: OpenGL compiles its shaders
            self._thread.submit(self._render, node.arm.data.qpos.copy()).result()

    def start(self, now: int) -> bool:
        """Starts to render the current pose and to publish it with the stamp `now` (ns). False if it is still busy."""
        if self._pending and not self._pending.done():
            return False
        if self._pending:
            self._pending.result()
        self._pending = self._thread.submit(self._publish, now, self._node.arm.data.qpos.copy())
        return True

    def wait(self) -> None:
        """Waits until the images are published."""
        if self._pending:
            self._pending.result()

    def close(self) -> None:
        self._thread.submit(self._cameras.close).result()
        self._thread.shutdown()

    def _render(self, qpos) -> None:
        begin = time.perf_counter()
        self._cameras.render(qpos, self._node.images)
        self.render_ms = (time.perf_counter() - begin) * 1e3

    def _publish(self, now: int, qpos) -> None:
        self._render(qpos)
        self._node.publish_images(now)


def run_real_time(
    node: RobotNode,
    renderer: CameraRenderer,
    stop: threading.Event,
    start: int = 0,
    on_tick: Callable[[], bool] = lambda: False,
) -> None:
    """Runs until `stop` is set: physics and `/clock` at 300 Hz, joint states at 100 Hz, images at 30 Hz.

    `start`: the simulation time at the start, ns. `on_tick` is called after each period of CONTROL_RATE, with `arm_lock`
    held, and returns whether to end.
    """
    arm = node.arm
    tick = dropped = 0
    ended = False
    begin = time.monotonic()
    while not ended and not stop.is_set():
        tick += 1
        delay = time.monotonic() - (begin + tick / CLOCK_RATE)
        if delay < 0:
            time.sleep(-delay)
        elif delay > MAX_DELAY:
            begin += delay
            node.get_logger().warning(
                f"Simulation time is {delay:.2f} s late: the machine is too busy", throttle_duration_sec=5.0
            )
        previous, now = (start + k * SECOND // CLOCK_RATE for k in (tick - 1, tick))
        with node.arm_lock:
            arm.advance(previous, now - previous, 1)
            node.now = now
            readings = arm.read()
            if tick % CONTROL_EVERY == 0:
                ended = on_tick()
        node.publish_clock(now)
        if tick % JOINTS_EVERY == 0:
            node.publish_joints(now, readings)
        if tick % IMAGES_EVERY == 0 and not renderer.start(now):
            dropped += 1
            node.get_logger().warning(
                f"{dropped} pairs of images dropped so far: a pair takes {renderer.render_ms:.0f} ms to render",
                throttle_duration_sec=5.0,
            )
    renderer.wait()


def run_lockstep(
    node: RobotNode, renderer: CameraRenderer, stop: threading.Event, control_rate: float, timeout: float
) -> None:
    """Runs until `stop` is set. At tick k the time is k periods: publishes images, joint states and `/clock`, waits for one
    command per topic, then advances the arm by one period.

    `control_rate`: Hz. `timeout`: s of wall time to wait for commands; then raises SimulationError LOCKSTEP_TIMEOUT.
    """
    period = round(SECOND / control_rate)
    steps = physics_steps(period)
    topics = await_publishers(node, stop, timeout)
    tick = 0
    while not stop.is_set():
        tick += 1
        now = tick * period
        run_tick(node, renderer, stop, now, topics, timeout, repeat=tick == 1)
        with node.arm_lock:
            node.arm.advance(now, period, steps)


def physics_steps(period: int) -> int:
    """The number of equal physics steps in a control period (ns), at STEP_RATE or more. Ignores that the period is rounded."""
    return -(-(STEP_RATE * period - STEP_RATE) // SECOND)


def run_tick(
    node: RobotNode,
    renderer: CameraRenderer,
    stop: threading.Event,
    now: int,
    topics: list[str],
    timeout: float,
    repeat: bool,
) -> None:
    """Publishes images, joint states and `/clock` with the stamp `now` (ns) and waits for one command on each of `topics`.

    `repeat`: publish again each second, because a node that is not yet discovered or not yet active misses the first tick.
    `timeout`: s of wall time; then raises SimulationError LOCKSTEP_TIMEOUT. Returns early if `stop` is set.
    """
    node.now = now
    counts = dict(node.command_counts)
    deadline = time.monotonic() + timeout
    while not stop.is_set():
        renderer.start(now)
        renderer.wait()
        node.publish_joints(now, node.arm.read())
        node.publish_clock(now)
        retry = min(deadline, time.monotonic() + 1.0) if repeat else deadline
        if not (missing := await_commands(node, stop, topics, counts, retry)):
            return
        if time.monotonic() >= deadline:
            raise SimulationError(
                "LOCKSTEP_TIMEOUT",
                f"Expected a command on {' and '.join(missing)} for the tick at {now / SECOND:.3f} s, "
                f"received none within {timeout:g} s",
            )


def await_publishers(node: RobotNode, stop: threading.Event, timeout: float) -> list[str]:
    """The command topics that have a publisher, once no new one has appeared for DISCOVERY_INTERVAL."""
    deadline = time.monotonic() + timeout
    topics: list[str] = []
    while not stop.wait(DISCOVERY_INTERVAL):
        found = [topic for topic in COMMANDS if node.count_publishers(topic)]
        if found and found == topics:
            break
        topics = found
        if not found and time.monotonic() >= deadline:
            raise SimulationError(
                "LOCKSTEP_TIMEOUT", f"Expected a publisher on {', '.join(COMMANDS)}, found none within {timeout:g} s"
            )
    return topics


def await_commands(
    node: RobotNode, stop: threading.Event, topics: list[str], counts: dict[str, int], deadline: float
) -> list[str]:
    """The topics that have no command beyond `counts` at the deadline. Empty if all have one or `stop` is set."""

    def missing() -> list[str]:
        return [topic for topic in topics if node.command_counts[topic] <= counts[topic]]

    with node.command_arrived:
        while missing() and not stop.is_set():
            # Commands notify; the time limit is for signals.
            if not node.command_arrived.wait(min(0.2, max(0.0, deadline - time.monotonic()))) and time.monotonic() >= deadline:
                return missing()
    return []
