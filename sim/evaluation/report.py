"""`python -m sim.evaluation.report RESULTS.json`: prints the tables of an evaluation and writes its files.

RESULTS.json: `{"options", "policy", "episodes": [record, …]}`, as `pi05 eval` or a policy without the node writes it.
"""

import argparse
import importlib.metadata
import json
import pathlib
import platform
import sys

from sim.evaluation.results import PLAIN, closing_line, control_table, success_table, summarise

PACKAGE = pathlib.Path(__file__).parents[2] / "package.json"
FORMAT = 1


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sim.evaluation.report", description=__doc__.splitlines()[0])
    parser.add_argument("results", type=pathlib.Path, metavar="RESULTS.json")
    for name in ("json", "plot", "video", "frames", "table"):
        parser.add_argument(f"--{name}", type=pathlib.Path, metavar="PATH")
    return parser.parse_args(argv)


def versions() -> dict[str, str]:
    """Of everything that an outcome may depend on."""
    packages = {name: importlib.metadata.version(name) for name in ("mujoco", "numpy")}
    return {"pi05-ros": json.loads(PACKAGE.read_text())["version"], "python": platform.python_version(), **packages}


def print_tables(summaries: list[dict], real_time: bool) -> None:
    for summary in summaries:
        if summary["control"] != PLAIN:
            continue
        delay = f", delay {summary['delay_ms']} ms" if summary["delay_ms"] else ""
        print(f"{summary['mode']}{delay}, {'real time' if real_time else 'lock-step'}\n")
        print(success_table(summary), end="\n\n")
        same = [s for s in summaries if s["mode"] == summary["mode"] and s["delay_ms"] == summary["delay_ms"]]
        if controls := [s for s in same if s["control"] != PLAIN]:
            print(control_table(controls), end="\n\n")


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = json.loads(options.results.read_text())
    records = results["episodes"]
    summaries = summarise(records)
    print_tables(summaries, results["options"]["real_time"])
    if options.json:
        content = {"format": FORMAT, **results, "versions": versions(), "summary": summaries, "episodes": records}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.plot:
        from sim.evaluation.plot import draw

        draw(records, summaries, options.plot)
    if options.video and options.frames:
        from sim.evaluation.video import write_video

        write_video(records, options.frames, options.video)
    if options.table:
        from sim.evaluation.modes_table import write_table

        write_table(records, options.table)
    print(closing_line(records))


if __name__ == "__main__":
    main(sys.argv[1:])
