"""`python -m sim.seams`, which `npm run eval:seams` starts: compares the modes of execution, see docs/motion.md."""

import argparse
import json
import pathlib

from sim.process import run_main
from sim.seams import policy, table
from sim.seams.plants import result, run_in_process

PLANTS = ("toy", "arm", "policy")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.seams", description="Compares the modes; see docs/motion.md.")
    parser.add_argument("--plants", nargs="*", choices=PLANTS, default=PLANTS, help="what is run (all)")
    parser.add_argument("--episodes", type=int, default=20, metavar="N", help="of the policy in each condition (20)")
    parser.add_argument("--arm-episodes", type=int, default=6, metavar="N", help="of the arm in each condition (6)")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes (one per core)")
    parser.add_argument(
        "--records",
        type=pathlib.Path,
        default=pathlib.Path("build/evaluation-seams.jsonl"),
        metavar="FILE",
        help="episodes of the policy that are not run again (build/evaluation-seams.jsonl)",
    )
    parser.add_argument(
        "--policy-records", type=pathlib.Path, metavar="FILE", help="what python -m training.seams has run; shown too"
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the numbers")
    parser.add_argument("--table", type=pathlib.Path, metavar="PAGE.md", help="where the tables are, between markers")
    parser.add_argument("--plot", type=pathlib.Path, metavar="FILE.png")
    options = parser.parse_args(argv)
    if min(options.episodes, options.arm_episodes) < 1:
        parser.error("expected at least 1 for --episodes and --arm-episodes")
    return options


def main(argv: list[str]) -> None:
    options = arguments(argv[1:])
    results = run_in_process([plant for plant in ("toy", "arm") if plant in options.plants], options.arm_episodes, options.jobs)
    if "policy" in options.plants:
        found = policy.run_all(options.episodes, options.records, options.jobs)
        results += [result("policy", condition, runs) for condition, runs in found.items()]
    if options.policy_records:
        results += [result("in_process", condition, runs) for condition, runs in policy.read_records(options.policy_records).items()]
    if options.json:
        options.json.write_text(json.dumps({"format": 1, "results": results}, indent=1) + "\n")
    if options.plot:
        from sim.seams.plot import draw

        draw(results, options.plot)
    if options.table:
        table.write(results, options.table)
    print(table.tables(results))


if __name__ == "__main__":
    run_main(main)
