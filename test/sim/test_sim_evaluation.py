"""What an evaluation runs and how it counts: episodes, controls, intervals, smoothness, tables, comparison."""

import json

import numpy as np
import pytest

from sim import compare
from sim.arm import JointReadings
from sim.cameras import Cameras
from sim.episode import EPISODES_PER_SEED, PERIOD, SEEDS, SPACING, deal
from sim.errors import SimulationError
from sim.evaluation.controls import CONTROLS, other_task
from sim.evaluation.intervals import paired_difference, wilson
from sim.evaluation.modes_table import BEGIN, END, modes_table, write_table
from sim.evaluation.results import rate, summarise
from sim.evaluation.smoothness import smoothness
from sim.evaluation.tables import closing_line, node_text
from sim.evaluation.video import Frames, write_video
from sim.layouts import HELD_OUT_SEEDS, TRAINING_SEEDS
from sim.rollout import run_episode
from sim.scene import Scene
from sim.tasks import COLOURS, TASKS, TIME_LIMITS, all_tasks, prompts

# Intervals


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombes_table(successes, count, low, high):
    assert np.allclose(wilson(successes, count), (low, high), atol=5e-5)


def test_a_wilson_interval_ends_at_0_and_1_and_without_episodes_it_is_everything():
    assert all(wilson(0, count)[0] == 0.0 and wilson(count, count)[1] == 1.0 for count in range(1, 300))
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError):
        wilson(3, 2)


def test_a_paired_difference_without_discordant_pairs_is_0_within_its_interval():
    difference, low, high = paired_difference([(True, True)] * 8 + [(False, False)] * 2)
    assert difference == 0.0
    assert -0.3 < low < 0 < high < 0.3 and np.isclose(low, -high)


def test_a_paired_difference_is_narrower_when_outcomes_agree():
    agreeing = [(True, True)] * 50 + [(False, False)] * 50
    opposed = [(True, False)] * 50 + [(False, True)] * 50
    widths = [high - low for _, low, high in map(paired_difference, (agreeing, opposed))]
    assert widths[0] < widths[1] / 3


def test_a_control_that_always_fails_loses_everything():
    difference, low, high = paired_difference([(True, False)] * 25)
    assert difference == 1.0 and high == 1.0 and 0.8 < low < 1.0


# Episodes


def test_tasks_are_dealt_in_turn_and_an_episode_follows_from_seed_and_index():
    episodes = [deal(TASKS, 3, index) for index in range(12)]
    assert [episode.task.kind for episode in episodes] == [*TASKS] * 3
    assert episodes == [deal(TASKS, 3, index) for index in range(12)]
    assert all(episode.prompt in prompts(episode.task) for episode in episodes)
    assert {episode.task.block for episode in [deal(("pick",), 0, index) for index in range(30)]} == {0, 1, 2}


def test_no_two_seeds_have_a_layout_in_common_and_no_policy_is_trained_on_any():
    seeds = [*range(200), SEEDS.stop - 2, SEEDS.stop - 1]
    used = [deal(("pick",), seed, index).layout_seed for seed in seeds for index in (0, EPISODES_PER_SEED - 1)]
    assert used == sorted(set(used))
    assert not any(layout_seed in TRAINING_SEEDS for layout_seed in used)
    assert used[199] in HELD_OUT_SEEDS
    for seed, index in ((SEEDS.stop, 0), (-1, 0), (0, EPISODES_PER_SEED)):
        with pytest.raises(ValueError):
            deal(TASKS, seed, index)


def test_episodes_do_not_overlap_in_time():
    assert max(TIME_LIMITS.values()) * PERIOD < SPACING
    assert [deal(TASKS, 5, index).start for index in (0, 1, 7)] == [0, SPACING, 7 * SPACING]


# Episodes without the node


class EveryEighthTick:
    """Executes the first row of a chunk for eight ticks."""

    def __init__(self):
        self.tick = 0

    @property
    def continuation(self):
        return None

    @property
    def wants_observation(self):
        return self.tick % 8 == 0

    def submit(self, chunk):
        self.row = chunk[0]

    def command(self):
        self.tick += 1
        return self.row[:7], 0.04 * (1 - self.row[7])


