"""The episodes of training: who moves the arm, and labels that know the steps that are executed anyway."""

import os

os.environ.setdefault("MUJOCO_GL", "egl")

import numpy as np
import pytest

from sim.kinematics import hand_frames
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS
from sim.tasks import TASKS
from training.episodes import MAX_PREFIX, WIDE_START_HEIGHT, Assignment, Environment, wide_start
from training.workers import FRAME_TICKS, FRAMES, HeldOut, SharedArrays, _Worker

SIZE = (40, 30)


def numbered_chunk(rng: np.random.Generator) -> np.ndarray:
    """[15, 8]: small random velocities, gripper open."""
    return np.concatenate([rng.uniform(-0.05, 0.05, (15, 7)), np.zeros((15, 1))], axis=1)


def commands_of(environment: Environment, monkeypatch) -> list[np.ndarray]:
    """The velocities that the arm receives from now on."""
    commands: list[np.ndarray] = []
    control = environment.scene.control
    send = control.set_velocity

    def record(velocity, source):
        commands.append(np.array(velocity))
        send(velocity, source)

    monkeypatch.setattr(control, "set_velocity", record)
    return commands


@pytest.mark.parametrize("delay", [1, 3, 6])
def test_the_policy_s_prefix_is_what_is_executed_until_its_chunk_arrives(delay, monkeypatch):
    rng = np.random.default_rng(0)
    environment = Environment(rng)
    environment.start_held_out(0, "touch", delay, with_prefix=True)
    commands = commands_of(environment, monkeypatch)
    assert len(environment.policy_prefix()) == 0
    for decision in range(4):
        prefix, first = environment.policy_prefix(), len(commands)
        chunk = numbered_chunk(rng)
        list(environment.execute(chunk, ()))
        if decision > 0:
            assert len(prefix) == delay
            assert np.allclose(commands[first : first + delay], prefix[:, :7] * 3.0)
            assert np.allclose(commands[first + delay], chunk[delay, :7] * 3.0)


def test_a_policy_without_prefix_gets_none():
    environment = Environment(np.random.default_rng(0))
    environment.start_held_out(0, "touch", 3, with_prefix=False)
    list(environment.execute(numbered_chunk(np.random.default_rng(0)), ()))
    assert environment.policy_prefix().shape == (0, 8)


def test_the_prefix_of_a_label_is_some_of_the_steps_that_come_next():
    environment = Environment(np.random.default_rng(0))
    environment.start_held_out(0, "pick", 0, with_prefix=False)
    chunk = numbered_chunk(np.random.default_rng(0))
    for _ in environment.execute(chunk, (3,)):
        prefixes = [environment.random_prefix() for _ in range(400)]
    assert {len(prefix) for prefix in prefixes} == set(range(MAX_PREFIX + 1))
    assert 0.5 < np.mean([len(prefix) == 0 for prefix in prefixes]) < 0.7
    assert all((prefix == chunk[3 : 3 + len(prefix)]).all() for prefix in prefixes)


def test_episodes_of_training_and_held_out_episodes_have_disjoint_seeds():
    environment = Environment(np.random.default_rng(0))
    for _ in range(5):
        environment.start_training(Assignment())
        assert environment.seed in TRAINING_SEEDS and environment.seed not in HELD_OUT_SEEDS
    with pytest.raises(ValueError, match="Expected a held-out seed, received 1000000"):
        environment.start_held_out(TRAINING_SEEDS.start, "touch", 0, with_prefix=False)


def test_wide_starts_are_far_from_home_with_the_hand_above_the_objects_and_pointing_down():
    rng = np.random.default_rng(0)
    start = (0.0, -0.2, 0.0, -2.4, 0.0, 2.2, 0.785)  # lower than home, so that poses are refused
    poses = np.array([wide_start(start, rng) for _ in range(50)])
    tcp, frame, _ = hand_frames(poses)
    assert tcp[:, 2].min() > WIDE_START_HEIGHT
    assert frame[:, 2, 2].max() < -0.8
    assert np.abs(poses - start).mean() > 0.1


def worker(order: Assignment | HeldOut, environments: int = 2) -> tuple[_Worker, dict[str, np.ndarray]]:
    arrays = SharedArrays(environments, SIZE).views()
    return _Worker(arrays, environments, SIZE, order, np.random.default_rng(0)), arrays


def test_each_frame_s_label_begins_with_the_steps_that_come_next():
    player, arrays = worker(Assignment(policy_share=1.0))
    rng = np.random.default_rng(1)
    previous, with_prefix = None, 0
    for _ in range(8):
        arrays["chunks"][:] = [numbered_chunk(rng) for _ in range(2)]
        player.play_round()
        done = player.report()
        assert done.by_policy == [True, True]
        if done.outcomes:
            break
        assert done.frames == 2 * FRAMES == len(done.frame_prompts)
        for frame in range(done.frames):
            environment, position = divmod(frame, FRAMES)
            length = arrays["frame_delay"][frame]
            if position == 0:
                source = None if previous is None else previous[environment, 8:]
            else:
                source = arrays["chunks"][environment, FRAME_TICKS[position - 1] :]
            assert length <= (0 if source is None else min(MAX_PREFIX, len(source)))
            if length:
                assert np.allclose(arrays["frame_label"][frame, :length], source[:length], atol=1e-6)
                with_prefix += 1
        previous = arrays["chunks"].copy()
    assert with_prefix > 8


def test_frames_show_what_the_cameras_see_and_the_state():
    player, arrays = worker(Assignment(policy_share=1.0))
    first = arrays["observation_images"].copy()
    state = arrays["observation_state"].copy()
    arrays["chunks"][:] = 0
    player.play_round()
    assert (arrays["frame_images"][::FRAMES] == first).all()
    assert (arrays["frame_state"][::FRAMES] == state).all()
    assert np.abs(arrays["frame_state"][1::FRAMES] - state).max() < 0.02  # at rest
    assert first.std(axis=(2, 3)).min() > 5


def test_held_out_episodes_are_played_once_and_the_outcome_of_each_is_reported():
    episodes = tuple((seed, TASKS[0]) for seed in range(3))
    player, arrays = worker(HeldOut(episodes))
    arrays["chunks"][:] = 0
    outcomes = []
    for _ in range(40):
        player.play_round()
        done = player.report()
        assert done.frames == 0
        outcomes += done.outcomes
        if done.idle:
            break
    assert sorted(outcome.seed for outcome in outcomes) == [0, 1, 2]
    assert {(outcome.outcome, outcome.reason, outcome.by_policy) for outcome in outcomes} == {("failure", "time limit", True)}
