"""`python -m training.record --tasks KIND… --out DIR`: records demonstrations of the scripted experts into files.

The noisy expert moves the simulated arm, so that the files also show how to recover; with `--policy` a policy moves it
in most episodes, and the expert labels what is seen then (DAgger). demonstrations.py has the format of the files.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has one core
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # the cores are shared with the workers

import torch

from training.batch_policy import ROLLOUT_STEPS, BatchPolicy, image_height
from training.demonstrations import Writer
from training.dimensions import Dimensions, demo_dimensions
from training.episodes import Assignment
from training.workers import Pool


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.record", description=__doc__)
    parser.add_argument("--tasks", nargs="+", required=True, help="touch, pick, bowl, stack, or modules of new tasks")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="directory; files in it are kept")
    parser.add_argument("--frames", type=int, default=20_000, help="at least (20000)")
    parser.add_argument("--policy", type=pathlib.Path, help="a checkpoint that moves the arm")
    parser.add_argument("--policy-share", type=float, default=0.75, help="of the episodes, with --policy (0.75)")
    parser.add_argument("--max-delay", type=int, default=6, help="in ticks, until a chunk is executed (6)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (one per core)")
    parser.add_argument("--environments", type=int, default=4, help="simulated arms of each worker (4)")
    parser.add_argument("--device", default="cpu", help="of the policy: cpu or cuda")
    parser.add_argument("--seed", type=int, default=0, help="use another one for each recording (0)")
    return parser.parse_args()


def record(options: argparse.Namespace, pool: Pool, policy: BatchPolicy | None, writer: Writer) -> dict[str, list[int]]:
    """Records until there are enough frames. Returns the successes and the episodes by kind of task."""
    outcomes = {kind: [0, 0] for kind in options.tasks}
    while writer.count < options.frames:
        received = {index: pool.receive(index) for index in pool.ready()}
        if not received:
            time.sleep(0.002)
            continue
        for index, report in received.items():
            if report.frames:
                writer.add(pool.arrays[index], report.frame_prompts)
            for outcome in report.outcomes:
                outcomes[outcome.kind][0] += outcome.outcome == "success"
                outcomes[outcome.kind][1] += 1
        if policy:
            policy.serve(pool, received, ROLLOUT_STEPS)
        for index in received:
            pool.proceed(index)
    writer.flush()
    return outcomes


def main() -> None:
    options = arguments()
    dims = Dimensions.from_file(options.policy / "pi05_model.json") if options.policy else demo_dimensions()
    size = dims.vision.image_size
    share = options.policy_share if options.policy else 0.0
    order = Assignment(tuple(options.tasks), (1,) * len(options.tasks), share, options.max_delay, prefix_share=0.5)
    pool = Pool(options.workers, options.environments, (size, image_height(size)), order, options.seed)
    begin = time.monotonic()
    try:
        policy = None
        if options.policy:
            observations = options.workers * options.environments
            policy = BatchPolicy.from_checkpoint(options.policy, observations, torch.device(options.device))
            policy.capture()
        writer = Writer(options.out)
        outcomes = record(options, pool, policy, writer)
    finally:
        pool.close()
    done = ", ".join(f"{kind} {successes} of {count} succeeded" for kind, (successes, count) in outcomes.items())
    print(f"{writer.count} frames in {time.monotonic() - begin:.0f} s; {done}")


if __name__ == "__main__":
    main()
