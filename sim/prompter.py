"""Gives the policy node one prompt after the other while the simulation runs in real time, with a new layout for each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from std_msgs.msg import String

from sim.clock import SECOND, CameraRenderer, run_real_time
from sim.episode import EPISODES_PER_SEED
from sim.episode_report import LINGER, EpisodeReport
from sim.judge import Judge
from sim.layouts import sample_layout
from sim.look import DEFAULT_LOOK
from sim.node import RobotNode
from sim.policy_control import PolicyControl
from sim.tasks import CONTROL_RATE, TIME_LIMITS, Task, task_of_prompt
from sim.topics import EPISODE, EPISODE_QOS

SETTLE = SECOND // 2  # ns between a new layout and its prompt: the node's images are of the new layout then
UNKNOWN_TASK = Task("bowl", 0)  # whose layouts are used for a prompt that is no wording of a task: they have a bowl
UNKNOWN_DURATION = 10.0  # s, for such a prompt


class Prompter:
    """Runs the simulation and reports episodes on the topic `episode`. The clock never stops and never jumps.

    Between two episodes the arm ignores commands. Each method returns early when `stop` is set.
    """

    def __init__(self, robot: RobotNode, renderer: CameraRenderer, policy: PolicyControl, stop: threading.Event) -> None:
        self._robot = robot
        self._renderer = renderer
        self._policy = policy
        self._stop = stop
        self._services = ThreadPoolExecutor(1, "services")
        self._reports = robot.create_publisher(String, EPISODE, EPISODE_QOS)
        robot.accepts_commands = False

    def __enter__(self) -> "Prompter":
        return self

    def __exit__(self, *_) -> None:
        self._services.shutdown()

    def connect(self) -> None:
        """Waits until the policy node is active. Raises SimulationError POLICY_TIMEOUT."""
        self._call(self._policy.connect)
        self._call(lambda: self._policy.wait_for_state("active"))

    def run(self, prompts: Sequence[str], seed: int, duration: float | None) -> None:
        """Runs an episode for each prompt. `seed`: each has its own layouts. `duration`: see `perform`."""
        for index, prompt in enumerate(prompts):
            self.perform(EpisodeReport(index, len(prompts), prompt, seed * EPISODES_PER_SEED + index, None, 0), duration)

    def perform(self, report: EpisodeReport, duration: float | None) -> None:
        """Runs one episode with the prompt and the layout seed of `report`.

        It ends when it is judged, or after `duration` s; by default the time limit of its task or UNKNOWN_DURATION.
        """
        task = task_of_prompt(report.prompt)
        self._reset(report.seed, task)
        self._advance(SETTLE)
        self._call(lambda: self._policy.set_prompt(report.prompt))
        if self._stop.is_set():
            return
        report = replace(report, task=task and task.kind, begin=self._robot.now)
        self._publish(report)
        self._robot.accepts_commands = True
        self._publish(self._judged(report, task, duration))
        self._advance(LINGER)
        self._robot.accepts_commands = False

    def continue_until_stopped(self) -> None:
        self._robot.accepts_commands = True
        self._run(lambda: False)

    def _judged(self, report: EpisodeReport, task: Task | None, duration: float | None) -> EpisodeReport:
        """Simulates until the end of the episode; returns the report with the result."""
        if task is None:
            self._advance(round((duration or UNKNOWN_DURATION) * SECOND))
            return replace(report, end=self._robot.now)
        limit = TIME_LIMITS[task.kind] if duration is None else max(1, round(duration * CONTROL_RATE))
        judge = Judge(self._robot.arm, task, limit)
        self._run(lambda: judge.update() is not None)
        reason = judge.reason.replace("_", " ")
        if judge.reason == "time limit":
            reason = f"not within {limit / CONTROL_RATE:.1f} s"
        return replace(report, end=self._robot.now, success=judge.outcome == "success", reason=reason)

    def _reset(self, seed: int, task: Task | None) -> None:
        """Arranges the objects as in the layout of `seed`; everything looks as in arm.xml."""
        layout = replace(sample_layout(seed, task or UNKNOWN_TASK), look=DEFAULT_LOOK)
        self._renderer.wait()
        with self._robot.arm_lock:
            self._robot.arm.reset(layout)

    def _publish(self, report: EpisodeReport) -> None:
        if not self._stop.is_set():
            self._reports.publish(String(data=report.to_json()))

    def _call(self, function: Callable[[], None]) -> None:
        """Calls a service of the policy node while the simulation runs. Raises its SimulationError."""
        future = self._services.submit(function)
        self._run(future.done)
        if not self._stop.is_set():
            future.result()

    def _advance(self, duration: int) -> None:
        """Simulates `duration` ns, rounded to control periods."""
        end = self._robot.now + duration
        self._run(lambda: self._robot.now >= end)

    def _run(self, has_ended: Callable[[], bool]) -> None:
        """Simulates until `has_ended`, which is called once per control period, is true."""
        run_real_time(self._robot, self._renderer, self._stop, self._robot.now, has_ended)
