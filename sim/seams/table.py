"""The comparison as Markdown tables, which are written into a page between two markers."""

import pathlib

import numpy as np

from sim.errors import SimulationError
from sim.evaluation.results import rate
from sim.evaluation.tables import percent_text

BEGIN = "<!-- Modes compared, written by python -m sim.seams. -->"
END = "<!-- End of the comparison. -->"
HEADER = "largest jump | largest jump of a run, median | jerk RMS | idle steps | tracking error | success"
Z_95 = 1.96

TITLES = {
    "toy": "The toy plant (tracking error in rad)",
    "arm": "The simulated arm with the uncertain expert, `pick` (tracking error in rad/s)",
    "policy": "The trained policy through the node, `pick`",
    "in_process": "The trained policy without the node, `pick`",
}


def interval(values: list[float], digits: int = 1) -> str:
    """`34.1 ± 0.6`: mean and 95 % interval of the mean, from the standard error."""
    mean = np.mean(values)
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ± {Z_95 * np.std(values, ddof=1) / len(values) ** 0.5:.{digits}f}"


def cells(runs: list[dict]) -> str:
    jumps = [run["jump_max"] for run in runs]
    tracking = [run["tracking"] for run in runs]
    parts = [
        f"{max(jumps):.2f}",
        f"{np.median(jumps):.2f}",
        interval([run["jerk_rms"] for run in runs]),
        f"{100 * np.mean([run['idle'] for run in runs]):.1f} %",
        "–" if None in tracking else interval(tracking, 3),
        percent_text(rate(runs)),
    ]
    return " | ".join(parts)


def tables(results: list[dict]) -> str:
    """`results`: one for each plant and condition, with its `runs`, as in the JSON file."""
    lines: list[str] = []
    for plant, title in TITLES.items():
        mine = [result for result in results if result["plant"] == plant]
        for wrong in (False, True):
            rows = [result for result in mine if (result["error"] is not None) == wrong]
            if not rows:
                continue
            runs = sorted({len(result["runs"]) for result in rows})
            number = "1 run" if runs == [1] else f"{' to '.join(map(str, dict.fromkeys((runs[0], runs[-1]))))} runs"
            what = f", `schedule.delay` wrong, true delay {rows[0]['delay']}" if wrong else ""
            lines += [f"**{title}{what}**, {number} each:", ""]
            lines += [f"| mode | {'error of the delay' if wrong else 'delay'} | {HEADER} |", "|---|---|---|---|---|---|---|---|"]
            for row in rows:
                condition = f"{row['error']:+.0%}".replace("-", "−").replace("%", " %") if wrong else row["delay"]
                lines.append(f"| `{row['mode']}` | {condition} | {cells(row['runs'])} |")
            lines.append("")
    return "\n".join(lines).strip()


def write(results: list[dict], page: pathlib.Path) -> None:
    """Replaces what is between the markers. Raises SimulationError TABLE_MARKERS if the page does not have them."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SimulationError("TABLE_MARKERS", f"Expected the lines {BEGIN!r} and {END!r} in {page}, found none")
    page.write_text(f"{before}{BEGIN}\n\n{tables(results)}\n\n{END}{after}")
