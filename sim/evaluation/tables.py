"""The results of an evaluation as text."""

from sim.evaluation.results import PLAIN, Record, condition_of

SUCCESS_HEADER = [
    "task",
    "succeeded",
    "success, 95 % interval",
    "named block first",
    "median time",
    "jerk RMS",
    "largest step",
    "failures",
]
CONTROL_HEADER = ["control", "succeeded", "success, 95 % interval", "named block first", "loss of success, 95 % interval"]


def condition_text(summary: dict) -> str:
    """`async, delay 100 ms`"""
    delay = f", delay {summary['delay_ms']} ms" if summary["delay_ms"] else ""
    return f"{summary['mode']}{delay}"


def text_table(rows: list[list[str]]) -> str:
    """Rows as aligned columns; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def percent_text(rate: dict) -> str:
    """`95.0 % (88.8 … 97.8)`, or `-` without episodes."""
    if not rate["of"]:
        return "-"
    return f"{rate['rate'] * 100:.1f} % ({rate['low'] * 100:.1f} … {rate['high'] * 100:.1f})"


def success_table(summary: dict) -> str:
    """One row for each kind of task."""
    rows = [SUCCESS_HEADER]
    for kind, tasks in [*summary["tasks"].items(), ("all", summary["all"])]:
        smooth, success, first = tasks["smoothness"], tasks["success"], tasks["named_block_first"]
        rows.append(
            [
                kind,
                f"{success['count']} of {success['of']}",
                percent_text(success),
                f"{first['count']} of {first['of']}",
                number_text(tasks["time_s"]["success_p50"], "s", 1),
                number_text(smooth["jerk_rms_p50"], "rad/s³", 1),
                number_text(smooth["step_max"], "", 2),
                ", ".join(f"{count} {reason}" for reason, count in tasks["failures"].items()) or "-",
            ]
        )
    return text_table(rows)


def node_text(summary: dict) -> str:
    """`ticks without an action 1.2 %, refused 3 CAMERA_STALE, no fault`"""
    node = summary["all"]["node"]
    if node["hold_share"] is None:
        return "no counters of the node"

    def counts(codes: dict[str, int], word: str) -> str:
        return f"{word} {', '.join(f'{count} {code}' for code, count in codes.items())}" if codes else f"no {word}"

    holds = f"ticks without an action {100 * node['hold_share']:.1f} %"
    return ", ".join([holds, counts(node["refused"], "refusals"), counts(node["faults"], "faults")])


def control_table(summaries: list[dict]) -> str:
    """One row for each control."""
    rows = [CONTROL_HEADER]
    for summary in summaries:
        success, first, loss = summary["all"]["success"], summary["all"]["named_block_first"], summary["loss"]
        interval = f"{loss['loss'] * 100:.1f} ({loss['low'] * 100:.1f} … {loss['high'] * 100:.1f}) points"
        rows.append(
            [
                summary["control"],
                f"{success['count']} of {success['of']}",
                percent_text(success),
                f"{first['count']} of {first['of']}",
                interval,
            ]
        )
    return text_table(rows)


def number_text(value: float | None, unit: str, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f} {unit}".rstrip()


def closing_line(records: list[Record], control: str = PLAIN) -> str:
    """`N of M succeeded`, of the plain runs or of a control."""
    counted = [record for record in records if condition_of(record)[2] == control]
    return f"{sum(record['success'] for record in counted)} of {len(counted)} succeeded"
