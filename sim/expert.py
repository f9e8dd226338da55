"""A scripted expert for the tasks: inverse kinematics from the positions of the objects, which the policy never sees.

The expert is a function of the present state alone, so it can label any state, also one that a policy got into. A chunk is
its kinematic roll-out: the arm follows the commanded velocities exactly, a held block follows the hand. Within a chunk the
arm does not move any more once the gripper has begun to close or to open: what follows depends on contact, which only the
next observation shows. A chunk that lifts at a planned time fails with delay, when the hand lifts before the fingers hold.
With delay the first steps of a chunk are skipped, so what has to come first gets a chunk of its own: a hand that is too low to
move sideways only rises.
"""

from dataclasses import dataclass, replace

import numpy as np

from sim.kinematics import hand_frames
from sim.scene import Scene
from sim.tasks import TASKS, Task

TOUCH, PICK, BOWL, STACK = (TASKS.index(kind) for kind in ("touch", "pick", "bowl", "stack"))

HORIZON = 15  # steps of a chunk
PERIOD = 1 / 15  # s
VELOCITY_SCALE = 3.0  # rad/s at action 1.0, as in DROID
OPEN, CLOSED = 0.0, 1.0  # gripper action
FINGER_OPEN = 0.04  # m
FINGER_SPEED = 0.1  # m/s

MAX_LINEAR, MAX_ANGULAR, MAX_JOINT = 0.3, 1.0, 1.0  # m/s, rad/s, rad/s
MAX_PREFIX = 1.2  # rad/s, the limit of the executed velocities
MAX_CARRY, MAX_LOWER = 0.2, 0.07  # m/s while a block is held, and down onto another block
MAX_RISE = 0.15  # m/s where nothing but a rise is safe
LINEAR_GAIN, DESCENT_GAIN, ANGULAR_GAIN, POSTURE_GAIN = 6.0, 3.0, 4.0, 1.0  # 1/s
DAMPING = 0.02  # of the least-squares inverse
HOME = np.array([0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398])  # rad

APPROACH = 0.10  # m above the goal while it is far away
FUNNEL_SLOPE, FUNNEL_RADIUS = 5.0, 0.009  # the height above the goal is slope · (lateral distance − radius)
GRASP_LATERAL, GRASP_VERTICAL, GRASP_YAW = 0.014, 0.012, 0.2  # m, m, rad: near enough to close
GRASP_BELOW = 0.008  # m, how far the TCP may be below the centre: the fingertips must not press on the table
GRASP_HEIGHT = 0.003  # m above the centre of the block, where the expert aims
MAX_YAW = np.radians(70)  # of the hand; other orientations of a grasp are preferred
CARRY_HEIGHT = 0.15  # m, TCP while a block is carried over other blocks
LIFT = 0.13  # m above the table for a block that was picked up
BOWL_RELEASE_HEIGHT = 0.058  # m, TCP: the fingertips stay above the rim
BOWL_RADIUS, BOWL_DEPTH = 0.05, 0.056  # m: a block whose centre is within both is in the bowl
BOWL_LATERAL, STACK_LATERAL, RELEASE_VERTICAL = 0.018, 0.011, 0.008  # m: near enough to open
PAUSE = 5  # steps at rest after a grasp or a release was observed, so that delay does not skip the start of the motion
TOO_LOW = 0.05  # m below the funnel: nothing but a rise is safe
PAUSE_HEIGHT = 0.015  # m above the place of the grasp or release: moving already
STACK_GAP = 0.003  # m between the blocks when the upper one is released
RETREAT = 0.15  # m above the placed block
FINGERTIP = 0.009  # m from the TCP down to the end of the fingers


@dataclass
class ExpertState:
    """States of n environments, in the base frame of the arm, and their tasks."""

    q: np.ndarray  # [n, 7] rad
    finger: np.ndarray  # [n] m, position of a finger: 0 closed, 0.04 open
    blocks: np.ndarray  # [n, 3, 3] m, centres
    yaws: np.ndarray  # [n, 3] rad, modulo 90 degrees
    halves: np.ndarray  # [n, 3] m, half an edge
    bowl: np.ndarray  # [n, 3] m, centre of its base
    kind: np.ndarray  # [n] index into TASKS
    block: np.ndarray  # [n] index of the named block
    onto: np.ndarray  # [n] index of the block to stack on; any index for other tasks


