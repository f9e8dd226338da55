"""Evaluates a checkpoint in the simulator without ROS and without the node, in parallel processes.

    python -m training.run_episodes --checkpoint DIR --inference torch|cpu|cuda|cuda-fp32 --episodes N [--seed S]
        [--task T] [--delay TICKS] [--jobs N] [--json FILE] [--observations DIR --record N]

The episodes, the noise and the records are those of `pi05 eval`, so `python -m sim.compare` finds the pairs that disagree.
`torch` is the PyTorch model in float32 on the CPU; the others are the engine (`pi05_stream`). `--record` writes observations
for `training.compare_backends`, DIR/JOB.npz.
"""

import argparse
import functools
import json
import multiprocessing
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each process has one core

import numpy as np

from sim.cameras import Cameras
from sim.episode import deal
from sim.evaluation.controls import Control
from sim.execution import Execution
from sim.rollout import run_episode
from sim.scene import Scene
from sim.tasks import TASKS
from training.compare_backends import CANDIDATES
from training.engine import Engine


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.run_episodes", description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True, help="directory")
    parser.add_argument("--inference", choices=("torch", *CANDIDATES), default="torch")
    parser.add_argument("--episodes", type=int, default=40, help="in all, dealt over the tasks in turn (40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--task", choices=TASKS, nargs="+", default=list(TASKS))
    parser.add_argument("--delay", type=int, default=0, help="control ticks from an observation to its chunk's arrival (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=pathlib.Path, help="where to write the records")
    parser.add_argument("--observations", type=pathlib.Path, help="directory for recorded observations")
    parser.add_argument("--record", type=int, default=0, help="observations to record, in all")
    return parser.parse_args()


class Recorder:
    """An inference that keeps what it received, at most `limit` times."""

    def __init__(self, inference, limit: int) -> None:
        self._inference, self._limit = inference, limit
        self._rows: list[tuple[np.ndarray, list[int], np.ndarray]] = []

    def infer(self, images: list[np.ndarray], tokens: list[int], noise: np.ndarray) -> np.ndarray:
        if len(self._rows) < self._limit:
            self._rows.append((np.stack(images), tokens, noise))
        return self._inference.infer(images, tokens, noise)

    def save(self, path: pathlib.Path) -> None:
        """In the format of training.compare_backends."""
        longest = max(len(tokens) for _, tokens, _ in self._rows)
        np.savez(
            path,
            images=np.stack([images for images, _, _ in self._rows]),
            tokens=np.array([tokens + [0] * (longest - len(tokens)) for _, tokens, _ in self._rows], dtype=np.int32),
            token_counts=np.array([len(tokens) for _, tokens, _ in self._rows], dtype=np.int32),
            noise=np.stack([noise for _, _, noise in self._rows]),
        )


def open_inference(name: str, checkpoint: pathlib.Path):
    if name == "torch":
        import torch

        from training.policy import TorchInference

        torch.set_num_threads(1)
        return TorchInference(checkpoint)
    backend, environment = CANDIDATES[name]
    return Engine(checkpoint, backend, 1, environment=environment)


def run_share(options: argparse.Namespace, job: int) -> list[dict]:
    """The records of every `jobs`-th episode."""
    from training.policy import CheckpointPolicy

    inference = open_inference(options.inference, options.checkpoint)
    limit = len(range(job, options.record, options.jobs))
    recorder = Recorder(inference, limit)
    policy = CheckpointPolicy(options.checkpoint, recorder)
    scene = Scene()
    cameras = Cameras(scene.model)
    records = []
    for index in range(job, options.episodes, options.jobs):
        control = Control(deal(tuple(options.task), options.seed, index))
        records.append(run_episode(scene, cameras, control, policy, Execution(options.delay)))
    if limit:
        recorder.save(options.observations / f"{job}.npz")
    return records


def main() -> None:
    options = arguments()
    if options.observations:
        options.observations.mkdir(parents=True, exist_ok=True)
    jobs = min(options.jobs, options.episodes)
    options.jobs = jobs
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        shares = pool.map(functools.partial(run_share, options), range(jobs), chunksize=1)
    records = sorted((record for share in shares for record in share), key=lambda record: record["episode"])
    if options.json:
        options.json.write_text(json.dumps({"inference": options.inference, "episodes": records}) + "\n")
    for kind in options.task:
        outcomes = [record["success"] for record in records if record["task"] == kind]
        print(f"{kind:6} {sum(outcomes)} of {len(outcomes)}")
    print(f"{sum(record['success'] for record in records)} of {len(records)} succeeded")


if __name__ == "__main__":
    main()
