"""Demonstrations in files, new tasks, and training on them."""

import numpy as np
import pytest
import torch

from sim.layouts import TRAINING_SEEDS
from sim.scene import Scene
from sim.tasks import vocabulary
from training import checkpoint, demonstrations
from training.batch_policy import BatchPolicy, image_height
from training.dimensions import Action, Dimensions, Expert, Prefix, Rtc, Vision
from training.episodes import Environment, expert_labels, states_of
from training.examples.hover import TASK
from training.new_tasks import judge_of, layout_of
from training.trainer import Settings, Trainer
from training.workers import AUXILIARY

SMALL = Dimensions(
    vision=Vision(hidden=16, layers=1, mlp=16, heads=2, image_size=32, patch=16),
    prefix=Prefix(width=16, layers=2, mlp=16, heads=2, kv_heads=1, head_dim=8, vocab=768),
    expert=Expert(width=16, layers=2, mlp=16, heads=2, kv_heads=1, head_dim=8),
    action=Action(dim=32, horizon=15),
    rtc=Rtc(trained_max_delay=8),
)
IMAGE = (2, image_height(32), 32, 3)
CPU = torch.device("cpu")
SETTINGS = Settings(batch=8, draws=1, learning_rate=3e-3, warm_up=1, capacity=40, observations=2)


def random_frames(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "frame_images": rng.integers(0, 256, (count, *IMAGE), dtype=np.uint8),
        "frame_state": rng.normal(size=(count, 8)).astype(np.float32),
        "frame_label": rng.normal(size=(count, 15, 8)).astype(np.float32),
        "frame_delay": rng.integers(0, 9, count),
        "frame_auxiliary": np.full((count, AUXILIARY), np.nan, np.float32),
    }


def trainer_with_frames(words=(), resume=None) -> Trainer:
    trainer = Trainer(SMALL, SETTINGS, [*vocabulary(), *words], CPU, resume)
    trainer.ring.add(random_frames(20), 20, trainer.prompts.index(["touch the red block"] * 20))
    if resume is None:
        trainer.measure_statistics()
    return trainer


def test_files_are_read_as_they_were_written_and_earlier_files_are_kept(tmp_path):
    frames = random_frames(3)
    for prompts in (["touch", "", "hover over the bowl"], ["a", "b", "c"]):
        writer = demonstrations.Writer(tmp_path)
        writer.add(frames, prompts)
        writer.flush()
    first, second = demonstrations.files([tmp_path])
    assert demonstrations.prompts_in(first) == ["touch", "", "hover over the bowl"]
    assert demonstrations.prompts_in(second) == ["a", "b", "c"]
    read = demonstrations.read(first, IMAGE, 15)
    assert read.keys() == frames.keys()
    for name, values in frames.items():
        np.testing.assert_array_equal(read[name], values)


def test_a_file_without_the_optional_arrays_has_no_known_actions_and_no_auxiliary_loss(tmp_path):
    frames = random_frames(2)
    arrays = {"images": frames["frame_images"], "state": frames["frame_state"], "actions": frames["frame_label"]}
    np.savez(tmp_path / "a.npz", **arrays, prompt=["x", "y"])
    read = demonstrations.read(tmp_path / "a.npz", IMAGE, 15)
    assert read["frame_delay"].tolist() == [0, 0]
    assert np.isnan(read["frame_auxiliary"]).all()


def test_a_file_with_images_of_another_size_is_refused(tmp_path):
    writer = demonstrations.Writer(tmp_path)
    writer.add(random_frames(1), ["touch"])
    writer.flush()
    with pytest.raises(
        ValueError, match=r"Expected images of shape \(1, 2, 144, 192, 3\).*received \(1, 2, 24, 32, 3\)"
    ):
        demonstrations.read(demonstrations.files([tmp_path])[0], (2, 144, 192, 3), 15)


def test_a_directory_without_files_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="found none"):
        demonstrations.files([tmp_path])


def test_the_expert_of_the_example_reaches_its_goal_with_delay():
    environment = Environment(np.random.default_rng(0))
    for seed in range(3):
        environment.start_held_out(seed, TASK.kind, delay=3, with_prefix=False)
        while environment.outcome is None:
            (chunk,) = expert_labels([environment.task], states_of([environment]))
            for _ in environment.execute(chunk, ()):
                pass
        assert environment.outcome == "success", environment.reason


def test_the_chunk_of_a_new_task_begins_with_the_known_steps():
    environment = Environment(np.random.default_rng(0))
    environment.start_held_out(0, TASK.kind, delay=0, with_prefix=False)
    prefix = np.full((1, 8, 8), 0.1)
    (chunk,) = expert_labels([TASK], states_of([environment]), prefix, np.array([3]))
    (free,) = expert_labels([TASK], states_of([environment]))
    np.testing.assert_allclose(chunk[:3], 0.1)
    assert np.abs(chunk[3] - free[3]).max() > 0.01


def test_a_new_task_fails_when_an_object_moves_or_the_time_is_over():
    scene = Scene()
    scene.reset(layout_of(TRAINING_SEEDS.start, TASK))
    judge = judge_of(scene, TASK)
    assert {judge.update() for _ in range(TASK.time_limit - 1)} == {None}
    assert (judge.update(), judge.reason) == ("failure", "time limit")
    judge = judge_of(scene, TASK)
    scene._place("red_block", (0.5, 0.4, 0.03), 0.0)
    assert (judge.update(), judge.reason) == ("failure", "moved red_block")


def test_training_lowers_the_loss_and_an_unknown_auxiliary_target_has_none():
    trainer = trainer_with_frames()
    losses = torch.stack([trainer.step(0.0) for _ in range(60)])
    assert losses[-10:, 0].mean() < 0.95 * losses[:10, 0].mean()
    assert (losses[:, 1] == 0).all()


def test_a_resumed_training_keeps_weights_words_and_statistics(tmp_path):
    first = trainer_with_frames(["hover"])
    first.export(tmp_path)
    second = trainer_with_frames(["above", "wiggle"], resume=tmp_path)
    old, new = (each.tokenizer_json["model"]["vocab"] for each in (first, second))
    assert new.keys() - old.keys() == {"▁wiggle", "▁above"} - old.keys()
    assert "▁hover" in new
    ours, stored = second.model.embedding, checkpoint.load(tmp_path, 8).embedding
    assert all(torch.equal(ours[new[piece]], stored[row]) for piece, row in old.items())
    torch.testing.assert_close(second.average.action_out.weight, first.average.action_out.weight)
    np.testing.assert_allclose(second.statistics["state"]["q99"], first.statistics["state"]["q99"])


def test_an_exported_checkpoint_acts_as_the_trained_policy(tmp_path):
    trainer = trainer_with_frames()
    for _ in range(5):
        trainer.step(0.0)
    trainer.export(tmp_path)
    exported = BatchPolicy.from_checkpoint(tmp_path, 2, CPU)
    frames = random_frames(2)
    observations = {"images": frames["frame_images"], "state": frames["frame_state"], "delay": np.array([0, 3])}
    observations["prefix"] = frames["frame_label"][:, :8]
    chunks = []
    for policy in (trainer.policy, exported):
        torch.manual_seed(0)
        chunks.append(policy._act(observations, ["touch the red block", "pick up the blue cube"], 10))
    np.testing.assert_allclose(chunks[0], chunks[1], atol=0.05)  # the weights are rounded to bf16
    np.testing.assert_allclose(chunks[1][1, :3], frames["frame_label"][1, :3], atol=1e-5)