def expert_state(scenes: list[Scene], tasks: list[Task]) -> ExpertState:
    """The present states of the scenes, each with its task."""
    return ExpertState(
        q=np.array([scene.joint_positions for scene in scenes]),
        finger=np.array([scene.finger_position for scene in scenes]),
        blocks=np.array([scene.block_positions for scene in scenes]),
        yaws=square_yaws(np.array([scene.block_quats for scene in scenes])),
        halves=np.array([scene.block_half_sizes for scene in scenes]),
        bowl=np.array([scene.bowl_position for scene in scenes]),
        kind=np.array([TASKS.index(task.kind) for task in tasks]),
        block=np.array([task.block for task in tasks]),
        onto=np.array([task.onto or 0 for task in tasks]),
    )


@dataclass
class _Decision:
    """What the expert wants in one state."""

    velocity: np.ndarray  # [n, 7] rad/s
    gripper: np.ndarray  # [n] OPEN or CLOSED
    held: np.ndarray  # [n] the named block is between closed fingers
    near: np.ndarray  # [n] the named block is between the fingers, open or closed
    starting: np.ndarray  # [n] at rest after a grasp or a release
    too_low: np.ndarray  # [n] nothing but a rise is safe
    rise: np.ndarray  # [n, 7] rad/s, straight up to the height for long ways


def expert_chunk(state: ExpertState, prefix: np.ndarray | None = None, lengths: np.ndarray | None = None) -> np.ndarray:
    """The actions [n, HORIZON, 8] from this state on: 7 joint velocities (1.0 = VELOCITY_SCALE), gripper 0 open … 1 closed.

    `prefix` [n, m, 8], of which the first `lengths` [n] steps are executed whatever the expert wants (0 by default): the chunk
    begins with them and goes on from where they lead.
    """
    n = len(state.q)
    rows = np.arange(n)
    lengths = np.zeros(n, int) if lengths is None else lengths
    actions = np.zeros((n, HORIZON, 8))
    q, finger, blocks, yaws = state.q.copy(), state.finger.copy(), state.blocks.copy(), state.yaws.copy()
    halves = state.halves[rows, state.block]
    gripper = np.zeros(n)
    frozen, pausing, rising = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    held_at_start = np.zeros(n, bool)
    for step in range(HORIZON):
        wanted = _decide(replace(state, q=q, finger=finger, blocks=blocks, yaws=yaws))
        if step == 0:
            held_at_start = wanted.held
        beginning = step == lengths
        pausing = np.where(beginning, wanted.starting, pausing)
        rising = np.where(beginning, wanted.too_low, rising)
        grasping = state.kind != TOUCH
        closing = grasping & (wanted.gripper == CLOSED) & ~held_at_start
        opening = grasping & (wanted.gripper == OPEN) & (finger < halves + 0.006) & (held_at_start | wanted.near)
        gripper = np.where(frozen, gripper, wanted.gripper)
        frozen |= (closing | opening) & (step >= lengths)
        velocity = np.where(rising[:, None], wanted.rise, wanted.velocity)
        still = frozen | (pausing & (step < lengths + PAUSE))
        velocity = np.where(still[:, None], 0.0, velocity)
        if prefix is not None and (known := step < lengths).any():
            row = prefix[:, min(step, prefix.shape[1] - 1)]
            velocity = np.where(known[:, None], np.clip(row[:, :7] * VELOCITY_SCALE, -MAX_PREFIX, MAX_PREFIX), velocity)
            gripper = np.where(known, row[:, 7], gripper)
        actions[:, step, :7] = velocity / VELOCITY_SCALE
        actions[:, step, 7] = gripper
        before, frame, _ = hand_frames(q)
        q = q + velocity * PERIOD
        after, frame_after, _ = hand_frames(q)
        carried = held_at_start & (gripper > 0.5) & ~frozen
        blocks[rows, state.block] += np.where(carried[:, None], after - before, 0.0)
        yaws[rows, state.block] += np.where(carried, hand_yaw(frame_after) - hand_yaw(frame), 0.0)
        stop = np.where(wanted.near | wanted.held, halves - 0.002, 0.0)
        target = np.where(gripper > 0.5, np.minimum(stop, finger), FINGER_OPEN)
        finger = finger + np.clip(target - finger, -FINGER_SPEED * PERIOD, FINGER_SPEED * PERIOD)
    return actions


