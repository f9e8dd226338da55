"""The trained policy, through the node: `pi05 eval` for each mode and delay, and what it recorded."""

import json
import pathlib
import subprocess
import tempfile

from sim.errors import SimulationError
from sim.execution import MODES
from sim.seams.conditions import DELAYS_MS, JITTER_MS, Condition

ROOT = pathlib.Path(__file__).resolve().parents[2]
TASK = "pick"


def run_all(episodes: int, records: pathlib.Path, jobs: int | None) -> dict[Condition, list[dict]]:
    """The results of each condition. Episodes that `records` has are not run again."""
    records.parent.mkdir(parents=True, exist_ok=True)
    fixed = _evaluate(episodes, records, jobs, ["--delay", ",".join(map(str, DELAYS_MS))])
    jittered = _evaluate(episodes, records, jobs, ["--delay", "0", "-p", f"schedule.injected_jitter:={JITTER_MS / 1000}"])
    results: dict[Condition, list[dict]] = {}
    for jitter_ms, found in ((0, fixed), (JITTER_MS, jittered)):
        for record in found:
            condition = Condition(record["mode"], record["delay_ms"], jitter_ms)
            results.setdefault(condition, []).append(result_of(record))
    return results


def _evaluate(episodes: int, records: pathlib.Path, jobs: int | None, options: list[str]) -> list[dict]:
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "results.json"
        command = [ROOT / "bin" / "pi05", "eval", "--task", TASK, "--episodes", str(episodes), "--mode", ",".join(MODES)]
        command += ["--records", records, "--json", path, *options, *([] if jobs is None else ["--jobs", str(jobs)])]
        status = subprocess.run(command, check=False).returncode
        if status != 0:
            raise SimulationError("POLICY_TIMEOUT", f"Expected pi05 eval to run all episodes, received exit status {status}")
        return json.loads(path.read_text())["episodes"]


def read_records(path: pathlib.Path) -> dict[Condition, list[dict]]:
    """The results of each condition that `python -m training.seams` has run without the node."""
    results: dict[Condition, list[dict]] = {}
    for record in map(json.loads, path.read_text().splitlines()):
        runs = results.setdefault(Condition(**record["condition"]), [])
        runs.append({**record["seams"], "tracking": None, "success": record["success"]})
    order = sorted(results, key=lambda c: (c.error is not None, c.jitter_ms, MODES.index(c.mode), c.delay_ms, c.error or 0))
    return {condition: results[condition] for condition in order}


def result_of(record: dict) -> dict:
    """The numbers of an episode, from what the node measured (`seams` of docs/evaluation.md). There is no `tracking`."""
    seams = record["seams"]
    return {
        "jump_max": seams.get("seam_jump_max", 0.0),
        "jerk_rms": seams["jerk_rms"],
        "jerk_max": seams["jerk_max"],
        "idle": seams["idle_steps"] / record["ticks"],
        "tracking": None,
        "success": record["success"],
    }