def test_an_episode_without_the_node_has_a_record_and_the_same_one_again():
    scene = Scene()
    cameras = Cameras(scene.model)
    episode = deal(("touch",), 0, 2)
    observations = []

    def turn_and_close(observation):
        observations[-1].append((observation.stamp, observation.state, observation.images["exterior"]))
        return np.array([[0.3, 0, 0, 0, 0, 0, 0, 1.0]])

    try:
        records = []
        for name in ("none", "none", "gripper-open"):
            observations.append([])
            records.append(run_episode(scene, cameras, CONTROLS[name](episode), turn_and_close, EveryEighthTick()))
    finally:
        cameras.close()
    assert records[0] == records[1]
    assert records[0]["reason"] == "time limit" and records[0]["ticks"] == TIME_LIMITS["touch"]
    assert records[0]["chunks"] == TIME_LIMITS["touch"] / 8
    assert records[0]["prompt"] == episode.prompt
    assert records[0]["smoothness"]["step_max"] == pytest.approx(0.3 / 1.2)
    plain, _, wrong = observations
    assert [stamp for stamp, *_ in plain[:2]] == [episode.start + PERIOD, episode.start + 9 * PERIOD]
    states = np.array([state for _, state, _ in plain])
    assert states[-1, 0] - states[0, 0] == pytest.approx(0.3 * 88 / 15, rel=0.02)
    assert states[0, 7] == pytest.approx(0, abs=1e-3) and states[-1, 7] == pytest.approx(1, abs=0.02)
    assert wrong[-1][1][7] == 0
    # The exterior camera sees the arm turn.
    assert not np.array_equal(plain[0][2], plain[1][2])


# Controls


def images():
    rng = np.random.default_rng(0)
    return {camera: rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for camera in ("exterior", "wrist")}


def changed(name, *frames):
    """The images that the control makes of each of `frames`."""
    control = CONTROLS[name](deal(TASKS, 0, 0))
    results = []
    for frame in frames:
        result = {camera: image.copy() for camera, image in frame.items()}
        control.change_images(result)
        results.append(result)
    return results


@pytest.mark.parametrize("task", all_tasks(), ids=str)
def test_a_shuffled_prompt_names_another_block(task):
    for seed in range(20):
        other = other_task(task, np.random.default_rng(seed))
        assert other.kind == task.kind and other.block != task.block


def test_only_the_control_of_prompts_changes_the_prompt():
    episode = deal(TASKS, 0, 5)
    for name, control in CONTROLS.items():
        assert (control(episode).prompt == episode.prompt) == (name != "prompts-shuffled")
    prompt = CONTROLS["prompts-shuffled"](episode).prompt
    assert COLOURS[episode.task.block] not in prompt


def test_swapped_cameras_show_each_others_images():
    frame = images()
    (result,) = changed("cameras-swapped", frame)
    assert np.array_equal(result["exterior"], frame["wrist"]) and np.array_equal(result["wrist"], frame["exterior"])


def test_a_frozen_wrist_camera_repeats_its_first_image():
    first, second = images(), {camera: 255 - image for camera, image in images().items()}
    results = changed("wrist-frozen", first, second)
    assert np.array_equal(results[1]["wrist"], first["wrist"])
    assert np.array_equal(results[1]["exterior"], second["exterior"])


def test_an_exterior_camera_shown_twice_differs_by_at_most_1_but_differs():
    frame = images()
    first, second = changed("exterior-twice", frame, frame)
    difference = first["wrist"].astype(int) - frame["exterior"]
    assert np.array_equal(np.unique(difference), [-1, 0, 1])
    assert np.array_equal(first["exterior"], frame["exterior"])
    assert not np.array_equal(first["wrist"], second["wrist"])


def test_a_gripper_that_is_always_open_keeps_the_arm_joints():
    readings = JointReadings(np.arange(9.0), np.arange(9.0), np.arange(9.0))
    episode = deal(TASKS, 0, 0)
    result = CONTROLS["gripper-open"](episode).change_readings(readings)
    assert result.position.tolist() == [0, 1, 2, 3, 4, 5, 6, 0.04, 0.04]
    assert readings.position[7] == 7
    assert CONTROLS["none"](episode).change_readings(readings) is readings


# Smoothness


def test_smoothness_of_a_constant_velocity_is_its_start():
    velocity = np.zeros(7)
    velocity[2] = 0.6
    result = smoothness([velocity] * 10, rate=10, full_speed=1.2)
    assert result["step_max"] == pytest.approx(0.5)
    # The second difference is −0.6 rad/s at the first tick and 0 at the 8 others.
    assert result["jerk_max"] == pytest.approx(60)
    assert result["jerk_rms"] == pytest.approx(60 / np.sqrt(9 * 7))


def test_smoothness_needs_two_commands():
    assert smoothness([np.zeros(7)], rate=15, full_speed=1.2) is None


# Results


def record(episode, success, task="pick", block="red", first_touched="red", **changes):
    return {
        "mode": "async",
        "delay_ms": 0,
        "control": "none",
        "episode": episode,
        "layout_seed": episode,
        "task": task,
        "block": block,
        "prompt": f"pick up the {block} block",
        "success": success,
        "reason": None if success else "time limit",
        "first_touched": first_touched,
        "ticks": 60,
        "time_s": 4.0,
        "smoothness": {"jerk_rms": 10.0, "jerk_max": 50.0, "step_max": 0.2},
    } | changes


