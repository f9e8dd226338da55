"""The scripted expert: its kinematics, its chunks, and whole episodes in held-out layouts."""

from dataclasses import replace

import numpy as np
import pytest

from sim.episode import EpisodeRun, deal
from sim.evaluation.expert import play
from sim.execution import Execution
from sim.expert import (
    HOME,
    HORIZON,
    MAX_JOINT,
    MAX_YAW,
    PERIOD,
    VELOCITY_SCALE,
    ExpertState,
    angle4,
    expert_chunk,
    expert_state,
    joint_velocity,
    nearest_square_yaw,
    square_yaws,
)
from sim.gl import mujoco
from sim.kinematics import hand_frames
from sim.scene import Scene
from sim.tasks import TASKS

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


def test_hand_frames_and_their_jacobian_are_those_of_mujoco(scene):
    arm = [int(scene.model.joint(f"panda_joint{i}").dofadr[0]) for i in range(1, 8)]
    site = scene.model.site("tcp").id
    q = HOME + RNG.normal(0, 0.7, (20, 7))
    tcp, frame, jacobian = hand_frames(q)
    for row in range(len(q)):
        scene.data.qpos[scene._qpos[:7]] = q[row]
        mujoco.mj_forward(scene.model, scene.data)
        linear, angular = np.zeros((3, scene.model.nv)), np.zeros((3, scene.model.nv))
        mujoco.mj_jacSite(scene.model, scene.data, linear, angular, site)
        assert np.allclose(tcp[row], scene.data.site_xpos[site], atol=1e-6)
        assert np.allclose(frame[row], scene.data.site_xmat[site].reshape(3, 3), atol=1e-6)
        assert np.allclose(jacobian[row], np.concatenate([linear, angular])[:, arm], atol=1e-6)


def test_joint_velocities_give_the_twist_and_are_limited():
    _, _, jacobian = hand_frames(HOME[None])
    twist = np.array([[0.05, -0.04, 0.03, 0.1, -0.1, 0.2]])
    velocity = joint_velocity(jacobian, twist, HOME[None])
    assert np.allclose(jacobian[0] @ velocity[0], twist[0], atol=0.01)
    assert np.isclose(np.abs(joint_velocity(jacobian, 100 * twist, HOME[None])).max(), MAX_JOINT)


def rotation(axis: int, angles: np.ndarray) -> np.ndarray:
    """Quaternions [n, 4] of rotations about a coordinate axis."""
    quats = np.zeros((len(angles), 4))
    quats[:, 0], quats[:, 1 + axis] = np.cos(angles / 2), np.sin(angles / 2)
    return quats


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result = np.zeros_like(a)
    for row in range(len(a)):
        mujoco.mju_mulQuat(result[row], a[row], b[row])
    return result


@pytest.mark.parametrize("tilt", [0, 10])  # degrees
@pytest.mark.parametrize(("axis", "quarters"), [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 3)])
def test_the_yaw_of_a_cube_is_that_of_its_faces_on_whichever_it_lies(axis, quarters, tilt):
    yaws = np.linspace(-np.pi, np.pi, 50)
    on_face = rotation(axis, np.full(50, quarters * np.pi / 2))
    tilted = rotation(1, np.full(50, np.radians(tilt)))
    found = square_yaws(product(rotation(2, yaws), product(tilted, on_face)))
    assert np.abs(angle4(found - yaws)).max() < np.radians(1e-6)


def test_a_cube_tilted_about_any_axis_has_nearly_the_yaw_of_the_upright_cube():
    yaws, about = RNG.uniform(-np.pi, np.pi, (2, 200))
    tilted = product(product(rotation(2, about), rotation(0, np.full(200, np.radians(10)))), rotation(2, -about))
    found = square_yaws(product(tilted, rotation(2, yaws)))
    assert np.abs(angle4(found - yaws)).max() < np.radians(1)


def test_the_grasp_yaw_is_a_side_of_the_block_within_the_hand_s_limits_and_the_nearest_of_them():
    yaw, hand = RNG.uniform(-np.pi, np.pi, 2000), RNG.uniform(-MAX_YAW, MAX_YAW, 2000)
    chosen = nearest_square_yaw(yaw, hand)
    assert np.abs(angle4(chosen - yaw)).max() < 1e-9
    assert np.abs(chosen).max() <= MAX_YAW
    sides = yaw[:, None] + np.arange(-6, 7) * np.pi / 2
    distance = np.where(np.abs(sides) <= MAX_YAW, np.abs(sides - hand[:, None]), np.inf).min(axis=1)
    assert np.allclose(np.abs(chosen - hand), distance)


