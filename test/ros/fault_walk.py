"""Measures what a running node makes of a fault: when it reports it, what the robot does meanwhile, and when good chunks come again.

The clock of the walk is the time of the node, so every time is a number of control ticks, however slow the machine is. There is no tick
while the walk waits for a message, and a report counts at the stamp of the diagnostics that have it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from harness import PERIOD, REST, Robot, encoded_image, random_image
from rcl_interfaces.srv import GetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Empty, String
from std_srvs.srv import Trigger

PROMPT = "pick up the red block"
# More ticks than the rest of a chunk and `schedule.engine_timeout` take.
MOST_TICKS = 40
# Cameras and joint states are best effort: where a message was lost, what follows from it is not awaited for longer, s, and the fault is
# measured again.
PATIENCE = 10.0
ATTEMPTS = 3


def nothing(_walk):
    pass


@dataclass(frozen=True)
class Fault:
    """One row. `send` is called in each tick for as long as the fault lasts, `begin` once before and `end` once after it."""

    name: str
    code: str
    send: Callable = nothing
    begin: Callable = nothing
    end: Callable = nothing
    # Control ticks from the last good message to the report; 0 = at the bad message.
    ticks: int = 0
    # What these ticks are, or a time that is not simulated.
    age: str = ""
    # What the robot does after the report, in this order: step, hold, stop, latch; empty = it has not moved yet.
    reaction: tuple[str, ...] = ("step", "hold", "stop")
    # Whether the fault stays until the end of the reaction.
    lasts: bool = True
    # Control ticks from the first good set to the stamp of the first good chunk.
    recovery: int = 0
    # Whether it is there before the measurement begins.
    present: bool = False
    # What has to happen before the first good set.
    wait: str = ""


@dataclass(frozen=True)
class Row:
    """What was measured of a fault."""

    fault: Fault
    ticks: int
    reaction: tuple[str, ...]
    recovery: int


class PatientRobot(Robot):
    """Advances /clock by nanoseconds while it waits, so that a slow machine is no clock that stands still."""

    keeps_clock = True
    patience = None
    _waited = 0

    def wait_until(self, condition, what, repeat=None):
        def wait():
            if repeat is not None:
                repeat()
            if self.keeps_clock:
                self._waited += 10
                self.clock.publish(Clock(clock=self.stamp(self._waited)))
            if end is not None and time.monotonic() > end:
                raise TimeoutError(what)

        end = None if self.patience is None else time.monotonic() + self.patience
        return super().wait_until(condition, what, wait)

    def send_clock(self):
        self._waited = 0
        super().send_clock()


class Walk:
    """A node, its robot, and an operator with a dead man's switch."""

    def __init__(self, node, robot, heartbeat_topic):
        self.node, self.robot = node, robot
        self.safety = []
        self.images = 0
        # Whether the fault that is measured latches the guard.
        self.latches = False
        latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        robot.ros.create_subscription(DiagnosticStatus, "policy_node/safety", self.safety.append, latched)
        self.heartbeats = threading.Event()
        self.heartbeats.set()
        self._ended = threading.Event()
        self._heartbeat = robot.ros.create_publisher(Empty, heartbeat_topic, 10)
        self._thread = threading.Thread(target=self._send_heartbeats, daemon=True)
        self._thread.start()

    def _send_heartbeats(self):
        while not self._ended.wait(0.1):
            if self.heartbeats.is_set():
                self._heartbeat.publish(Empty())

    def close(self):
        self._ended.set()
        self._thread.join()

    # What is sent.

    def tick(self):
        """Advances by one control tick, and waits until the node and its guard have it."""
        self.robot.now += PERIOD
        self.robot.send_clock()
        if self.latches:
            # The barrier of the guard is `resume`, which would release it.
            self.robot.state()
        else:
            self.robot.wait_until_processed()

    def tick_of_motion(self):
        """As `tick`, for a robot that gets commands; it ends with the command of the tick."""
        before = len(self.robot.arm)
        self.tick()
        self.robot.wait_until(lambda: len(self.robot.arm) > before, "the command of this tick")

    def send(self, exterior=True, wrist=True, joints=True):
        """Sends valid messages of the inputs that are true."""
        if exterior:
            self.images += 1
            self.robot.send_image("exterior", random_image(100 + self.images))
        if wrist:
            self.robot.send_compressed("wrist", encoded_image(random_image(2)))
        if joints:
            self.robot.send_joints(REST)

    def set_prompt(self, text):
        """Publishes a prompt and waits until the node has it."""
        request = GetParameters.Request(names=["prompt"])
        value = lambda: self.call(GetParameters, "get_parameters", request).values[0].string_value
        self.robot.wait_until(lambda: value() == text, "the prompt", repeat=lambda: self.robot.prompt.publish(String(data=text)))

    def call(self, kind, service, request):
        return self.robot.call(kind, f"policy_node/{service}", request)

    def trigger(self, service):
        return self.call(Trigger, service, Trigger.Request())

    def resume(self):
        self.robot.wait_until(lambda: self.trigger("resume").success, "the end of the latch")

    def activate_again(self):
        assert self.robot.change_state("deactivate") and self.robot.change_state("activate")

    def wait_for_chunk(self, since):
        """Waits for a chunk of an observation at `since` or later; returns its stamp."""
        stamps = lambda: [stamp for stamp in map(stamp_of, self.robot.chunks) if stamp >= since]
        return self.robot.wait_until(stamps, "a chunk")[0]

    def good(self):
        """Good chunks, the last one of the newest set, and steps of them."""
        before = len(self.robot.arm)
        for _ in range(MOST_TICKS):
            self.tick()
            self.send()
            try:
                self.robot.patience = PATIENCE / 5
                self.wait_for_chunk(self.robot.now)
            except TimeoutError:
                continue
            finally:
                self.robot.patience = None
            if any(map(moves, self.robot.arm[before:])):
                return
        raise AssertionError("no motion by good chunks")

    # What is observed.

    def values(self, array):
        """The values of all components of the node in one message, and their sentences; {} where it is of another node."""
        statuses = [status for status in array.status if status.name.startswith(f"{self.node.node}: ")]
        values = {v.key: v.value for status in statuses for v in status.values}
        return values | {"messages": [status.message for status in statuses]} if statuses else {}

    def newest(self):
        return next((values for array in reversed(self.robot.diagnostics) if (values := self.values(array))), {})

    def count(self, code, values):
        """How often these diagnostics report a code."""
        reports = sum(int(values.get(f"{kind}.{code}", 0)) for kind in ("refused", "fault"))
        recent = any(message.startswith(f"{code}: ") for message in values.get("messages", ()))
        return reports + (f"present.{code}" in values) + (values.get("latched") == code) + recent

    def commands(self, reason):
        return int(self.newest().get(f"commands.{reason}", 0))

    def wait_for_report(self, code, before, seen):
        """Waits for diagnostics after the first `seen` ones that report a code once more; returns their stamp."""
        arrays = lambda: [a for a in self.robot.diagnostics[seen:] if self.count(code, self.values(a)) > before]
        return stamp_of(self.robot.wait_until(arrays, code)[0])

    # The measurement.

    def measure(self, fault):
        """Measures one fault, from good chunks to good chunks; again where a message was lost."""
        for attempt in range(ATTEMPTS):
            try:
                row = self.measure_once(fault)
                if (row.ticks, row.reaction, row.recovery) == (fault.ticks, fault.reaction, fault.recovery):
                    break
            except TimeoutError as error:
                self.robot.patience = None
                fault.end(self)
                self.latches = False
                if attempt == ATTEMPTS - 1:
                    raise AssertionError(f"timed out waiting for {error}: {self.newest()}") from None
        return row

    def measure_once(self, fault):
        if fault.reaction:
            self.good()
            if fault.ticks == 0:
                self.tick_of_motion()
        seen, before = len(self.robot.diagnostics), self.count(fault.code, self.newest())
        if fault.present:
            seen = before = 0
        self.latches = "latch" in fault.reaction
        self.safety.clear()
        holds = self.commands("hold")
        self.robot.patience = PATIENCE
        fault.begin(self)
        onset = self.robot.now
        if fault.ticks == 0:
            fault.send(self)
        for _ in range(fault.ticks):
            if fault.reaction:
                self.tick_of_motion()
            else:
                self.tick()
            fault.send(self)
        ticks = round((self.wait_for_report(fault.code, before, seen) - onset) / PERIOD)
        reaction = self.reaction(fault, holds)
        fault.end(self)
        self.latches = False
        recovery = self.recovery(fault)
        self.robot.patience = None
        return Row(fault, ticks, reaction, recovery)

    def reaction(self, fault, holds):
        """What the robot does while the fault lasts, each of step, hold, stop and latch once, in their order."""
        if not fault.reaction:
            return ()
        kinds = []
        stopped = lambda: any(v.key == "state" and v.value in ("stopped", "latched") for s in self.safety[-1:] for v in s.values)
        latched = lambda: self.newest().get("latched", "") != ""
        for _ in range((MOST_TICKS if "stop" in fault.reaction else 3) if fault.lasts else 1):
            if stopped():
                break
            before = len(self.robot.arm)
            self.tick()
            fault.send(self)
            self.robot.wait_until(lambda: len(self.robot.arm) > before or stopped(), "the command of this tick")
            if len(self.robot.arm) > before and moves(self.robot.arm[before]):
                kinds.append("step")
            else:
                # The counters of the commands come with a report, or once per second.
                self.robot.wait_until(lambda: self.commands("hold") > holds or stopped(), "the reason of the command")
                if self.commands("hold") > holds:
                    kinds.append("hold")
        if stopped():
            kinds.append("stop")
        if "latch" in fault.reaction:
            self.robot.wait_until(latched, "a latch")
        if latched():
            kinds.append("latch")
        return tuple(dict.fromkeys(kinds))

    def recovery(self, fault):
        """Ticks from the first good set to the stamp of the first chunk, which the robot then executes."""
        first = self.robot.now + PERIOD
        for _ in range(fault.recovery + 1):
            self.tick()
            self.send()
        stamp = self.wait_for_chunk(first)
        before = len(self.robot.arm)
        self.tick()
        self.send()
        self.robot.wait_until(lambda: any(map(moves, self.robot.arm[before:])), "motion")
        return round((stamp - first) / PERIOD)


def stamp_of(message):
    """The stamp of a message, ns."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def moves(command):
    return any(command.data)
