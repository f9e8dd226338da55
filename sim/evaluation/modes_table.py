"""Writes the table of success by mode and injected delay into a Markdown page, between two markers."""

import pathlib

from sim.errors import SimulationError
from sim.evaluation.results import PLAIN, Record, condition_of, kinds, rate

BEGIN = "<!-- Success by mode and delay, written by --table. -->"
END = "<!-- End of the table. -->"


def write_table(results: dict, path: pathlib.Path) -> None:
    """Replaces what is between the markers. Raises SimulationError TABLE_MARKERS if the page does not have them."""
    text = path.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SimulationError("TABLE_MARKERS", f"Expected the lines {BEGIN!r} and {END!r} in {path}, found none")
    path.write_text(f"{before}{BEGIN}\n\n{modes_table(results)}\n\n{END}{after}")


def modes_table(results: dict) -> str:
    """One row for each mode and kind of task, one column for each delay; below it what was run."""
    records = [record for record in results["episodes"] if condition_of(record)[2] == PLAIN]
    modes = list(dict.fromkeys(record["mode"] for record in records))
    delays = sorted({record["delay_ms"] for record in records})
    lines = [
        f"| mode | task | {' | '.join(f'{delay} ms' for delay in delays)} |",
        f"|---|---|{'---|' * len(delays)}",
    ]
    for mode in modes:
        for kind in kinds(records):
            cells = [cell([r for r in records if (r["mode"], r["delay_ms"], r["task"]) == (mode, d, kind)]) for d in delays]
            lines.append(f"| `{mode}` | {kind} | {' | '.join(cells)} |")
    counts = sorted({len([r for r in records if condition_of(r) == c and r["task"] == k]) for c, k in cells_of(records)})
    layouts = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    checkpoint = results["policy"]["checkpoint_sha256"][:12]
    lines += ["", f"{layouts} layouts each, seed {results['options']['seed']}, {setting(results)}, checkpoint `{checkpoint}`."]
    return "\n".join(lines)


def setting(results: dict) -> str:
    """How the episodes ran. Only results without the node name an inference (training.evaluate)."""
    if inference := results["policy"].get("inference"):
        return f"without the node (`--inference {inference}`)"
    return "real time" if results["options"]["real_time"] else "lock-step"


def cells_of(records: list[Record]) -> set[tuple]:
    return {(condition_of(record), record["task"]) for record in records}


def cell(records: list[Record]) -> str:
    """`96 % (86.5 … 98.9)`: success and its 95 % interval."""
    success = rate(records)
    if not success["of"]:
        return "-"
    return f"{100 * success['rate']:.0f} % ({100 * success['low']:.1f} … {100 * success['high']:.1f})"
