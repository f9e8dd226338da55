"""Runs the plants that need no node, several processes at a time."""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from sim.scene import Scene
from sim.seams import arm, toy
from sim.seams.conditions import Condition, estimated_delays, wrong_delays

TOY_RUNS = 3

_scene: Scene | None = None


def run_in_process(plants: list[str], arm_episodes: int, jobs: int | None) -> list[dict]:
    """The results of the `plants` toy and arm in all conditions, in `jobs` processes (None = one per core)."""
    results = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs or os.cpu_count(), context) as pool:
        for plant in plants:
            count = TOY_RUNS if plant == "toy" else arm_episodes
            conditions = [*estimated_delays(), *wrong_delays()]
            runs = [(plant, condition, index) for condition in conditions for index in range(count)]
            done = list(pool.map(run_one, *zip(*runs, strict=True)))
            for number, condition in enumerate(conditions):
                results.append(result(plant, condition, done[number * count : (number + 1) * count]))
            print(f"{plant}: {len(conditions)} conditions", file=sys.stderr)
    return results


def run_one(plant: str, condition: Condition, index: int) -> dict:
    """One run, in a process of the pool."""
    global _scene
    if plant == "toy":
        return toy.run(condition, index)
    _scene = _scene or Scene()
    return arm.run(condition, index, _scene)


def result(plant: str, condition: Condition, runs: list[dict]) -> dict:
    return {"plant": plant, "mode": condition.mode, "delay": condition.delay_text, "error": condition.error, "runs": runs}
