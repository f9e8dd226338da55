"""The trained policy in the conditions of `python -m sim.seams`, without the node: modes, delays, delays the schedule is wrong about.

    python -m training.seams --checkpoint DIR --episodes N --records FILE.jsonl [--mode M …] [--delay MS …] [--jitter]
        [--wrong-at MS] [--inference torch|cpu|cuda|cuda-fp32] [--tasks T …]

Appends each episode to FILE when it ends, in turn over the conditions; episodes that FILE already has are not run again. `python -m
sim.seams --policy-records FILE.jsonl` makes the tables of it. Needs PyTorch and MuJoCo, no ROS.
"""

import argparse
import json
import pathlib
import sys
from dataclasses import asdict

from sim.cameras import Cameras
from sim.episode import deal
from sim.evaluation.controls import CONTROLS
from sim.execution import MODES
from sim.rollout import Observation, run_episode
from sim.scene import Scene
from sim.seams.conditions import ERRORS, JITTER_MS, Condition
from sim.seams.measure import MeasuredExecution
from sim.tasks import TASKS
from training.compare_backends import CANDIDATES
from training.engine import Engine
from training.policy import CheckpointPolicy, TorchInference


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.seams", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--episodes", type=int, default=100, metavar="N", help="in each condition, dealt over the tasks (100)")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=["pick"], help="dealt in turn (pick)")
    parser.add_argument("--records", type=pathlib.Path, required=True, metavar="FILE.jsonl")
    parser.add_argument("--inference", choices=("torch", *CANDIDATES), default="cpu")
    parser.add_argument("--mode", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--delay", nargs="*", type=int, default=[0, 200, 400], metavar="MS", help="from an observation to its chunk")
    parser.add_argument("--jitter", action="store_true", help=f"also with a delay of 0 to {JITTER_MS} ms")
    parser.add_argument("--wrong-at", type=int, metavar="MS", help="also with this delay and a wrong `schedule.delay`")
    return parser.parse_args(argv)


def conditions(options: argparse.Namespace) -> list[Condition]:
    found = [Condition(mode, delay) for delay in options.delay for mode in options.mode]
    if options.jitter:
        found += [Condition(mode, 0, JITTER_MS) for mode in options.mode]
    if options.wrong_at is not None:
        found += [Condition(mode, options.wrong_at, error=error) for mode in options.mode if mode != "sync" for error in ERRORS]
    return found


def run(scene: Scene, cameras: Cameras, policy: CheckpointPolicy, condition: Condition, tasks: list[str], index: int) -> dict:
    """One episode: its record, with its condition and its `seams`."""
    control = CONTROLS["none"](deal(tuple(tasks), 0, index))
    stamp = 0

    def infer(observation: Observation):
        nonlocal stamp
        stamp = observation.stamp
        return policy(observation)

    execution = MeasuredExecution(condition.execution(lambda: stamp))
    record = run_episode(scene, cameras, control, infer, execution)
    return {"condition": asdict(condition), **record, "seams": execution.meter.result()}


def main(argv: list[str]) -> None:
    options = arguments(argv)
    lines = options.records.read_text().splitlines() if options.records.exists() else []
    done = {(Condition(**record["condition"]), record["episode"]) for record in map(json.loads, lines)}
    if options.inference == "torch":
        inference = TorchInference(options.checkpoint, "cpu", 1)
    else:
        backend, environment = CANDIDATES[options.inference]
        inference = Engine(options.checkpoint, backend, 1, environment=environment)
    policy = CheckpointPolicy(options.checkpoint, inference)
    scene = Scene()
    cameras = Cameras(scene.model)
    runs = [(condition, index) for index in range(options.episodes) for condition in conditions(options)]
    with options.records.open("a") as file:
        for number, (condition, index) in enumerate(runs):
            if (condition, index) in done:
                continue
            print(json.dumps(run(scene, cameras, policy, condition, options.tasks, index)), file=file, flush=True)
            print(f"{number + 1} of {len(runs)}", end="\r", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
