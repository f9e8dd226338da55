"""Episodes in the node over DDS against the same episodes in one process: equal bit for bit with the same engine.
The table of modes and delays in one process.

Needs a checkout that is set up, with the simulated arm. Takes about a minute.
"""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

from sim.evaluation.modes_table import BEGIN, END

CHECKPOINT = ROOT / "checkpoints" / "demo"
# What depends on the episode alone; `chunks` counts the last one differently, if it has not arrived at the end.
FIELDS = ("task", "prompt", "success", "reason", "first_touched", "ticks", "smoothness")


IN_PROCESS = [sys.executable, "-m", "training.evaluate", "--checkpoint", CHECKPOINT, "--inference", "cpu"]


def results_of(command, path):
    result = subprocess.run([*command, "--json", path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(path.read_text())


def outcomes(results):
    return [{field: record[field] for field in FIELDS} for record in results["episodes"]]


CONDITIONS = [("async", 0), ("async", 200), ("async", 400), ("sync", 200), ("ensemble", 200), ("rtc", 0), ("rtc", 200), ("rtc_trained", 200)]


@pytest.mark.parametrize(("mode", "delay_ms"), CONDITIONS)
def test_the_node_executes_the_same_episodes(mode, delay_ms, tmp_path):
    common = ["--episodes", "4", "--seed", "5", "--mode", mode, "--delay", str(delay_ms)]
    process = results_of([*IN_PROCESS, *common], tmp_path / "process.json")
    node = results_of([ROOT / "bin" / "pi05", "eval", *common], tmp_path / "node.json")
    assert outcomes(node) == outcomes(process)
    assert len({outcome["smoothness"]["jerk_rms"] for outcome in outcomes(process)}) == 4
    assert node["policy"]["checkpoint_sha256"] == process["policy"]["checkpoint_sha256"]


def test_one_command_writes_the_table_of_modes_and_delays_without_the_node(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    common = ["--tasks", "touch", "--episodes", "2", "--mode", "sync", "async", "--delay", "0", "400", "--jobs", "2"]
    results = results_of([*IN_PROCESS, *common, "--table", page], tmp_path / "process.json")
    conditions = [(record["mode"], record["delay_ms"]) for record in results["episodes"]]
    assert conditions[::2] == conditions[1::2] == [("sync", 0), ("sync", 400), ("async", 0), ("async", 400)]
    ticks = [record["ticks"] for record in results["episodes"]]
    assert ticks[2] > ticks[0] + 10  # in mode sync the arm waits 6 ticks for each chunk
    rows = [line for line in page.read_text().splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[:2] for row in rows] == [["| `sync`", "touch"], ["| `async`", "touch"]]
    assert "2 layouts each, seed 0, without the node (`--inference cpu`)" in page.read_text()
