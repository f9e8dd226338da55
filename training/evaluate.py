"""Runs the episodes of `npm run eval` with a checkpoint but without the node: PyTorch, or the native engine.

    python -m training.evaluate --checkpoint DIR --episodes N [--seed S] [--tasks T …]
        [--inference torch|cpu|cuda|cuda-fp32] [--mode async|sync] [--delay MS] [--control C] [--jobs N] [--json FILE]
        [--observations DIR --record N]

Layouts, prompts and noise are those of the node. `python -m sim.compare` lists the episodes with different outcomes.
Needs PyTorch and MuJoCo, no ROS. All but `torch` are the native engine, see training/engine.py. `--record` keeps observations
for training.compare_backends, a file of each process in DIR.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor

from sim.cameras import Cameras
from sim.episode import PERIOD, deal
from sim.evaluation.controls import CONTROLS
from sim.evaluation.report import FORMAT, versions
from sim.evaluation.results import summarise
from sim.evaluation.tables import closing_line, success_table
from sim.execution import Execution
from sim.rollout import run_episode
from sim.scene import Scene
from sim.tasks import TASKS
from training.compare_backends import CANDIDATES
from training.engine import Engine
from training.observation_recorder import ObservationRecorder
from training.policy import CheckpointPolicy, TorchInference


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--episodes", type=int, default=40, metavar="N", help="in all, dealt over the tasks (40)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the layouts (0)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS, help="dealt in turn (all)")
    parser.add_argument("--inference", choices=("torch", *CANDIDATES), default="torch")
    parser.add_argument("--device", default="cpu", help="of PyTorch (cpu)")
    parser.add_argument("--mode", choices=("async", "sync"), default="async")
    parser.add_argument("--delay", type=float, default=0, metavar="MS", help="from an observation to its chunk (0)")
    parser.add_argument("--control", choices=CONTROLS, default="none", help="what the policy is given wrongly (none)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes with one thread each (1)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--observations", type=pathlib.Path, metavar="DIR", help="where to record observations")
    parser.add_argument("--record", type=int, default=0, metavar="N", help="observations to record, in all (0)")
    return parser.parse_args(argv)


class Runner:
    """One simulation with its policy."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        threads = 1 if options.jobs > 1 else 0
        if options.inference == "torch":
            inference = TorchInference(options.checkpoint, options.device, threads)
        else:
            backend, environment = CANDIDATES[options.inference]
            inference = Engine(options.checkpoint, backend, threads, environment=environment)
        self._recorder = None
        if options.observations:
            path = options.observations / f"{os.getpid()}.npz"
            inference = self._recorder = ObservationRecorder(inference, path, -(-options.record // options.jobs))
        self._policy = CheckpointPolicy(options.checkpoint, inference)
        self._scene = Scene()
        self._cameras = Cameras(self._scene.model)
        # A chunk arrives at the first tick at or after the delay.
        self._delay_ticks = -(-round(options.delay * 1_000_000) // PERIOD)

    def run(self, index: int) -> dict:
        """The record of an episode."""
        options = self._options
        control = CONTROLS[options.control](deal(tuple(options.tasks), options.seed, index))
        execution = Execution(self._delay_ticks, options.mode)
        record = run_episode(self._scene, self._cameras, control, self._policy, execution)
        if self._recorder:
            self._recorder.save()
        return {"mode": options.mode, "delay_ms": options.delay, **record}


_runner: Runner


def start_worker(options: argparse.Namespace) -> None:
    global _runner
    _runner = Runner(options)


def run_in_worker(index: int) -> dict:
    return _runner.run(index)


def run_all(options: argparse.Namespace) -> list[dict]:
    """The records of all episodes, in their order."""
    context = multiprocessing.get_context("spawn")  # OpenGL and CUDA do not survive a fork
    records = []
    with ProcessPoolExecutor(options.jobs, context, start_worker, (options,)) as pool:
        for record in pool.map(run_in_worker, range(options.episodes)):
            records.append(record)
            print(f"{closing_line(records, options.control)}, {options.episodes - len(records)} left", file=sys.stderr)
    return records


def main(argv: list[str]) -> None:
    options = arguments(argv)
    records = run_all(options)
    summaries = summarise(records)
    print(success_table(summaries[0]), end="\n\n")
    if options.json:
        settings = {key: value for key, value in vars(options).items() if key not in ("json", "checkpoint", "observations", "record")}
        results = {
            "format": FORMAT,
            "options": {**settings, "real_time": False},
            "policy": {"checkpoint": options.checkpoint, "inference": options.inference},
            "versions": versions(),
            "summary": summaries,
            "episodes": records,
        }
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(closing_line(records, options.control))


if __name__ == "__main__":
    main(sys.argv[1:])
