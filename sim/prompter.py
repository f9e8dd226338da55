"""Gives the policy node one prompt after the other while the simulation runs in real time."""

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

SETTLE = SECOND // 2  # ns between a new layout and the activation: the node's inputs are of the new layout then
COMMON_TASK = Task("bowl", 0)  # whose layouts are used where there is not one task: they have a bowl
UNKNOWN_DURATION = 10.0  # s, for such a prompt


class Prompter:
    """Runs the simulation and reports episodes on the topic `episode`. The clock never stops and never jumps.

    The arm ignores commands from a new layout until the prompt was accepted. Each method returns early when `stop` is set.
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

    def run(self, prompts: Sequence[str], seed: int, duration: float | None, rearrange: bool = False) -> None:
        """Runs an episode for each prompt, which ends when it is judged or after `duration` s, by default the time limit of its
        task or UNKNOWN_DURATION.

        Each starts from what the last one left; with `rearrange` each has a new layout of `seed`.
        """
        for index, prompt in enumerate(prompts):
            task = task_of_prompt(prompt)
            layout_seed = seed * EPISODES_PER_SEED + (index if rearrange else 0)
            if index == 0 or rearrange:
                self._robot.accepts_commands = False
                self._reset(layout_seed, task if rearrange and task else COMMON_TASK)
            self._call(lambda: self._policy.set_prompt(prompt))  # noqa: B023, called before the next turn
            if self._stop.is_set():
                return
            report = EpisodeReport(index, len(prompts), prompt, layout_seed, task and task.kind, self._robot.now)
            self._publish(report)
            self._robot.accepts_commands = True
            self._publish(self._judged(report, task, duration))
            self._advance(LINGER)

    def continue_until_stopped(self) -> None:
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

    def _reset(self, seed: int, task: Task) -> None:
        """Arranges the objects and the arm as in the layout of `seed`; everything looks as in arm.xml.

        The policy node is inactive meanwhile: the arm jumps to its start, which no joint can do (JOINT_JUMP).
        """
        layout = replace(sample_layout(seed, task), look=DEFAULT_LOOK)
        self._call(self._policy.deactivate)
        self._renderer.wait()
        with self._robot.arm_lock:
            self._robot.arm.reset(layout)
        self._advance(SETTLE)
        self._call(self._policy.activate)

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
