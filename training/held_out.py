"""`python -m training.held_out CHECKPOINT`: success of a policy in held-out episodes, without ROS and without the node.

Processes simulate the arm and render its cameras (workers.py); one batched inference in bf16 serves all of them. It is
a quick check during training. `pi05 eval` measures the node.
"""

import argparse
import json
import os
import pathlib
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has one core
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the cores are shared with the workers

import torch

from sim.evaluation.intervals import wilson
from sim.tasks import TASKS
from training.batch_policy import BatchPolicy, image_height
from training.dimensions import Dimensions
from training.workers import HeldOut, Pool

SHOWN_FAILURES = 60


def evaluate(
    pool: Pool,
    policy: BatchPolicy,
    kinds: tuple[str, ...],
    episodes: int,
    delay: int,
    with_prefix: bool,
    log: Callable[[str], None],
) -> dict[str, list[int]]:
    """Successes and episodes by task, of the first `episodes` held-out seeds of each. `delay`: in ticks, from an
    observation to its chunk. `with_prefix`: the policy knows the steps that are executed until then, as in the node's
    mode rtc_trained.
    """
    played = [(seed, kind) for seed in range(episodes) for kind in kinds]
    workers = len(pool.pipes)
    orders = {index: HeldOut(tuple(played[index::workers]), delay, with_prefix) for index in range(workers)}
    results: dict[str, list[bool]] = {kind: [] for kind in kinds}
    failures = []
    for index in list(pool.waiting):
        pool.proceed(index, orders.pop(index))
    idle: set[int] = set()
    while len(idle) < workers:
        received = {index: pool.receive(index) for index in pool.ready()}
        if not received:
            time.sleep(0.002)
            continue
        started = {index: report for index, report in received.items() if index not in orders}
        policy.serve(pool, started, policy.model.dims.num_steps)
        for index, report in received.items():
            if index in orders:
                pool.proceed(index, orders.pop(index))
                continue
            for outcome in report.outcomes:
                results[outcome.kind].append(outcome.outcome == "success")
                if outcome.outcome != "success":
                    failures.append((outcome.kind, outcome.seed, outcome.reason))
            if report.idle:
                idle.add(index)
            else:
                pool.proceed(index)
    summary = {kind: [sum(done), len(done)] for kind, done in results.items()}
    log(json.dumps({"delay": delay, "prefix": with_prefix, **summary, "failures": sorted(failures)[:SHOWN_FAILURES]}))
    return summary


def evaluate_delays(
    pool: Pool,
    policy: BatchPolicy,
    kinds: tuple[str, ...],
    episodes: int,
    delays: list[int],
    log: Callable[[str], None],
) -> dict[str, dict[str, list[int]]]:
    """`evaluate` for each delay, without and with a known prefix. The keys are "delay 3" and "delay 3 prefix"."""
    cells = [(delay, known) for delay in delays for known in ((False, True) if delay else (False,))]
    return {
        f"delay {delay}{' prefix' if known else ''}": evaluate(pool, policy, kinds, episodes, delay, known, log)
        for delay, known in cells
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.held_out", description=__doc__)
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), help="kinds, or modules of new tasks (all kinds)")
    parser.add_argument("--episodes", type=int, default=50, help="of each task (50)")
    parser.add_argument("--delays", type=int, nargs="+", default=[0], help="in ticks (0)")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--environments", type=int, default=4, help="simulated arms of each worker (4)")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    size = Dimensions.from_file(options.checkpoint / "pi05_model.json").vision.image_size
    kinds = tuple(options.tasks)
    pool = Pool(options.workers, options.environments, (size, image_height(size)), HeldOut(()), seed=0)
    try:
        torch.manual_seed(0)
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        observations = options.workers * options.environments
        policy = BatchPolicy.from_checkpoint(options.checkpoint, observations, torch.device(options.device))
        policy.capture()
        results = evaluate_delays(pool, policy, kinds, options.episodes, options.delays, print)
    finally:
        pool.close()
    for name, summary in results.items():
        for kind, (successes, count) in summary.items():
            low, high = wilson(successes, count)
            print(f"{name}: {kind} {successes} of {count}, {100 * low:.0f} … {100 * high:.0f} %")


if __name__ == "__main__":
    main()
