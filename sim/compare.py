"""`python -m sim.compare A.json B.json`: the episodes that two evaluations have in common, and those with different outcomes.

For policies that should behave alike, such as one checkpoint in the node and in PyTorch. See docs/evaluation.md.
"""

import argparse
import json
import pathlib

from sim.errors import SimulationError
from sim.evaluation.intervals import paired_difference
from sim.evaluation.results import Record, kinds
from sim.evaluation.tables import text_table
from sim.process import run_main

KEYS = ("layout_seed", "task", "prompt", "control")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.compare", description="Compares two evaluations; see sim/README.md.")
    parser.add_argument("first", type=pathlib.Path, metavar="A.json")
    parser.add_argument("second", type=pathlib.Path, metavar="B.json")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the pairs that disagree")
    return parser.parse_args(argv)


def pairs(first: list[Record], second: list[Record]) -> list[tuple[Record, Record]]:
    """The records of the same layout, task, prompt and control. Raises SimulationError NO_PAIRS if there is none."""
    by_key = {key_of(record): record for record in second}
    found = [(record, by_key[key_of(record)]) for record in first if key_of(record) in by_key]
    if not found:
        raise SimulationError("NO_PAIRS", f"Expected episodes with the same {', '.join(KEYS)}, found none in common")
    return found


def key_of(record: Record) -> tuple:
    return tuple(record.get(key, "none") for key in KEYS)


def outcome(record: Record) -> str:
    return f"success in {record['time_s']:.1f} s" if record["success"] else f"{record['reason']} at {record['time_s']:.1f} s"


def agreement_table(found: list[tuple[Record, Record]]) -> str:
    """One row for each kind of task: successes of both, pairs that disagree, and the difference with its interval."""
    rows = [["task", "pairs", "A succeeded", "B succeeded", "only A", "only B", "difference A − B, 95 % interval"]]
    for kind in [*kinds([a for a, _ in found]), "all"]:
        mine = [(a["success"], b["success"]) for a, b in found if kind in (a["task"], "all")]
        difference, low, high = (100 * value for value in paired_difference(mine))
        counts = [len(mine), sum(a for a, _ in mine), sum(b for _, b in mine)]
        counts += [sum(a and not b for a, b in mine), sum(b and not a for a, b in mine)]
        rows.append([kind, *map(str, counts), f"{difference:.1f} ({low:.1f} … {high:.1f}) points"])
    return text_table(rows)


def disagreement_table(found: list[tuple[Record, Record]]) -> str:
    rows = [["episode", "layout", "prompt", "A", "B"]]
    for a, b in found:
        rows.append([str(a["episode"]), str(a["layout_seed"]), a["prompt"], outcome(a), outcome(b)])
    return text_table(rows)


def main(argv: list[str]) -> None:
    options = arguments(argv[1:])
    first, second = (json.loads(path.read_text())["episodes"] for path in (options.first, options.second))
    found = pairs(first, second)
    different = [(a, b) for a, b in found if a["success"] != b["success"]]
    print(agreement_table(found), end="\n\n")
    if different:
        print(disagreement_table(different), end="\n\n")
    if options.json:
        options.json.write_text(json.dumps([{"a": a, "b": b} for a, b in different], indent=1) + "\n")
    print(f"{len(different)} of {len(found)} pairs disagree")


if __name__ == "__main__":
    run_main(main)
