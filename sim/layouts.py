"""Random layouts of the scene: where the objects are, how everything looks, and where the arm starts.

A layout is plain data. Lengths are in m, angles in rad unless a name says otherwise, colours are rgb in 0 … 1.
"""

from dataclasses import dataclass

import numpy as np

from sim.description import robot, world
from sim.kinematics import flange_pose
from sim.look import DEFAULT_LOOK, Look, distractor_colour, sample_look
from sim.tasks import COLOURS, TASKS, Task

HELD_OUT_SEEDS = range(0, 1_000_000)
"""For evaluation only. Never train on a layout of these."""
TRAINING_SEEDS = range(1_000_000, 2**32)

Range = tuple[float, float]

HOME = np.array([joint.home for joint in robot.JOINTS if joint.kind == "revolute"])
START_NOISE = 0.08  # rad, standard deviation of each joint
START_HEIGHT = 0.3  # m, the least height of the tool centre point (TCP) at the start; objects are up to 0.06 m high
TCP_LENGTH = next(link.site[1][2] for link in robot.LINKS if link.name == "panda_hand")  # m, from the flange

BLOCK_X, BLOCK_Y = (0.38, 0.64), (-0.22, 0.22)
BLOCK_HALF_SIZE = (0.024, 0.027)
BLOCK_DISTANCE = 0.115  # between centres: the open fingers fit between two blocks
BOWL_X, BOWL_Y = (0.38, 0.62), (-0.25, 0.25)
BOWL_DISTANCE = 0.15  # between the centres of bowl and block: the open fingers fit between them
BOWL_SHARE = 0.5  # of the layouts for tasks without the bowl
DISTRACTOR_X, DISTRACTOR_Y = (0.32, 0.72), (-0.30, 0.30)
DISTRACTOR_DISTANCE = 0.10  # between the centres of a distractor and any other object, more for the bowl
DISTRACTOR_SHARES = (0.4, 0.35, 0.25)  # of the layouts with 0, 1 and 2 of them
REACH = (
    0.33,
    0.70,
)  # horizontal distance from the base at which the gripper, pointing down, reaches all heights up to 0.25 m


@dataclass(frozen=True)
class Block:
    """A cube on the mat."""

    x: float
    y: float
    yaw: float
    half_size: float


@dataclass(frozen=True)
class Distractor:
    """An object that no task names. `kind`: cylinder, box or ellipsoid; `half_size`: along its three axes."""

    kind: str
    x: float
    y: float
    yaw: float
    half_size: tuple[float, float, float]
    rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Layout:
    """`blocks` are in the order of COLOURS. `bowl` is the position (x, y), or None if there is no bowl. There are at most two
    distractors. `start`: joint positions [7].
    """

    blocks: tuple[Block, Block, Block]
    bowl: tuple[float, float] | None
    distractors: tuple[Distractor, ...]
    start: tuple[float, ...]
    look: Look


def home_layout() -> Layout:
    """The layout of `arm.xml`."""
    size = world.BLOCK_SIZE
    yaws = [2 * np.arctan2(block.quat[3], block.quat[0]) for block in world.BLOCKS]
    blocks = [Block(*block.pos[:2], float(yaw), size) for block, yaw in zip(world.BLOCKS, yaws, strict=True)]
    return Layout(tuple(blocks), world.BOWL.pos[:2], (), tuple(HOME.tolist()), DEFAULT_LOOK)


def sample_layout(seed: int, task: Task) -> Layout:
    """The layout of a seed for a kind of task; it does not depend on the blocks that the task names."""
    rng = np.random.default_rng((seed, TASKS.index(task.kind)))
    has_bowl = task.kind == "bowl" or rng.random() < BOWL_SHARE
    count = int(rng.choice(len(DISTRACTOR_SHARES), p=DISTRACTOR_SHARES))
    bowl, blocks = sample_positions(rng, has_bowl)
    return Layout(
        tuple(Block(x, y, float(rng.uniform(-np.pi, np.pi)), float(rng.uniform(*BLOCK_HALF_SIZE))) for x, y in blocks),
        bowl,
        sample_distractors(rng, count, blocks, bowl),
        sample_start(rng),
        sample_look(rng),
    )


Point = tuple[float, float]


def sample_point(rng: np.random.Generator, x: Range, y: Range) -> Point:
    return float(rng.uniform(*x)), float(rng.uniform(*y))


def is_clear(point: Point, others: list[Point], distance: float) -> bool:
    """Whether the point is further than `distance` from all others."""
    return all(np.hypot(point[0] - x, point[1] - y) > distance for x, y in others)


def in_reach(point: Point) -> bool:
    return REACH[0] <= np.hypot(*point) <= REACH[1]


def sample_positions(rng: np.random.Generator, has_bowl: bool) -> tuple[Point | None, list[Point]]:
    """The bowl, if there is one, and the blocks. All are in reach."""
    while True:
        bowl = sample_point(rng, BOWL_X, BOWL_Y) if has_bowl else None
        blocks = [sample_point(rng, BLOCK_X, BLOCK_Y) for _ in COLOURS]
        apart = all(is_clear(block, blocks[:index], BLOCK_DISTANCE) for index, block in enumerate(blocks))
        beside_bowl = bowl is None or is_clear(bowl, blocks, BOWL_DISTANCE)
        if apart and beside_bowl and all(in_reach(point) for point in (*blocks, *([bowl] if bowl else []))):
            return bowl, blocks


def sample_distractors(
    rng: np.random.Generator, count: int, blocks: list[Point], bowl: Point | None
) -> tuple[Distractor, ...]:
    """Up to `count` distractors; fewer if no place is found."""
    placed: list[Distractor] = []
    for _ in range(count):
        for _ in range(50):
            point = sample_point(rng, DISTRACTOR_X, DISTRACTOR_Y)
            others = blocks + [(other.x, other.y) for other in placed]
            if is_clear(point, others, DISTRACTOR_DISTANCE) and (not bowl or is_clear(point, [bowl], BOWL_DISTANCE)):
                placed.append(sample_distractor(rng, point, [other.kind for other in placed]))
                break
    return tuple(placed)


def sample_distractor(rng: np.random.Generator, point: Point, taken: list[str]) -> Distractor:
    """A distractor of a kind that is not taken. None looks like a block: each is flat, round or long."""
    kind = str(rng.choice([kind for kind in ("cylinder", "box", "ellipsoid") if kind not in taken]))
    if kind == "cylinder":
        radius = rng.uniform(0.018, 0.026)
        half_size = (radius, radius, rng.uniform(0.015, 0.028))
    elif kind == "box":
        half_size = (rng.uniform(0.035, 0.045), rng.uniform(0.018, 0.025), rng.uniform(0.008, 0.014))
    else:
        radius = rng.uniform(0.022, 0.03)
        half_size = (radius, radius, rng.uniform(0.018, 0.026))
    yaw = float(rng.uniform(-np.pi, np.pi))
    return Distractor(kind, *point, yaw, tuple(float(value) for value in half_size), distractor_colour(rng))


def sample_start(rng: np.random.Generator) -> tuple[float, ...]:
    """Joint positions [7] near home, with the TCP above START_HEIGHT."""
    while True:
        q = HOME + rng.normal(0, START_NOISE, len(HOME))
        flange = flange_pose(q)
        if flange[2, 3] + TCP_LENGTH * flange[2, 2] > START_HEIGHT:
            return tuple(q.tolist())
