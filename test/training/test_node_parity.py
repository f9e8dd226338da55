"""Episodes in the node over DDS against the same episodes in one process: equal bit for bit with the same engine.

Needs a checkout that is set up, with the simulated arm. Takes about a minute.
"""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

CHECKPOINT = ROOT / "checkpoints" / "demo"
# What depends on the episode alone; `chunks` counts the last one differently, if it has not arrived at the end.
FIELDS = ("task", "prompt", "success", "reason", "first_touched", "ticks", "smoothness")


def outcomes(command, path):
    result = subprocess.run([*command, "--json", path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [{field: record[field] for field in FIELDS} for record in json.loads(path.read_text())["episodes"]]


@pytest.mark.parametrize(("mode", "delay_ms"), [("async", 0), ("async", 200), ("sync", 200)])
def test_the_node_executes_the_same_episodes(mode, delay_ms, tmp_path):
    common = ["--episodes", "4", "--seed", "5", "--mode", mode, "--delay", str(delay_ms)]
    process = [sys.executable, "-m", "training.evaluate", "--checkpoint", CHECKPOINT, "--inference", "cpu", *common]
    expected = outcomes(process, tmp_path / "process.json")
    assert outcomes([ROOT / "bin" / "pi05", "eval", *common], tmp_path / "node.json") == expected
    assert len({outcome["smoothness"]["jerk_rms"] for outcome in expected}) == 4
