"""The comparison of backends (training/compare_backends.py), with engines of the CPU backend."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from training.compare_backends import Comparison, RobotUnits, compare, markdown, read_observations
from training.engine import Engine, EngineError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIXTURE = ROOT / "test" / "fixtures" / "pi05" / "tiny-openpi"
HORIZON, ACTION_DIM = 10, 32
LOW, HIGH = np.linspace(-0.4, 0.0, 8), np.linspace(0.2, 1.0, 8)


def make_checkpoint(directory: pathlib.Path, **actions) -> pathlib.Path:
    """The golden model with statistics; its horizon is 10."""
    shutil.copytree(FIXTURE, directory)
    (directory / "assets" / "demo").mkdir(parents=True)
    statistics = {"norm_stats": {"actions": {"q01": LOW.tolist(), "q99": HIGH.tolist(), **actions}}}
    (directory / "assets" / "demo" / "norm_stats.json").write_text(json.dumps(statistics))
    return directory


@pytest.fixture
def checkpoint(tmp_path) -> pathlib.Path:
    return make_checkpoint(tmp_path / "checkpoint")


def recorded(count: int = 3, **changes) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    arrays = {
        "images": rng.integers(0, 256, (count, 2, 48, 64, 3), dtype=np.uint8),
        "tokens": rng.integers(0, 512, (count, 12), dtype=np.int32),
        "token_counts": np.arange(7, 7 + count, dtype=np.int32),
        "noise": rng.standard_normal((count, HORIZON, ACTION_DIM), dtype=np.float32),
    }
    return {**arrays, **changes}


def write(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> pathlib.Path:
    np.savez_compressed(path, **{name: values for name, values in arrays.items() if values is not None})
    return path


def run(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "training.compare_backends", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)


def test_reads_what_a_recorder_wrote(tmp_path):
    arrays = recorded(previous=np.ones((3, HORIZON, ACTION_DIM), np.float32), delays=np.array([0, 4, 0], np.int32))
    read = list(read_observations(write(tmp_path / "a.npz", arrays)))
    assert [len(one["tokens"]) for one in read] == [7, 8, 9]
    for i, one in enumerate(read):
        assert np.array_equal(np.stack(one["images"]), arrays["images"][i])
        assert np.array_equal(one["tokens"], arrays["tokens"][i, : 7 + i])
        assert np.array_equal(one["noise"], arrays["noise"][i])
    assert [one["prefix"] and one["prefix"].delay for one in read] == [None, 4, None]


def test_units_are_radians_per_second_and_the_gripper(checkpoint):
    actions = np.random.default_rng(0).standard_normal((HORIZON, ACTION_DIM))
    expected = (actions[:, :8] + 1) / 2 * (HIGH - LOW + 1e-6) + LOW
    expected[:, :7] *= 3.0
    assert np.allclose(RobotUnits(checkpoint)(actions), expected, rtol=1e-12)


def test_quantiles_are_of_each_joint_and_the_gripper_is_compared_as_open_or_closed():
    comparison = Comparison()
    for i in range(100):
        candidate = np.zeros((1, 8))
        candidate[0, 0], candidate[0, 6], candidate[0, 7] = i, -2 * i, 0.6 if i < 3 else 0.4
        comparison.add(np.zeros((1, 8)), candidate, milliseconds=i)
    summary = comparison.summary()
    rows = {row["name"]: row for row in summary["errors"]}
    assert rows["joint 1"] == {"name": "joint 1", "unit": "rad/s", "p50": 49, "p99": 98, "max": 99}
    assert (rows["joint 7"]["max"], rows["joint 2"]["max"], rows["gripper"]["max"]) == (198, 0, 0.6)
    assert summary["gripper_differs"] == 0.03
    assert summary["milliseconds"] == {"p50": 49, "p99": 98, "max": 99}


def test_errors_are_the_differences_of_the_engines_actions(checkpoint, tmp_path):
    path = write(tmp_path / "a.npz", recorded())
    units = RobotUnits(checkpoint)
    expected = Comparison()
    # Another checkpoint stands for a backend that computes other actions.
    with Engine(checkpoint, threads=1) as one, Engine(FIXTURE.with_name("tiny-lerobot"), threads=1) as other:
        for observation in read_observations(path):
            expected.add(units(one.infer(**observation)), units(other.infer(**observation)), milliseconds=0)
        result = compare(one, {"other": other, "same": one}, units, read_observations(path))
    assert result["observations"] == 3
    assert result["candidates"]["other"]["errors"] == expected.summary()["errors"]
    assert min(row["max"] for row in result["candidates"]["other"]["errors"]) > 0
    assert [row["max"] for row in result["candidates"]["same"]["errors"]] == [0] * 8
    assert "| joint 1 | rad/s |" in markdown(result)


def test_the_command_writes_json_and_markdown_of_all_files(checkpoint, tmp_path):
    files = [write(tmp_path / f"{i}.npz", recorded(2)) for i in range(2)]
    json_file, markdown_file = tmp_path / "out.json", tmp_path / "out.md"
    outputs = ("--json", json_file, "--markdown", markdown_file)
    done = run("--checkpoint", checkpoint, "--candidates", "cpu", "--threads", 1, *outputs, "--observations", *files)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(json_file.read_text())
    assert (result["observations"], result["rows"]) == (4, HORIZON)
    assert [row["max"] for row in result["candidates"]["cpu"]["errors"]] == [0] * 8
    assert done.stdout == markdown_file.read_text()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"noise": None}, "INVALID_ARGUMENT: Expected an .npz of observations"),
        ({"token_counts": np.ones(2, np.int32)}, "INVALID_ARGUMENT: Expected as many rows in every array"),
        ({"tokens": np.full((3, 12), 600, np.int32)}, "INVALID_ARGUMENT: Expected token ids from 0 to 511"),
        ({"noise": np.zeros((3, 4, 32), np.float32)}, "INVALID_ARGUMENT: Expected float32 [10, 32] for noise"),
        (recorded(0), "INVALID_ARGUMENT: Expected observations, received none"),
    ],
)
def test_damaged_observations_end_with_status_1_and_a_code(checkpoint, tmp_path, changes, sentence):
    path = write(tmp_path / "a.npz", recorded(**changes))
    done = run("--checkpoint", checkpoint, "--candidates", "cpu", "--observations", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


def test_a_missing_or_truncated_file_ends_with_status_1_and_a_code(checkpoint, tmp_path):
    whole = write(tmp_path / "a.npz", recorded()).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[: len(whole) // 2])
    for name in ("none.npz", "b.npz"):
        done = run("--checkpoint", checkpoint, "--candidates", "cpu", "--observations", tmp_path / name)
        assert done.returncode == 1
        assert done.stderr.startswith("INVALID_ARGUMENT: Expected an .npz of observations")


def test_statistics_that_do_not_fit_are_refused(tmp_path):
    for i, actions in enumerate([{"q01": [0.0] * 7, "q99": [1.0] * 7}, {"q99": [1.0] * 7}, {"q01": ["x"] * 8}]):
        with pytest.raises(EngineError, match="CHECKPOINT_STATS"):
            RobotUnits(make_checkpoint(tmp_path / str(i), **actions))
    with pytest.raises(EngineError, match="CHECKPOINT_STATS: Expected one"):
        RobotUnits(FIXTURE)