def _decide(state: ExpertState) -> _Decision:
    n = len(state.q)
    rows = np.arange(n)
    tcp, frame, jacobian = hand_frames(state.q)
    block, half = state.blocks[rows, state.block], state.halves[rows, state.block]
    base, base_half = state.blocks[rows, state.onto], state.halves[rows, state.onto]
    yaw = hand_yaw(frame)

    offset = np.einsum("nij,ni->nj", frame, block - tcp)  # of the block in the frame of the hand
    between = (np.abs(offset[:, 0]) < 0.02) & (np.abs(offset[:, 2]) < 0.02)
    held = between & (np.abs(offset[:, 1]) < 0.008) & (state.finger < half + 0.004) & (state.finger > half - 0.008)
    held &= state.kind != TOUCH

    grasp_yaw = nearest_square_yaw(state.yaws[rows, state.block], yaw)
    lateral = np.linalg.norm((block - tcp)[:, :2], axis=1)
    near = (
        (lateral < GRASP_LATERAL)
        & (tcp[:, 2] - block[:, 2] < GRASP_VERTICAL)
        & (block[:, 2] - tcp[:, 2] < GRASP_BELOW)
        & (np.abs(angle(grasp_yaw - yaw)) < GRASP_YAW)
    )
    above_base = np.linalg.norm((block - base)[:, :2], axis=1)
    stacked_height = base[:, 2] + base_half + half
    in_bowl = (np.linalg.norm((block - state.bowl)[:, :2], axis=1) < BOWL_RADIUS) & (
        block[:, 2] - state.bowl[:, 2] < BOWL_DEPTH
    )
    on_base = (above_base < 0.02) & (np.abs(block[:, 2] - stacked_height) < 0.012)
    placed = np.where(state.kind == BOWL, in_bowl, (state.kind == STACK) & on_base) & ~held

    # Goal by situation: touch, or approach the block to grasp it.
    touch = state.kind == TOUCH
    goal = block.copy()
    goal[:, 2] = np.where(touch, block[:, 2] + half + FINGERTIP - 0.006, block[:, 2] + GRASP_HEIGHT)
    ceiling = goal[:, 2] + APPROACH
    goal_yaw = np.where(touch, np.clip(yaw, -0.6, 0.6), grasp_yaw)
    gripper = np.where(touch | held | (near & ~placed), CLOSED, OPEN)
    # Not between the fingers, but the fingers are closed: wait above for them to open.
    shut = ~touch & ~held & ~near & (state.finger < half + 0.008)
    goal[:, 2] = np.where(shut, block[:, 2] + 0.08, goal[:, 2])

    # The block is held: lift it, or carry it to its place.
    pick = held & (state.kind == PICK)
    goal[pick, :2] = tcp[pick, :2]
    goal[pick, 2] = ceiling[pick] = LIFT
    grip_offset = block - tcp
    bowl = held & (state.kind == BOWL)
    stack = held & (state.kind == STACK)
    goal = np.where(bowl[:, None], state.bowl - grip_offset * [1, 1, 0], goal)
    goal[:, 2] = np.where(bowl, state.bowl[:, 2] + BOWL_RELEASE_HEIGHT, goal[:, 2])
    goal = np.where(stack[:, None], base - grip_offset * [1, 1, 0], goal)
    goal[:, 2] = np.where(stack, stacked_height + STACK_GAP - grip_offset[:, 2], goal[:, 2])
    ceiling = np.where(bowl | stack, CARRY_HEIGHT, ceiling)
    goal_yaw = np.where(bowl | pick, np.clip(yaw, -MAX_YAW, MAX_YAW), goal_yaw)
    goal_yaw = np.where(stack, nearest_square_yaw(state.yaws[rows, state.onto], yaw), goal_yaw)
    reached = np.linalg.norm((goal - tcp)[:, :2], axis=1)
    level = tcp[:, 2] - goal[:, 2] < RELEASE_VERTICAL
    release = (bowl & (reached < BOWL_LATERAL) & level) | (stack & (reached < STACK_LATERAL) & level)
    gripper = np.where(release, OPEN, gripper)

    # The block is in its place: let go, then straight up.
    goal = np.where(placed[:, None], tcp, goal)
    released = placed & (state.finger > half + 0.006)
    goal[:, 2] = np.where(released, np.maximum(tcp[:, 2], block[:, 2] + RETREAT), goal[:, 2])
    ceiling = np.where(placed, goal[:, 2], ceiling)
    goal_yaw = np.where(placed, yaw, goal_yaw)

    # Funnel: high while far from the goal, and no lateral motion while too low.
    distance = np.linalg.norm((goal - tcp)[:, :2], axis=1)
    misturned = np.abs(angle(goal_yaw - yaw)) * 0.03
    rise = FUNNEL_SLOPE * np.maximum(np.maximum(distance, misturned) - FUNNEL_RADIUS, 0.0)
    height = np.minimum(goal[:, 2] + rise, np.maximum(ceiling, goal[:, 2]))
    lateral_scale = np.clip(1.0 - (height - tcp[:, 2] - 0.02) / 0.04, 0.0, 1.0)
    linear = LINEAR_GAIN * np.column_stack([(goal - tcp)[:, :2] * lateral_scale[:, None], height - tcp[:, 2]])
    speed = np.where(held | placed, MAX_CARRY, MAX_LINEAR)[:, None]
    linear *= np.minimum(1.0, speed / (np.linalg.norm(linear, axis=1, keepdims=True) + 1e-9))
    descent = np.minimum(-MAX_LOWER, DESCENT_GAIN * (goal[:, 2] - tcp[:, 2]))
    linear[:, 2] = np.maximum(linear[:, 2], descent)
    linear[:, 2] = np.maximum(linear[:, 2], np.where(stack, -MAX_LOWER, -MAX_LINEAR))
    angular = ANGULAR_GAIN * rotation_error(frame, goal_yaw)
    angular *= np.minimum(1.0, MAX_ANGULAR / (np.linalg.norm(angular, axis=1, keepdims=True) + 1e-9))
    stop = (near & ~held & ~touch & ~placed) | release | (placed & ~released)
    twist = np.where(stop[:, None], 0.0, np.concatenate([linear, angular], axis=1))
    velocity = np.where(stop[:, None], 0.0, joint_velocity(jacobian, twist, state.q))
    on_table = block[:, 2] < half + PAUSE_HEIGHT
    starting = (held & on_table) | (released & (tcp[:, 2] < block[:, 2] + half + PAUSE_HEIGHT))
    too_low = ~stop & ~placed & (height - tcp[:, 2] > TOO_LOW)
    up = np.zeros((n, 6))
    up[:, 2] = np.clip(LINEAR_GAIN * (height + 0.01 - tcp[:, 2]), 0.0, MAX_RISE)
    rise = joint_velocity(jacobian, up, state.q)
    return _Decision(velocity, gripper, held, near, starting, too_low, rise)


