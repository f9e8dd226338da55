"""Runs the episodes of `npm run eval` with a checkpoint but without the node: PyTorch, or the native engine.

    python -m training.evaluate --checkpoint DIR --episodes N [--seed S] [--tasks T …]
        [--inference torch|cpu|cuda|cuda-fp32] [--mode M …] [--delay MS …] [--control C] [--jobs N] [--json FILE]
        [--table PAGE.md] [--observations DIR --record N]

Layouts, prompts and noise are those of the node. `python -m sim.compare` lists the episodes with different outcomes. With
several modes or delays, all episodes are run with each combination; `--table` writes the table of success by mode and delay.
Needs PyTorch and MuJoCo, no ROS. All but `torch` are the native engine, see training/engine.py. `--record` keeps observations
for training.compare_backends, a file of each process in DIR.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

from sim.cameras import Cameras
from sim.episode import PERIOD, deal
from sim.evaluation.controls import CONTROLS
from sim.evaluation.modes_table import write_table
from sim.evaluation.report import FORMAT, versions
from sim.evaluation.results import PLAIN, summarise
from sim.evaluation.tables import closing_line, condition_text, success_table
from sim.execution import MODES, Execution
from sim.rollout import run_episode
from sim.scene import Scene
from sim.tasks import TASKS
from training.checkpoint import checkpoint_hash
from training.compare_backends import CANDIDATES
from training.engine import Engine
from training.observation_recorder import ObservationRecorder
from training.policy import CheckpointPolicy, TorchInference


def trained_max_delay(checkpoint: str) -> int:
    """The largest delay that the checkpoint was trained with for mode rtc_trained, steps; 0 = none."""
    model = json.loads((pathlib.Path(checkpoint) / "pi05_model.json").read_text())
    return model.get("rtc", {}).get("trained_max_delay", 0)


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--episodes", type=int, default=40, metavar="N", help="in all, dealt over the tasks (40)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the layouts (0)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="dealt in turn (all)")
    parser.add_argument("--inference", choices=("torch", *CANDIDATES), default="torch")
    parser.add_argument("--device", default="cpu", help="of PyTorch (cpu)")
    parser.add_argument("--mode", nargs="+", choices=MODES, default=["async"])
    parser.add_argument("--delay", nargs="+", type=int, default=[0], metavar="MS", help="from an observation to its chunk (0)")
    parser.add_argument("--control", choices=CONTROLS, default="none", help="what the policy is given wrongly (none)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes with one thread each (1)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--table", type=pathlib.Path, metavar="PAGE.md", help="where the table of modes is, between markers")
    parser.add_argument("--observations", type=pathlib.Path, metavar="DIR", help="where to record observations")
    parser.add_argument("--record", type=int, default=0, metavar="N", help="observations to record, in all (0)")
    options = parser.parse_args(argv)
    if options.table and options.control != PLAIN:
        parser.error("--table shows episodes without a control")
    if "rtc_trained" in options.mode and not trained_max_delay(options.checkpoint):
        parser.error(f"expected a checkpoint that was trained for mode rtc_trained, received {options.checkpoint}")
    return options


class Runner:
    """One simulation with its policy."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        threads = 1 if options.jobs > 1 else 0
        if options.inference == "torch":
            inference = TorchInference(options.checkpoint, options.device, threads)
        else:
            inference = Engine(options.checkpoint, threads=threads, **CANDIDATES[options.inference])
        self._recorder = None
        if options.observations:
            path = options.observations / f"{os.getpid()}.npz"
            inference = self._recorder = ObservationRecorder(inference, path, -(-options.record // options.jobs))
        self._policy = CheckpointPolicy(options.checkpoint, inference)
        self._trained_max_delay = trained_max_delay(options.checkpoint)
        self._scene = Scene()
        self._cameras = Cameras(self._scene.model)

    def run(self, mode: str, delay_ms: int, index: int) -> dict:
        """The record of an episode."""
        options = self._options
        control = CONTROLS[options.control](deal(tuple(options.tasks), options.seed, index))
        delay_ticks = -(-delay_ms * 1_000_000 // PERIOD)  # a chunk arrives at the first tick at or after the delay
        execution = Execution(delay_ticks, mode, trained_max_delay=self._trained_max_delay)
        record = run_episode(self._scene, self._cameras, control, self._policy, execution)
        if self._recorder:
            self._recorder.save()
        return {"mode": mode, "delay_ms": delay_ms, **record}


_runner: Runner


def start_worker(options: argparse.Namespace) -> None:
    global _runner
    _runner = Runner(options)


def run_in_worker(mode: str, delay_ms: int, index: int) -> dict:
    return _runner.run(mode, delay_ms, index)


def run_all(options: argparse.Namespace) -> list[dict]:
    """The records of all episodes with each mode and delay, in their order."""
    runs = list(itertools.product(options.mode, options.delay, range(options.episodes)))
    context = multiprocessing.get_context("spawn")  # OpenGL and CUDA do not survive a fork
    records = []
    with ProcessPoolExecutor(options.jobs, context, start_worker, (options,)) as pool:
        for record in pool.map(run_in_worker, *zip(*runs, strict=True)):
            records.append(record)
            print(f"{closing_line(records, options.control)}, {len(runs) - len(records)} left", file=sys.stderr)
    return records


def main(argv: list[str]) -> None:
    options = arguments(argv)
    records = run_all(options)
    summaries = summarise(records)
    for summary in summaries:
        print(f"{condition_text(summary)}\n\n{success_table(summary)}", end="\n\n")
    no_settings = ("json", "table", "checkpoint", "observations", "record")
    settings = {key: value for key, value in vars(options).items() if key not in no_settings}
    policy = {"checkpoint": options.checkpoint, "checkpoint_sha256": checkpoint_hash(options.checkpoint)}
    results = {
        "format": FORMAT,
        "options": {**settings, "real_time": False},
        "policy": {**policy, "inference": options.inference},
        "versions": versions(),
        "summary": summaries,
        "episodes": records,
    }
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.table:
        write_table(results, options.table)
    print(closing_line(records, options.control))


if __name__ == "__main__":
    main(sys.argv[1:])
