"""`python -m training.train --out DIR`: makes data, trains, exports and evaluates the demo policy, on one GPU.

Processes simulate and render episodes (workers.py) while the GPU trains on the frames seen so far. At first the noisy
expert moves the arms. Then the policy (the average of its weights) moves most of them and the expert only labels what
is seen, so that the policy learns to recover from its own errors (DAgger, Ross et al. 2011). With `--demonstrations` it
trains on recorded files instead. The learning rate follows a cosine to 0 over the given time; only the averaged weights
at the end are a policy that is ready to be judged.
"""

import argparse
import json
import os
import pathlib
import re
import threading
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has one core
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the cores are shared with the workers

import torch
from torch import Tensor

from sim.tasks import TASKS, vocabulary
from training import demonstrations
from training.batch_policy import ROLLOUT_STEPS, image_height
from training.dimensions import Dimensions, demo_dimensions
from training.episodes import Assignment
from training.held_out import evaluate_delays
from training.new_tasks import find
from training.trainer import Settings, Trainer
from training.workers import HeldOut, Outcome, Pool

SERVE_EVERY = 2  # optimiser steps
KIND_WEIGHTS = {"touch": 0.5, "pick": 0.9, "bowl": 1.9, "stack": 1.6}  # of episodes
NEW_TASK_WEIGHT = 1.2
POLICY_SHARE = 0.75  # of the episodes, once the policy moves the arms
INTERVAL = 15  # s between two entries of the learning curve

Log = Callable[[str], None]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--resume", type=pathlib.Path, help="a checkpoint of an earlier run to continue from")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help="kinds, or modules of new tasks (all kinds)")
    parser.add_argument(
        "--demonstrations", type=pathlib.Path, nargs="+", help="directories of recorded files to train on"
    )
    parser.add_argument("--seconds", type=float, default=420, help="of training (420)")
    parser.add_argument(
        "--imitation", type=float, default=0.2, help="share of the time before the policy moves the arms"
    )
    parser.add_argument("--workers", type=int, default=15)
    parser.add_argument("--environments", type=int, default=12, help="simulated arms of each worker (12)")
    parser.add_argument("--capacity", type=int, default=420_000, help="frames in GPU memory (420000)")
    parser.add_argument(
        "--first-frames", type=int, default=6000, help="frames of the expert before training starts (6000)"
    )
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--draws", type=int, default=2, help="flow draws per frame (2)")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=200, help="steps until the learning rate is reached (200)")
    parser.add_argument("--evaluate", type=int, default=100, help="held-out episodes per task at the end (100)")
    parser.add_argument("--evaluate-delays", type=int, nargs="*", default=[0, 3], help="in ticks (0 3)")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


