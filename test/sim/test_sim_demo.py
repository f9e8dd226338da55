"""The arm of the demo, which gives prompts. This process acts as the policy node: it moves to the block of the prompt."""

import json

import numpy as np
from inverse_kinematics import pointing_down
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from robot_process import ArmClient, start
from std_msgs.msg import String

from sim.episode import EPISODES_PER_SEED
from sim.episode_report import EpisodeReport
from sim.kinematics import JOINTS
from sim.layouts import sample_layout
from sim.prompter import COMMON_TASK
from sim.tasks import Task, task_of_prompt
from sim.topics import EPISODE_QOS

SEED = 3
PROMPTS = ["touch the blue block", "Please pick up the red block.", "wave at me"]
SPEED = 1.0  # rad/s


class TouchingPolicy(ArmClient):
    """Active from the beginning. Touches the block of the prompt; does nothing for other prompts."""

    def __init__(self, namespace: str, layout_task: Task | None = None) -> None:
        super().__init__(namespace)
        self._layout_task = layout_task
        self.prompts: list[str] = []
        self.transitions: list[int] = []
        self.reports: list[EpisodeReport] = []
        self.joints: dict[int, np.ndarray] = {}  # by stamp in ns, [7] rad
        self._goal: np.ndarray | None = None
        for kind, name, answer in (
            (GetState, "get_state", self._get_state),
            (ChangeState, "change_state", self._change_state),
            (SetParameters, "set_parameters", self._set_parameters),
        ):
            self.node.create_service(kind, f"policy_node/{name}", answer)
        self.node.create_subscription(String, "episode", self._on_episode, EPISODE_QOS)

    def _get_state(self, _, response):
        response.current_state = State(id=State.PRIMARY_STATE_ACTIVE, label="active")
        return response

    def _change_state(self, request, response):
        if request.transition.id in (Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE):
            self.transitions.append(request.transition.id)
        response.success = True
        return response

    def _set_parameters(self, request, response):
        for parameter in request.parameters:
            self.prompts.append(parameter.value.string_value)
            self._goal = goal(parameter.value.string_value, len(self.prompts) - 1, self._layout_task)
        response.results = [SetParametersResult(successful=True)] * len(request.parameters)
        return response

    def _on_episode(self, message: String) -> None:
        self.reports.append(EpisodeReport.from_json(message.data))

    def follow(self) -> None:
        """Commands the arm once, from the last joint states."""
        newest = max((stamp for stamp, tick in self._messages.items() if "joints" in tick), default=None)
        if newest is None:
            return
        message = self._messages[newest]["joints"]
        self.joints[newest] = measured = np.array(message.position[: len(JOINTS)])
        self._messages.clear()
        moving = np.zeros(7) if self._goal is None else np.clip(5 * (self._goal - measured), -SPEED, SPEED)
        self.command(moving.tolist(), gripper=0.0)


def goal(prompt: str, index: int, layout_task: Task | None) -> np.ndarray | None:
    """Joint positions [7] at which the hand touches the block of the prompt.

    The layout is that of the episode or, with a `layout_task`, that of the first episode.
    """
    task = task_of_prompt(prompt)
    if task is None:
        return None
    layout_seed = SEED * EPISODES_PER_SEED + (0 if layout_task else index)
    block = sample_layout(layout_seed, layout_task or task).blocks[task.block]
    return pointing_down(np.array([block.x, block.y, 0.04]))


def test_gives_each_prompt_with_a_new_layout_and_reports_what_happened():
    arguments = [argument for prompt in PROMPTS for argument in ("--prompt", prompt)]
    process = start("sim.demo", *arguments, "--rearrange", "--seed", str(SEED), "--duration", "4", "--namespace", "/cell")
    with TouchingPolicy("/cell") as policy:
        assert json.loads(process.stdout.readline())["ready"] is True
        policy.node.create_timer(1 / 15, policy.follow)
        policy.wait_until(lambda: len(policy.reports) == 2 * len(PROMPTS))
        process.terminate()
        stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert policy.prompts == PROMPTS
    # The node is inactive while the arm jumps to the start of a layout.
    assert policy.transitions == [Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE] * len(PROMPTS)
    begins, ends = policy.reports[::2], policy.reports[1::2]
    assert [(report.index, report.prompt, report.task, report.end) for report in begins] == [
        (0, PROMPTS[0], "touch", None),
        (1, PROMPTS[1], "pick", None),
        (2, PROMPTS[2], None, None),
    ]
    touched, picked, waved = ends
    assert touched.success and touched.seconds < 4
    assert (picked.success, picked.reason) == (False, "not within 4.0 s")
    assert (waved.success, waved.seconds) == (None, 4)
    # The arm is in the start pose of its layout when the second episode begins: the commands of the first one did not move it.
    second = begins[1]
    before = max(stamp for stamp in policy.joints if stamp <= second.begin)
    assert second.begin - before < 0.4e9
    layout = sample_layout(second.seed, task_of_prompt(second.prompt))
    np.testing.assert_allclose(policy.joints[before], layout.start, atol=2e-3)


def test_a_prompt_starts_from_what_the_last_one_left():
    prompts = ["touch the blue block", "pick up the blue block"]
    arguments = [f"--prompt={prompt}" for prompt in prompts]
    process = start("sim.demo", *arguments, f"--seed={SEED}", "--duration=4", "--namespace=/cell")
    with TouchingPolicy("/cell", COMMON_TASK) as policy:
        assert json.loads(process.stdout.readline())["ready"] is True
        policy.node.create_timer(1 / 15, policy.follow)
        policy.wait_until(lambda: len(policy.reports) == 2 * len(prompts))
        process.terminate()
        _, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    (_, touched, begin, _) = policy.reports
    assert touched.success and begin.seed == touched.seed == SEED * EPISODES_PER_SEED
    # The arm is still at the block.
    stamps = [stamp for stamp in policy.joints if touched.end <= stamp <= begin.begin]
    assert stamps and begin.begin - touched.end < 1.5e9
    start_pose = sample_layout(touched.seed, COMMON_TASK).start
    assert min(np.abs(policy.joints[stamp] - start_pose).max() for stamp in stamps) > 0.2