def test_a_summary_counts_each_kind_of_task_and_the_reasons_of_failures():
    records = [record(0, True, "touch"), record(1, False), record(2, True, "touch"), record(3, True)]
    (summary,) = summarise(records)
    assert {kind: task["success"]["count"] for kind, task in summary["tasks"].items()} == {"touch": 2, "pick": 1}
    assert summary["tasks"]["pick"]["failures"] == {"time limit": 1}
    assert (summary["all"]["success"]["count"], summary["all"]["success"]["of"]) == (3, 4)
    assert closing_line(records) == "3 of 4 succeeded"


def test_a_summary_adds_what_the_node_counted():
    nodes = [
        {"holds": 3, "refused": {"CAMERA_STALE": 1}, "faults": {}},
        {"holds": 1, "refused": {"CAMERA_STALE": 2}, "faults": {}},
    ]
    (summary,) = summarise([record(index, True, node=node) for index, node in enumerate(nodes)])
    assert summary["all"]["node"] == {"hold_share": 4 / 120, "refused": {"CAMERA_STALE": 3}, "faults": {}}
    assert node_text(summary) == "ticks without an action 3.3 %, refusals 3 CAMERA_STALE, no faults"
    assert node_text(summarise([record(0, True)])[0]) == "no counters of the node"


def test_a_control_is_compared_with_the_plain_run_of_the_same_layouts():
    plain = [record(index, True) for index in range(10)]
    control = [record(index, index < 2, control="wrist-frozen", first_touched=None) for index in range(5)]
    summaries = summarise(plain + control)
    assert [summary["control"] for summary in summaries] == ["none", "wrist-frozen"]
    assert summaries[1]["loss"]["layouts"] == 5
    assert summaries[1]["loss"]["loss"] == pytest.approx(0.6)
    assert summaries[1]["all"]["named_block_first"]["count"] == 0
    assert closing_line(plain + control) == "10 of 10 succeeded"


def test_a_rate_without_episodes_is_unknown():
    assert rate([]) == {"count": 0, "of": 0, "rate": None, "low": 0.0, "high": 1.0}


def test_the_table_of_modes_replaces_what_is_between_the_markers(tmp_path):
    page = tmp_path / "evaluation.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    records = [
        record(index, index > 0, mode=mode, delay_ms=delay)
        for mode in ("sync", "async")
        for delay in (0, 200)
        for index in range(4)
    ]
    results = {"episodes": records, "options": {"seed": 1, "real_time": False}, "policy": {"checkpoint_sha256": "ab" * 32}}
    write_table(results, page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n") and text.endswith(f"{END}\nafter\n") and "old" not in text
    assert "| mode | task | 0 ms | 200 ms |" in text
    assert text.count("75 % (30.1 … 95.4)") == 4
    page.write_text("no markers")
    with pytest.raises(SimulationError, match="TABLE_MARKERS"):
        write_table(results, page)


def test_the_table_of_modes_states_how_the_episodes_ran(tmp_path):
    options = {"seed": 1, "real_time": False}
    node = {"episodes": [record(0, True, mode="sync")], "options": options, "policy": {"checkpoint_sha256": "ab" * 32}}
    process = node | {"policy": node["policy"] | {"inference": "cpu"}}
    assert modes_table(node).endswith("1 layouts each, seed 1, lock-step, checkpoint `abababababab`.")
    assert "seed 1, without the node (`--inference cpu`), checkpoint" in modes_table(process)


# Comparison


def test_a_comparison_lists_the_pairs_that_disagree(tmp_path, capsys):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    first = [record(index, True) for index in range(5)]
    second = [record(index, index != 3) for index in range(1, 7)]
    for path, records in zip(paths, (first, second), strict=True):
        path.write_text(json.dumps({"episodes": records}))
    out = tmp_path / "pairs.json"
    compare.main(["compare", *map(str, paths), "--json", str(out)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 of 4 pairs disagree"
    assert any("success in 4.0 s" in line and "time limit at 4.0 s" in line for line in lines)
    assert [(pair["a"]["episode"], pair["b"]["success"]) for pair in json.loads(out.read_text())] == [(3, False)]


def test_evaluations_of_different_layouts_cannot_be_compared():
    with pytest.raises(SimulationError, match="NO_PAIRS"):
        compare.pairs([record(0, True)], [record(1, True)])


# Video


def test_a_video_shows_a_success_of_each_kind_of_task(tmp_path):
    records = [record(0, False), record(1, True), record(2, False, "touch")]
    for index in range(3):
        frames = Frames()
        for tick in range(30):
            frames.add(tick * PERIOD, {camera: np.full((48, 64, 3), 8 * tick, np.uint8) for camera in ("exterior", "wrist")})
        frames.save(tmp_path / f"{index:04}.npz")
    assert np.load(tmp_path / "0000.npz")["frames"].shape == (10, 2, 24, 32, 3)
    from PIL import Image

    from sim.evaluation.video import selected

    assert [r["episode"] for r in selected(records, tmp_path)] == [1, 2]
    write_video(records, tmp_path, tmp_path / "out.gif")
    with Image.open(tmp_path / "out.gif") as image:
        assert image.n_frames > 10