class LearningCurve:
    """The losses and the outcomes of the policy's episodes in training, an entry each INTERVAL seconds."""

    def __init__(self, kinds: list[str], log: Log) -> None:
        self.entries: list[dict] = []
        self._kinds, self._log = kinds, log
        self._shown = 0.0
        self._clear()

    def _clear(self) -> None:
        self._losses: list[Tensor] = []
        self._outcomes: dict[str, list[bool]] = {kind: [] for kind in self._kinds}

    def add_outcomes(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.by_policy:
                self._outcomes[outcome.kind].append(outcome.outcome == "success")

    def add_losses(self, losses: Tensor, elapsed: float, trainer: Trainer, is_last: bool) -> None:
        """`losses`: as `Trainer.step` returns them. `elapsed`: s."""
        self._losses.append(losses)
        if elapsed - self._shown < INTERVAL and not is_last:
            return
        self._shown = elapsed
        flow, auxiliary = torch.stack(self._losses).mean(0).tolist()
        entry = {"seconds": round(elapsed, 1), "steps": trainer.steps, "frames": trainer.ring.total}
        entry |= {"flow": flow, "auxiliary": auxiliary}
        entry |= {f"{kind}_rollouts": [sum(done), len(done)] for kind, done in self._outcomes.items() if done}
        self.entries.append(entry)
        self._log(json.dumps(entry))
        self._clear()


def train(options: argparse.Namespace, pool: Pool, trainer: Trainer, log: Log) -> list[dict]:
    """Trains for `options.seconds` while the workers make frames. Returns the learning curve."""
    curve = LearningCurve(options.tasks, log)
    begin, by_policy, compiler = None, bool(options.resume), None
    unchanged: set[int] = set()  # workers in which the expert still moves all arms
    if trainer.policy:
        trainer.policy.capture()
    while True:
        due = begin is None or trainer.steps % SERVE_EVERY == 0
        received = {index: pool.receive(index) for index in pool.ready()} if due else {}
        for index, report in received.items():
            if report.frames:
                prompts = trainer.prompts.index(report.frame_prompts)
                trainer.ring.add(pool.arrays[index], report.frames, prompts)
            curve.add_outcomes(report.outcomes)
        if compiler is None and trainer.ring.count >= options.first_frames:
            if trainer.policy is None:
                trainer.measure_statistics()
                trainer.policy.capture()
            compiler = threading.Thread(target=trainer.step, args=(0.0,))
            compiler.start()
        if begin is None and compiler is not None and not compiler.is_alive():
            begin = time.monotonic()
            log(f"start with {trainer.ring.count} frames")
        progress = 0.0 if begin is None else (time.monotonic() - begin) / options.seconds
        if not by_policy and progress >= options.imitation:
            by_policy = True
            unchanged = set(range(len(pool.pipes)))
        if trainer.policy:
            trainer.policy.serve(pool, received, ROLLOUT_STEPS)
        for index in received:
            changed = index in unchanged
            unchanged.discard(index)
            pool.proceed(index, assignment(options.tasks, POLICY_SHARE) if changed else None)
        if begin is None:
            time.sleep(0.01)
            continue
        losses = trainer.step(progress)
        curve.add_losses(losses, time.monotonic() - begin, trainer, progress >= 1)
        if progress >= 1:
            return curve.entries


def train_on_files(options: argparse.Namespace, trainer: Trainer, log: Log) -> list[dict]:
    """Trains for `options.seconds` on demonstrations. Returns the learning curve."""
    ring = trainer.ring
    for path in demonstrations.files(options.demonstrations):
        frames = demonstrations.read(path, tuple(ring.images.shape[1:]), trainer.dims.action.horizon)
        prompts = trainer.prompts.index(demonstrations.prompts_in(path))
        ring.add(frames, len(prompts), prompts)
    if trainer.policy is None:
        trainer.measure_statistics()
    trainer.policy.capture()
    trainer.step(0.0)  # compiles
    log(f"start with {ring.count} frames")
    curve = LearningCurve([], log)
    begin = time.monotonic()
    while True:
        progress = (time.monotonic() - begin) / options.seconds
        losses = trainer.step(progress)
        curve.add_losses(losses, time.monotonic() - begin, trainer, progress >= 1)
        if progress >= 1:
            return curve.entries


def assignment(kinds: list[str], policy_share: float) -> Assignment:
    """The training episodes."""
    weights = tuple(KIND_WEIGHTS.get(kind, NEW_TASK_WEIGHT) for kind in kinds)
    return Assignment(tuple(kinds), weights, policy_share, max_delay=6, prefix_share=0.6)


def words_of_prompts(options: argparse.Namespace) -> set[str]:
    """All words of the tasks and of the demonstrations."""
    prompts = {prompt for kind in options.tasks if kind not in TASKS for prompt in find(kind).prompts}
    for path in demonstrations.files(options.demonstrations) if options.demonstrations else ():
        prompts |= set(demonstrations.prompts_in(path))
    return {*vocabulary(), *(word for prompt in prompts for word in re.findall("[a-z]+", prompt.lower()))}


def main() -> None:
    options = arguments()
    dims = Dimensions.from_file(options.resume / "pi05_model.json") if options.resume else demo_dimensions()
    words = words_of_prompts(options)
    first = assignment(options.tasks, POLICY_SHARE if options.resume else 0.0)
    size = dims.vision.image_size
    pool = Pool(
        options.workers,
        options.environments,
        (size, image_height(size)),
        HeldOut(()) if options.demonstrations else first,
        options.seed,
    )
    begin = time.monotonic()

    def log(text: str) -> None:
        print(f"[{time.monotonic() - begin:6.1f}] {text}", flush=True)

    try:
        device = torch.device(options.device)
        torch.manual_seed(options.seed)
        torch.set_float32_matmul_precision("high")
        if device.type == "cpu":
            torch.set_num_threads(len(os.sched_getaffinity(0)))
        settings = Settings(
            options.batch,
            options.draws,
            options.learning_rate,
            options.warm_up,
            options.capacity,
            options.workers * options.environments,
            options.seed,
        )
        trainer = Trainer(dims, settings, words, device, options.resume)
        log(f"{sum(p.numel() for p in trainer.model.parameters()):,} parameters")
        curve = train_on_files(options, trainer, log) if options.demonstrations else train(options, pool, trainer, log)
        size = trainer.export(options.out)
        log(f"exported {size / 2**20:.2f} MiB")
        (options.out / "training.json").write_text(json.dumps({"curve": curve}) + "\n")
        if options.evaluate:
            delays = options.evaluate_delays
            results = evaluate_delays(pool, trainer.policy, tuple(options.tasks), options.evaluate, delays, log)
            (options.out / "training.json").write_text(json.dumps({"curve": curve, "held_out": results}) + "\n")
    finally:
        pool.close()


if __name__ == "__main__":
    main()
