"""`python -m sim.evaluation.report RESULTS.json`: prints the tables of an evaluation and writes its files.

RESULTS.json: `{"options", "policy", "episodes": [record, …]}`, as `pi05 eval` or a policy without the node writes it.
"""

import argparse
import importlib.metadata
import json
import pathlib
import platform

from sim.evaluation.modes_table import modes_table, write_table
from sim.evaluation.results import PLAIN, summarise
from sim.evaluation.tables import closing_line, condition_text, control_table, node_text, success_table
from sim.process import run_main

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


def print_tables(results: dict, summaries: list[dict]) -> None:
    """One condition in detail, several as a table of modes and delays; then the controls."""
    plain = [summary for summary in summaries if summary["control"] == PLAIN]
    if len(plain) > 1:
        print(modes_table(results), end="\n\n")
    else:
        pace = "real time" if results["options"]["real_time"] else "lock-step"
        print(f"{condition_text(plain[0])}, {pace}\n\n{success_table(plain[0])}\n\n{node_text(plain[0])}", end="\n\n")
    for summary in plain:
        same = [s for s in summaries if (s["mode"], s["delay_ms"]) == (summary["mode"], summary["delay_ms"])]
        if controls := [s for s in same if s["control"] != PLAIN]:
            print(f"{condition_text(summary)}, wrong inputs\n\n{control_table(controls)}", end="\n\n")


def main(argv: list[str]) -> None:
    options = arguments(argv)
    results = json.loads(options.results.read_text())
    records = results["episodes"]
    summaries = summarise(records)
    print_tables(results, summaries)
    if options.json:
        content = {"format": FORMAT, "versions": versions()} | results | {"summary": summaries}
        content["episodes"] = content.pop("episodes")  # last, because they are many
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    if options.plot:
        from sim.evaluation.plot import draw

        draw(records, summaries, options.plot)
    if options.video and options.frames:
        from sim.evaluation.video import write_video

        write_video(records, options.frames, options.video)
    if options.table:
        write_table(results, options.table)
    print(closing_line(records))


if __name__ == "__main__":
    run_main(lambda argv: main(argv[1:]))
