"""When things happen: real time, paced on the steady clock, or lock-step with whoever sends the commands."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from sim.cameras import Cameras
from sim.description.robot import JOINT_RATE
from sim.description.world import CAMERA_RATE
from sim.failure import Failure
from sim.node import RobotNode
from sim.topics import COMMANDS

SECOND = 1_000_000_000
CLOCK_RATE = 300  # Hz; pictures (30 Hz), joint states (100 Hz) and a 15 Hz policy all fall on its ticks
JOINTS_EVERY, PICTURES_EVERY = CLOCK_RATE // JOINT_RATE, CLOCK_RATE // CAMERA_RATE
STEP_RATE = CLOCK_RATE  # physics steps a second, at least
SLIP = 0.1  # s of delay after which real time starts anew instead of catching up
SETTLE = 0.5  # s without a new command publisher before lock-step begins


class Studio:
    """The cameras on a thread of their own, which owns the OpenGL context; one pair of pictures at a time."""

    def __init__(self, node: RobotNode) -> None:
        self._node = node
        self._thread = ThreadPoolExecutor(1, "cameras")
        self._cameras: Cameras = self._thread.submit(Cameras, node.arm.model).result()
        node.calibrate(self._cameras)
        self._pending: Future | None = None
        self.milliseconds = 0.0
        for _ in range(3):  # the first pictures compile the pipeline
            self._thread.submit(self._render, node.arm.data.qpos.copy()).result()

    def offer(self, now: int) -> bool:
        """Takes and publishes the arm's pictures stamped `now` meanwhile; False = still busy with the last ones."""
        if self._pending and not self._pending.done():
            return False
        if self._pending:
            self._pending.result()
        self._pending = self._thread.submit(self._publish, now, self._node.arm.data.qpos.copy())
        return True

    def finish(self) -> None:
        """Waits for the pictures under way."""
        if self._pending:
            self._pending.result()

    def close(self) -> None:
        self._thread.submit(self._cameras.close).result()
        self._thread.shutdown()

    def _render(self, qpos) -> None:
        begin = time.perf_counter()
        self._cameras.shoot(qpos, self._node.pictures)
        self.milliseconds = (time.perf_counter() - begin) * 1e3

    def _publish(self, now: int, qpos) -> None:
        self._render(qpos)
        self._node.publish_pictures(now)


def real_time(node: RobotNode, studio: Studio, stop: threading.Event) -> None:
    """Until `stop`: physics and `/clock` at 300 Hz, joint states at 100 Hz, pictures at 30 Hz."""
    arm = node.arm
    tick = dropped = 0
    begin = time.monotonic()
    while not stop.is_set():
        tick += 1
        late = time.monotonic() - (begin + tick / CLOCK_RATE)
        if late < 0:
            time.sleep(-late)
        elif late > SLIP:
            begin += late
            node.get_logger().warning(f"Real time slipped by {late:.2f} s: the machine is too busy", throttle_duration_sec=5.0)
        before, now = (tick - 1) * SECOND // CLOCK_RATE, tick * SECOND // CLOCK_RATE
        with node.arm_lock:
            arm.advance(before, now - before, 1)
            node.now = now
            readings = arm.read()
        node.publish_clock(now)
        if tick % JOINTS_EVERY == 0:
            node.publish_joints(now, readings)
        if tick % PICTURES_EVERY == 0 and not studio.offer(now):
            dropped += 1
            node.get_logger().warning(
                f"{dropped} pairs of pictures dropped so far: a pair takes {studio.milliseconds:.0f} ms to render",
                throttle_duration_sec=5.0,
            )
    studio.finish()


def lockstep(node: RobotNode, studio: Studio, stop: threading.Event, control_rate: float, timeout: float) -> None:
    """Until `stop`: sensors and `/clock` of tick k at k periods, then the commands of that tick, then the next one."""
    period = round(SECOND / control_rate)
    steps = -(-STEP_RATE * period // SECOND)
    topics = await_publishers(node, stop, timeout)
    tick = 0
    while not stop.is_set():
        tick += 1
        node.now = now = tick * period
        taken = dict(node.commanded)
        deadline = time.monotonic() + timeout
        while not stop.is_set():
            studio.offer(now)
            studio.finish()
            node.publish_joints(now, node.arm.read())
            node.publish_clock(now)
            # Somebody who is not yet matched or not yet active has missed tick 1: it is offered again.
            retry = min(deadline, time.monotonic() + 1.0) if tick == 1 else deadline
            if not (missing := await_commands(node, stop, topics, taken, retry)):
                break
            if time.monotonic() >= deadline:
                raise Failure(
                    "LOCKSTEP_TIMEOUT",
                    f"Expected a command on {' and '.join(missing)} for the tick at {now / SECOND:.3f} s, "
                    f"received none within {timeout:g} s",
                )
        with node.arm_lock:
            node.arm.advance(now, period, steps)


def await_publishers(node: RobotNode, stop: threading.Event, timeout: float) -> list[str]:
    """The command topics that somebody publishes to, once their number has settled."""
    deadline = time.monotonic() + timeout
    topics: list[str] = []
    while not stop.wait(SETTLE):
        found = [topic for topic in COMMANDS if node.count_publishers(topic)]
        if found and found == topics:
            break
        topics = found
        if not found and time.monotonic() >= deadline:
            raise Failure(
                "LOCKSTEP_TIMEOUT", f"Expected a publisher on {', '.join(COMMANDS)}, found none within {timeout:g} s"
            )
    return topics


def await_commands(
    node: RobotNode, stop: threading.Event, topics: list[str], taken: dict[str, int], deadline: float
) -> list[str]:
    """The topics without a new command since `taken` at the deadline; none = all came (or `stop`)."""

    def missing() -> list[str]:
        return [topic for topic in topics if node.commanded[topic] <= taken[topic]]

    with node.command_arrived:
        while missing() and not stop.is_set():
            # Woken by commands; the limit lets a signal through.
            if not node.command_arrived.wait(min(0.2, max(0.0, deadline - time.monotonic()))) and time.monotonic() >= deadline:
                return missing()
    return []
