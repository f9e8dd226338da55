"""The comparison of modes: its policy, its conditions, its numbers and its tables."""

import json

import numpy as np
import pytest

from sim.execution import MODES, Continuation, Execution
from sim.seams import plants, policy, table, toy
from sim.seams.conditions import Condition, estimated_delays, wrong_delays
from sim.seams.flow import SPREAD, exponential_weights, sample
from sim.seams.measure import MeasuredExecution, SeamMeter

HORIZON = 15
SEAMS = {"jump_max": 0.5, "jerk_rms": 20.0, "jerk_max": 90.0, "idle": 0.02}
WAYS = np.stack([np.full((HORIZON, 7), -0.3), np.full((HORIZON, 7), 0.3)])


def flow(seed, continuation=None):
    return sample(lambda known: WAYS, np.random.default_rng(seed).normal(size=(HORIZON, 7)), continuation)


def test_a_chunk_is_one_of_the_ways_and_both_occur():
    chosen = [flow(seed).mean() for seed in range(20)]
    assert all(min(abs(mean - 0.3), abs(mean + 0.3)) < 3 * SPREAD for mean in chosen)
    assert {np.sign(mean) for mean in chosen} == {-1.0, 1.0}


@pytest.mark.parametrize("mode", ["rtc", "rtc_trained"])
def test_a_chunk_that_is_conditioned_goes_the_way_of_the_plan_before(mode):
    for seed in range(20):
        for way in WAYS:
            chunk = flow(seed, Continuation(mode, way[:7], 3, 7))
            assert np.abs(chunk - way).max() < 6 * SPREAD


def test_known_rows_are_kept_exactly():
    known = WAYS[1, :7] + 0.01
    chunk = flow(0, Continuation("rtc_trained", known, 3, 7))
    assert np.array_equal(chunk[:3], known[:3])


def test_the_weights_are_1_up_to_the_delay_and_0_from_the_horizon_on():
    weights = exponential_weights(2, 6, HORIZON)
    assert np.allclose(weights[:2], 1) and (weights[6:] == 0).all()
    assert (np.diff(weights[1:7]) < 0).all()


def test_the_jitter_is_that_of_the_node():
    # The same numbers as in test/unit/pipeline/injected-delay.test.ts: 285, 235 and 81 ms.
    stamps = [1000 * 10**9 + i * 66_666_667 for i in range(3)]
    assert [Condition("async", 0, 300).delay_ticks(stamp) for stamp in stamps] == [5, 4, 2]


def test_the_wrong_delays_are_rounded_as_the_node_does():
    assert [c.assumed_ticks for c in wrong_delays() if c.mode == "rtc"] == [3, 5, 7, 9, 14]
    assert all(c.assumed_ticks is None for c in estimated_delays())


def test_a_jump_is_relative_to_the_change_that_one_period_allows():
    execution = Execution(0)
    meter = SeamMeter(execution)
    for value in (0.05, 0.15):
        execution.submit(np.full((HORIZON, 8), value))
        for _ in range(8):
            meter.before_command()
            meter.after_command(execution.command()[0])
    assert np.allclose(meter.jumps, [(0.45 - 0.15) / (10 / 15)])
    assert meter.result()["jerk_max"] == pytest.approx(0.3 * 15**2)


def test_the_toy_plant_is_deterministic():
    condition = Condition("rtc", 100)
    assert toy.run(condition, 1) == toy.run(condition, 1) != toy.run(condition, 2)


def test_on_the_toy_plant_real_time_chunking_has_smaller_jumps_than_async_and_sync_waits():
    jumps, idle = (
        {mode: np.mean([toy.run(Condition(mode, 100), seed)[key] for seed in range(2)]) for mode in MODES}
        for key in ("jump_max", "idle")
    )
    assert jumps["rtc"] < jumps["async"] < jumps["sync"]
    assert idle["sync"] > 0.1 > idle["async"]


def test_the_tables_are_written_between_the_markers(tmp_path):
    run = {"jump_max": 1.5, "jerk_rms": 20.0, "jerk_max": 90.0, "idle": 0.125, "tracking": 0.02, "success": True}
    result = {"plant": "toy", "mode": "rtc", "delay": "100 ms", "error": None, "runs": [run, run | {"jerk_rms": 22.0}]}
    wrong = result | {"error": -0.5, "runs": [run]}
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write([result, wrong], page)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| `rtc` | 100 ms | 1.50 | 1.50 | 21.0 ± 2.0 | 12.5 % | 0.020 ± 0.000 | 100.0 % (34.2 … 100.0) |" in text
    assert "| `rtc` | −50 % | 1.50 | 1.50 | 20.0 | 12.5 % | 0.020 | 100.0 % (20.7 … 100.0) |" in text


def test_records_of_the_policy_are_grouped_by_their_condition(tmp_path):
    records = [
        {"condition": {"mode": mode, "delay_ms": 200, "jitter_ms": 0, "error": error}, "seams": SEAMS, "success": True}
        for mode, error in [("rtc", 0.5), ("rtc", None), ("async", None), ("rtc", None)]
    ]
    path = tmp_path / "records.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    results = policy.read_records(path)
    assert [(c.mode, c.error, len(runs)) for c, runs in results.items()] == [("async", None, 1), ("rtc", None, 2), ("rtc", 0.5, 1)]
    text = table.tables([plants.result("in_process", condition, runs) for condition, runs in results.items()])
    assert "| `rtc` | 200 ms | 0.50 | 0.50 | 20.0 ± 0.0 | 2.0 % | – | 100.0 % (34.2 … 100.0) |" in text
    assert "`schedule.delay` wrong, true delay 200 ms" in text


def test_a_measured_execution_is_the_execution_with_its_seams():
    plain, measured = Execution(2), MeasuredExecution(Execution(2))
    for tick in range(40):
        assert measured.wants_observation == plain.wants_observation
        if plain.wants_observation:
            for execution in (plain, measured):
                execution.submit(np.full((15, 8), 0.05 * (tick % 3)))
        assert np.array_equal(measured.command()[0], plain.command()[0])
    assert measured.meter.result()["jump_max"] > 0
