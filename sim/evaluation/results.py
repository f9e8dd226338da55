"""Summarises the records of episodes: success rates with intervals, the losses of controls, and their tables as text."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sim.evaluation.intervals import paired_difference, wilson

Record = dict
PLAIN = "none"


def condition_of(record: Record) -> tuple[str, int, str]:
    return record.get("mode", ""), record.get("delay_ms", 0), record.get("control", PLAIN)


def kinds(records: Iterable[Record]) -> list[str]:
    """The kinds of task, in the order of their first episodes."""
    return list(dict.fromkeys(record["task"] for record in sorted(records, key=lambda record: record["episode"])))


def rate(records: Sequence[Record], counts: Callable[[Record], bool] = lambda record: record["success"]) -> dict:
    """How many of the records count, as a proportion with its Wilson 95 % interval."""
    number = sum(map(counts, records))
    low, high = wilson(number, len(records))
    proportion = number / len(records) if records else None
    return {"count": number, "of": len(records), "rate": proportion, "low": low, "high": high}


def touched_named_block_first(record: Record) -> bool:
    """Whether the block that the task names was the first to be touched. With shuffled prompts, the original task."""
    return record["first_touched"] == record["block"]


def summarise(records: list[Record]) -> list[dict]:
    """For each condition: success of each kind of task and of all, times, smoothness; for a control its loss."""
    summaries = []
    for condition in dict.fromkeys(map(condition_of, records)):
        mine = [record for record in records if condition_of(record) == condition]
        mode, delay_ms, control = condition
        summary = {"mode": mode, "delay_ms": delay_ms, "control": control}
        summary["tasks"] = {kind: summary_of([r for r in mine if r["task"] == kind]) for kind in kinds(mine)}
        summary["all"] = summary_of(mine)
        if control != PLAIN:
            plain = {r["episode"]: r for r in records if condition_of(r) == (mode, delay_ms, PLAIN)}
            summary["loss"] = loss_of([(plain[r["episode"]], r) for r in mine if r["episode"] in plain])
        summaries.append(summary)
    return summaries


def summary_of(records: list[Record]) -> dict:
    reasons = [record["reason"] for record in records if not record["success"]]
    return {
        "success": rate(records),
        "named_block_first": rate(records, touched_named_block_first),
        "failures": {reason: reasons.count(reason) for reason in sorted(set(reasons), key=reasons.count, reverse=True)},
        "time_s": {"success_p50": percentile([r["time_s"] for r in records if r["success"]], 50)},
        "smoothness": smoothness_of([r["smoothness"] for r in records if r["smoothness"]]),
        "node": node_of([r["node"] for r in records if r.get("node")], sum(r["ticks"] for r in records if r.get("node"))),
    }


def node_of(counters: list[dict], ticks: int) -> dict:
    """What the node counted in all episodes: the share of the control ticks without an action, refusals, faults."""
    sums: dict[str, dict[str, int]] = {"refused": {}, "faults": {}}
    for counter in counters:
        for kind, counts in sums.items():
            for code, count in counter[kind].items():
                counts[code] = counts.get(code, 0) + count
    return {"hold_share": sum(counter["holds"] for counter in counters) / ticks if ticks else None, **sums}


def smoothness_of(values: list[dict]) -> dict:
    """Medians over the episodes, and the largest values."""
    return {
        "jerk_rms_p50": percentile([v["jerk_rms"] for v in values], 50),
        "jerk_max": max((v["jerk_max"] for v in values), default=None),
        "step_max_p50": percentile([v["step_max"] for v in values], 50),
        "step_max": max((v["step_max"] for v in values), default=None),
    }


def loss_of(pairs: list[tuple[Record, Record]]) -> dict:
    """The success rate of the plain run minus that of the control, over the same layouts."""
    loss, low, high = paired_difference([(plain["success"], control["success"]) for plain, control in pairs])
    return {"layouts": len(pairs), "loss": loss, "low": low, "high": high}


def percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None
