"""A new task: hold the open hand over the bowl."""

import numpy as np

from sim.expert import OPEN, ExpertState
from sim.scene import Scene
from training.new_tasks import NewTask, roll_out, velocity_towards

HEIGHT = 0.17  # m, of the TCP over the base of the bowl
TOLERANCE = 0.03  # m


def expert(state: ExpertState, prefix: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    goal = state.bowl + [0.0, 0.0, HEIGHT]
    facing_ahead = np.zeros(len(goal))

    def decide(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return velocity_towards(q, goal, facing_ahead), np.full(len(q), OPEN)

    return roll_out(state, decide, prefix, lengths)


def is_done(scene: Scene) -> bool:
    goal = scene.bowl_position + [0.0, 0.0, HEIGHT]
    return bool(np.linalg.norm(scene.tcp_position - goal) < TOLERANCE)


TASK = NewTask(
    kind=__name__,
    prompts=("hover over the bowl", "hover above the bowl", "hold the hand over the bowl", "move over the bowl"),
    time_limit=96,  # control ticks, 6.4 s
    is_done=is_done,
    expert=expert,
)