def joint_velocity(jacobian: np.ndarray, twist: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Damped least squares with the home pose in the null space: [n, 7] rad/s for a `twist` [n, 6], within MAX_JOINT."""
    transpose = jacobian.transpose(0, 2, 1)
    inverse = transpose @ np.linalg.inv(jacobian @ transpose + DAMPING**2 * np.eye(6))
    posture = POSTURE_GAIN * (HOME - q)
    posture -= (inverse @ (jacobian @ posture[:, :, None]))[:, :, 0]
    velocity = (inverse @ twist[:, :, None])[:, :, 0] + posture
    return velocity * np.minimum(1.0, MAX_JOINT / (np.abs(velocity).max(axis=1, keepdims=True) + 1e-9))


def rotation_error(frame: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """The rotation vector [n, 3] (rad, for small angles) from `frame` [n, 3, 3] to a hand that points down with `yaw` [n]."""
    c, s, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    wanted = np.stack([np.column_stack([c, s, zero]), np.column_stack([s, -c, zero]), np.column_stack([zero, zero, zero - 1])], 2)
    return 0.5 * np.cross(frame, wanted, axisa=1, axisb=1).sum(axis=1)


def hand_yaw(frame: np.ndarray) -> np.ndarray:
    """The direction [n] (rad) of the x axis of the hand, seen from above."""
    return np.arctan2(frame[:, 1, 0], frame[:, 0, 0])


def nearest_square_yaw(yaw: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """Of the four yaws [n, rad] that grasp a square block at `yaw`, the one nearest to the hand's within MAX_YAW."""
    turned = hand + angle4(yaw - hand)
    return np.where(turned > MAX_YAW, turned - np.pi / 2, np.where(turned < -MAX_YAW, turned + np.pi / 2, turned))


def square_yaws(quats: np.ndarray) -> np.ndarray:
    """The yaw [..., rad] of cubes with quaternions [..., 4] (w, x, y, z): that of their most horizontal axis."""
    w, x, y, z = np.moveaxis(quats, -1, 0)
    axes = np.stack(
        [
            np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], -1),
            np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], -1),
            np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], -1),
        ],
        -2,
    )
    flattest = np.abs(axes[..., 2]).argmin(-1)
    axis = np.take_along_axis(axes, flattest[..., None, None], -2)[..., 0, :]
    return np.arctan2(axis[..., 1], axis[..., 0])


def angle(value: np.ndarray) -> np.ndarray:
    """Into −180 … 180 degrees (rad)."""
    return (value + np.pi) % (2 * np.pi) - np.pi


def angle4(value: np.ndarray) -> np.ndarray:
    """Into −45 … 45 degrees (rad)."""
    return (value + np.pi / 4) % (np.pi / 2) - np.pi / 4
