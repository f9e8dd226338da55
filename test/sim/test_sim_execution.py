"""The execution of chunks in process: which rows become commands, and their limits."""

import numpy as np
import pytest

from sim.execution import MAX_VELOCITY, MODES, REPLAN, Execution

HORIZON = 15
HOLD = None


def numbered(chunk: int) -> np.ndarray:
    """[HORIZON, 8]: a chunk whose rows can be recognised in small velocities."""
    rows = np.zeros((HORIZON, 8))
    rows[:, :7] = (1 + 20 * chunk + np.arange(HORIZON))[:, None] / 1000
    return rows


def executed(execution: Execution, ticks: int) -> list[tuple[int, int] | None]:
    """The chunk and row of each tick's command, or HOLD. Chunks are inferred whenever they are wanted."""
    commands, chunks = [], 0
    for _ in range(ticks):
        if execution.wants_observation:
            execution.submit(numbered(chunks))
            chunks += 1
            assert not execution.wants_observation or execution._delay() == 0
        velocities, _ = execution.command()
        assert (velocities == velocities[0]).all()
        number = round(velocities[0] / 3.0 * 1000)
        commands.append(divmod(number - 1, 20) if number else HOLD)
    return commands


def rows(chunk: int, first: int, end: int) -> list[tuple[int, int]]:
    return [(chunk, row) for row in range(first, end)]


@pytest.mark.parametrize("delay", [0, 1, 3, 6])
def test_async_skips_the_rows_whose_time_has_passed_but_none_of_the_first_chunk(delay):
    end = REPLAN + delay
    expected = [HOLD] * delay + rows(0, 0, REPLAN) + rows(1, delay, end) + rows(2, delay, end)
    assert executed(Execution(delay, max_age=9.0), len(expected)) == expected


def test_async_holds_when_a_chunk_ends_and_skips_only_as_many_rows_as_were_executed():
    expected = [HOLD] * 10 + rows(0, 0, 10) + rows(1, 10, 15) + [HOLD] * 5 + rows(2, 5, 15) + rows(3, 10, 15) + [HOLD] * 5
    assert executed(Execution(10, max_age=9.0), len(expected)) == expected


@pytest.mark.parametrize("mode", ["async", "ensemble", "rtc", "rtc_trained"])
@pytest.mark.parametrize("delay", [1, 3, 5, 7])
def test_the_second_chunk_arrives_before_the_first_is_too_old_although_that_began_late(mode, delay):
    execution = Execution(delay, mode)
    executed(execution, 60)
    assert execution.idle == 0


@pytest.mark.parametrize("delay", [0, 1, 3, 10])
def test_sync_holds_until_the_next_chunk_arrives_and_skips_nothing(delay):
    expected = sum(([HOLD] * delay + rows(chunk, 0, REPLAN) for chunk in range(3)), [])
    assert executed(Execution(delay, "sync", max_age=9.0), len(expected)) == expected


@pytest.mark.parametrize("mode", MODES)
def test_no_row_is_executed_whose_observation_is_older_than_the_chunk_is_long(mode):
    execution = Execution(10, mode)
    execution.submit(numbered(0))
    numbers = [round(execution.command()[0][0] / 3.0 * 1000) for _ in range(25)]
    assert numbers == [0] * 10 + [1, 2, 3, 4, 5] + [0] * 10  # ages of 10 to 14 of 15 periods


@pytest.mark.parametrize("mode", ["rtc", "rtc_trained"])
@pytest.mark.parametrize("assumed", [None, 0, 1, 3, 6, 9])
def test_rtc_executes_no_row_twice_and_leaves_none_out_however_wrong_the_delay_is(mode, assumed):
    delays = iter([3, 0, 5, 1, 4, 2, 6, 3, 0, 5] * 9)
    execution = Execution(lambda: next(delays), mode, assumed_delay=assumed)
    steps = []
    for _ in range(150):
        if execution.wants_observation:
            chunk = np.zeros((HORIZON, 8))
            chunk[:, :7] = (1 + len(steps) + np.arange(HORIZON))[:, None] / 1000
            execution.submit(chunk)
        number = round(execution.command()[0][0] / 3.0 * 1000)
        steps += [number] if number else []
    assert len(steps) > 120
    assert steps == list(range(1, len(steps) + 1))


@pytest.mark.parametrize("assumed", [None, 2])
def test_async_drops_no_more_rows_than_the_delay_covers(assumed):
    delays = iter([2] * 40 + [4] + [2] * 20)
    execution = Execution(lambda: next(delays), "async", assumed_delay=assumed)
    chunks, first_rows = 0, []
    for _ in range(370):
        if execution.wants_observation:
            execution.submit(numbered(chunks % 10))
            chunks += 1
        merges, rows_left = execution.merges, HORIZON - len(execution.upcoming)
        if merges > len(first_rows):
            first_rows.append(rows_left)
        execution.command()
    assert first_rows[39:42] == [2, 2, 2]


