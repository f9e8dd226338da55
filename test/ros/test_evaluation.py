"""`pi05 eval` with the real node, real DDS and the simulated arm, in lock-step. Random weights: the outcome is failure."""

import json
import os
import signal
import subprocess

from harness import PI05

TASKS = ["touch", "pick"]


def evaluate(checkpoint, *arguments):
    """Starts `pi05 eval`, which chooses its ROS domains itself."""
    command = [PI05, "eval", "--checkpoint", str(checkpoint), "--task", ",".join(TASKS), *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "ROS_DOMAIN_ID"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcomes(path):
    """The records without the wall time."""
    return [{k: v for k, v in record.items() if k != "timing"} for record in json.loads(path.read_text())["episodes"]]


def test_the_same_episodes_have_the_same_records_whatever_ran_before_and_beside_them(checkpoint, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for directory, jobs in ((one, "1"), (two, "2")):
        process = evaluate(checkpoint, "--episodes", "4", "--seed", "3", "--jobs", jobs, "--out", str(directory))
        out, err = process.communicate(timeout=600)
        assert (process.returncode, err) == (0, ""), err
        assert out.splitlines()[-1].endswith(" of 4 succeeded")
    records = outcomes(one / "evaluation.json")
    assert records == outcomes(two / "evaluation.json")
    assert [(r["episode"], r["layout_seed"], r["task"]) for r in records] == [
        (index, 30_000 + index, TASKS[index % 2]) for index in range(4)
    ]
    assert all(0 < record["ticks"] <= limit for record, limit in zip(records, [96, 144, 96, 144], strict=True))
    assert [record["chunks"] for record in records] == [-(-record["ticks"] // 8) for record in records]
    assert len({record["smoothness"]["jerk_rms"] for record in records}) == 4
    assert (one / "evaluation.png").read_bytes().startswith(b"\x89PNG")
    assert (one / "evaluation.gif").read_bytes().startswith(b"GIF89a")


def test_an_evaluation_continues_with_the_episodes_that_its_records_do_not_have(checkpoint, tmp_path):
    records, results = tmp_path / "records.jsonl", tmp_path / "results.json"
    options = ["--episodes", "4", "--jobs", "1", "--delay", "200", "--task", "touch"]
    options += ["--records", str(records), "--json", str(results)]
    process = evaluate(checkpoint, *options)
    while not records.exists() or records.read_text().count("\n") < 2:
        line = process.stdout.readline()
        assert line, process.stderr.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=180)
    assert (process.returncode, err) == (130, ""), err
    assert out.splitlines()[-1] == "Stopped."
    before = records.read_text()
    process = evaluate(checkpoint, *options)
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), err
    assert records.read_text().startswith(before)
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    # Without delay there is no hold; with it, the arm holds until the first chunk arrives, 3 ticks later.
    assert [(line["episode"], line["delay_ms"], line["node"]["holds"]) for line in lines] == [(i, 200, 3) for i in range(4)]
    assert len(outcomes(results)) == 4


def test_the_node_accepts_the_inputs_of_every_control(checkpoint, tmp_path):
    results = tmp_path / "results.json"
    process = evaluate(checkpoint, "--episodes", "1", "--task", "touch", "--controls", "--json", str(results))
    out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, ""), err
    records = outcomes(results)
    names = ["none", "prompts-shuffled", "cameras-swapped", "wrist-frozen", "exterior-twice", "gripper-open"]
    assert [record["control"] for record in records] == names
    assert [record["chunks"] for record in records] == [-(-record["ticks"] // 8) for record in records]
    assert [record["node"] for record in records] == [{"holds": 0, "refused": {}, "faults": {}}] * len(names)
    # Each control changes what the policy does, even with random weights.
    assert len({record["smoothness"]["jerk_rms"] for record in records}) == len(names)


def test_an_evaluation_ends_with_the_error_of_its_node(checkpoint, tmp_path):
    process = evaluate(checkpoint, "-p", "flow_steps:=1000000")
    _, err = process.communicate(timeout=180)
    assert process.returncode == 2 and err.startswith("CONFIG_RANGE: "), err
    process = evaluate(checkpoint, "--delay", "0,5000")
    _, err = process.communicate(timeout=180)
    assert process.returncode == 2 and "schedule.injected_delay" in err, err
    (tmp_path / "empty").mkdir()
    process = evaluate(tmp_path / "empty", "--episodes", "1")
    _, err = process.communicate(timeout=240)
    assert process.returncode == 1
    sentence = "INTERNAL: Expected the policy node to run until the end of the evaluation, but it ended with status 2"
    assert err.startswith(sentence), err
    assert "CHECKPOINT_MISSING" in err