@pytest.mark.parametrize(("delay", "count"), [(0, 12), (3, 8), (6, 8)])
def test_it_solves_held_out_layouts_of_every_task(delay, count):
    records = list(play([deal(TASKS, 1, index) for index in range(count)], delay))
    assert sorted(record["episode"] for record in records) == list(range(count))
    assert [record for record in records if not record["success"]] == []
    assert all(record["first_touched"] == record["block"] for record in records)


def states_of_an_episode(scene: Scene, kind: str) -> list[ExpertState]:
    """The states at each control tick while the expert solves a held-out layout."""
    run, execution, states = EpisodeRun(scene, deal((kind,), 2, 0)), Execution(), []
    while run.verdict is None:
        states.append(expert_state([scene], [run.episode.task]))
        if execution.wants_observation:
            execution.submit(expert_chunk(states[-1])[0])
        velocities, finger = execution.command()
        scene.control.set_velocity(velocities, "test")
        scene.gripper.set_position([finger], "test")
        run.advance()
    assert run.verdict == "success"
    return states


def concatenated(states: list[ExpertState]) -> ExpertState:
    fields = ExpertState.__dataclass_fields__
    return ExpertState(**{name: np.concatenate([getattr(state, name) for state in states]) for name in fields})


@pytest.fixture(scope="module")
def states(scene) -> dict[str, ExpertState]:
    """[ticks] of an episode of each kind of task."""
    return {kind: concatenated(states_of_an_episode(scene, kind)) for kind in TASKS}


def test_no_chunk_moves_the_arm_after_the_gripper_began_to_close_or_to_open(states):
    for kind in ("pick", "bowl", "stack"):
        chunks = expert_chunk(states[kind])
        closing = opening = 0
        for chunk in chunks:
            changes = np.flatnonzero(np.diff(chunk[:, 7])) + 1
            assert len(changes) <= 1
            for row in changes:
                closing += chunk[row, 7] == 1
                opening += chunk[row, 7] == 0
                assert not chunk[row:, :7].any()
                assert chunk[:row, :7].any(axis=1).all()
        assert closing > 5
        assert (opening > 5) == (kind != "pick")


def test_a_chunk_that_starts_to_close_does_not_lift(states):
    state = states["pick"]
    chunks = expert_chunk(state)
    open_fingers = state.finger > 0.035
    first_row_closes = open_fingers & (chunks[:, 0, 7] == 1)
    assert first_row_closes.sum() >= 1
    assert not chunks[first_row_closes, :, :7].any()
    assert (chunks[first_row_closes, :, 7] == 1).all()


def test_actions_are_within_the_limits_and_the_gripper_is_open_or_closed(states):
    for state in states.values():
        chunks = expert_chunk(state)
        assert chunks.shape == (len(state.q), HORIZON, 8)
        assert np.abs(chunks[..., :7]).max() <= MAX_JOINT / VELOCITY_SCALE + 1e-9
        assert set(np.unique(chunks[..., 7])) <= {0.0, 1.0}


def test_a_chunk_depends_on_its_own_state_only(states):
    state = states["stack"]
    chunks = expert_chunk(state)
    for row in range(0, len(state.q), 20):
        alone = ExpertState(**{name: getattr(state, name)[row : row + 1] for name in ExpertState.__dataclass_fields__})
        assert np.allclose(expert_chunk(alone)[0], chunks[row], atol=1e-9)


def test_a_chunk_begins_with_the_prefix_that_is_executed_anyway(states):
    for state in states.values():
        n = len(state.q)
        prefix = np.concatenate([RNG.uniform(-0.4, 0.4, (n, 8, 7)), RNG.integers(0, 2, (n, 8, 1))], axis=2)
        lengths = RNG.integers(0, 9, n)
        chunks, plain = expert_chunk(state, prefix, lengths), expert_chunk(state)
        for row, length in enumerate(lengths):
            assert np.allclose(chunks[row, :length], prefix[row, :length], atol=1e-12)
        none = lengths == 0
        assert none.any() and (chunks[none] == plain[none]).all()


def test_after_the_prefix_a_chunk_goes_on_from_where_the_prefix_leads(states):
    state, length = states["pick"], 5
    approaching = ExpertState(**{name: getattr(state, name)[:10] for name in ExpertState.__dataclass_fields__})
    prefix = np.concatenate([RNG.uniform(-0.1, 0.1, (10, length, 7)), np.zeros((10, length, 1))], axis=2)
    chunks = expert_chunk(approaching, prefix, np.full(10, length))
    q = approaching.q + prefix[..., :7].sum(axis=1) * VELOCITY_SCALE * PERIOD
    assert np.allclose(chunks[:, length:], expert_chunk(replace(approaching, q=q))[:, : HORIZON - length], atol=1e-9)