def test_the_continuation_is_what_is_left_of_the_chunk_and_the_expected_delay():
    for mode, assumed, delay in [("rtc", None, 3), ("rtc", 5, 5), ("rtc", 9, 7), ("rtc_trained", None, 3), ("rtc_trained", 9, 4)]:
        execution = Execution(3, mode, assumed_delay=assumed, trained_max_delay=4)
        assert execution.continuation is None
        execution.submit(numbered(0))
        for _ in range(3 + REPLAN):
            execution.command()
        continuation = execution.continuation
        assert (continuation.mode, continuation.delay) == (mode, delay)
        assert np.array_equal(continuation.previous, numbered(0)[REPLAN:])
        assert continuation.execution_horizon == HORIZON - REPLAN


@pytest.mark.parametrize("mode", ["sync", "async", "ensemble"])
def test_other_modes_compute_a_chunk_without_regard_to_the_plan(mode):
    execution = Execution(0, mode)
    execution.submit(numbered(0))
    for _ in range(REPLAN):
        execution.command()
    assert execution.wants_observation and execution.continuation is None


def test_ensemble_commands_the_weighted_mean_of_all_chunks_that_predict_a_row():
    execution = Execution(0, "ensemble")
    for value in (0.01, 0.03):
        execution.submit(np.full((HORIZON, 8), value))
        velocities = [execution.command()[0][0] for _ in range(REPLAN)]
    old, new = 1.0, np.exp(-0.01)
    mean = (old * 0.01 + new * 0.03) / (old + new) * 3.0
    assert np.allclose(velocities, [mean] * (HORIZON - REPLAN) + [0.03 * 3.0])


def test_it_holds_until_the_first_observation():
    assert [Execution().command()[0].tolist() for _ in range(3)] == [[0.0] * 7] * 3


def test_upcoming_rows_are_those_that_are_executed_as_long_as_no_other_chunk_arrives():
    execution = Execution(3)
    assert execution.upcoming.shape == (0, 8)
    executed(execution, REPLAN)
    assert execution.wants_observation
    upcoming = execution.upcoming[:3, 0].copy()
    assert np.allclose(upcoming, numbered(0)[REPLAN - 3 : REPLAN, 0])
    execution.submit(numbered(1))
    assert np.allclose([execution.command()[0][0] / 3.0 for _ in range(3)], upcoming)
    assert np.isclose(execution.command()[0][0] / 3.0, numbered(1)[3, 0])


def velocities_of(*actions: float) -> list[float]:
    execution = Execution(0)
    chunk = np.zeros((HORIZON, 8))
    chunk[: len(actions), :7] = np.array(actions)[:, None]
    execution.submit(chunk)
    return [execution.command()[0][0] for _ in actions]


def test_velocities_and_their_changes_are_limited():
    step = 10.0 / 15  # rad/s
    assert np.allclose(velocities_of(0.1, 0.2, 0.3), [0.3, 0.6, 0.9])
    assert np.allclose(velocities_of(1.0, 1.0, 1.0), [step, MAX_VELOCITY, MAX_VELOCITY])
    reverse = [MAX_VELOCITY - step, MAX_VELOCITY - 2 * step, MAX_VELOCITY - 3 * step, -MAX_VELOCITY]
    assert np.allclose(velocities_of(1.0, 1.0, -5.0, -5.0, -5.0, -5.0)[2:], reverse)
    assert np.allclose(velocities_of(0.3, 0.0, 0.0), [step, 0.0, 0.0])


def test_the_arm_brakes_within_the_limit_when_a_chunk_ends():
    execution = Execution(0, "sync")
    chunk = np.ones((HORIZON, 8))
    execution.submit(chunk)
    for _ in range(REPLAN):
        execution.command()
    braking = [execution.command()[0][0] for _ in range(3)]
    assert np.allclose(braking, [MAX_VELOCITY - 10.0 / 15, 0.0, 0.0])


def fingers_of(*actions: float, ticks: int) -> list[float]:
    """The finger positions that are commanded with these gripper actions, in mode sync."""
    execution = Execution(0, "sync")
    chunk = np.zeros((HORIZON, 8))
    chunk[: len(actions), 7] = actions
    execution.submit(chunk)
    return [execution.command()[1] for _ in range(ticks)]


def test_the_fingers_move_at_their_limited_speed_and_stay_without_a_chunk():
    step = 0.1 / 15  # m
    closing = [0.04 - step * tick for tick in range(1, 6)] + [0.04 - 6 * step]
    assert np.allclose(fingers_of(*[1.0] * 8, ticks=10), [*closing, 0.0, 0.0, 0.0, 0.0], atol=1e-12)
    reversing = [0.04 - step, 0.04 - 2 * step, 0.04 - step, 0.04, 0.04, 0.04, 0.04 - step, 0.04 - 2 * step]
    actions = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert np.allclose(fingers_of(*actions, ticks=10), [*reversing, *[0.04 - 2 * step] * 2], atol=1e-12)
    assert Execution().command()[1] == 0.04


@pytest.mark.parametrize(("action", "closes"), [(-1.0, False), (0.49, False), (0.5, False), (0.51, True), (2.0, True)])
def test_a_gripper_action_means_open_or_closed(action, closes):
    assert np.isclose(fingers_of(*[action] * 8, ticks=8)[-1], 0.0 if closes else 0.04)


def test_another_mode_is_an_error():
    with pytest.raises(ValueError, match="Expected mode sync, async, ensemble, rtc or rtc_trained, received blend"):
        Execution(0, "blend")
