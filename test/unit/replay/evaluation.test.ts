import { describe, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import { OpenLoopEvaluation } from '../../../src/replay/evaluation.js';
import type { ErrorSummary } from '../../../src/report/data.js';
import { actionJoint, joints, MS, robot, SECOND, T0 } from '../pipeline/robot.js';

const OUTPUTS = [
  { name: 'arm', topic: 'arm/commands', type: 'joint_trajectory', stamp: 'zero', joints: ['a', 'b'] },
] as const;
const TIMING = { inferenceMs: 1, latencyMs: 0 };

/** Two position joints, 10 Hz. */
function newEvaluation(changes: Partial<PolicyConfig> = {}): OpenLoopEvaluation {
  return new OpenLoopEvaluation(robot({ outputs: OUTPUTS, ...changes }));
}

/** Rows of a and b from `stamp` on, 100 ms apart; it arrives `late` after its stamp. */
function predict(evaluation: OpenLoopEvaluation, stamp: bigint, rows: readonly (readonly number[])[], late = 0n): void {
  const values = Float64Array.from(rows.flat());
  evaluation.chunk({ stamp, joints: ['a', 'b'], rows: rows.length, values, period: 0.1 }, TIMING, stamp + late);
}

function record(evaluation: OpenLoopEvaluation, time: bigint, a: number, b: number): void {
  evaluation.action({ joints: ['a', 'b'], values: Float64Array.of(a, b), time }, time);
}

/** The bag goes on until `time`. */
function advance(evaluation: OpenLoopEvaluation, time: bigint): void {
  evaluation.joints(joints(time), time);
}

function summary(count: number, mae: number, rmse: number, max: number): ErrorSummary {
  const near = (value: number): number => expect.closeTo(value, 12) as unknown as number;
  return { count, mae: near(mae), rmse: near(rmse), max: near(max) };
}

const NOTHING: ErrorSummary = { count: 0, mae: null, rmse: null, max: null };

describe('the open-loop evaluation', () => {
  test('measures_each_joint_and_step_against_the_action_of_its_time', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0, 1, 1);
    predict(evaluation, T0, [
      [1, 2],
      [1.5, 2],
      [2, 2.5],
    ]);
    record(evaluation, T0 + 100n * MS, 1, 2);
    record(evaluation, T0 + 200n * MS, 2.5, 2);
    advance(evaluation, T0 + SECOND);
    // a: 0, 0.5, −0.5; b: 1, 0, 0.5.
    const { joints: both, groups, compared, uncompared, chunks, actions, problem } = evaluation.result();
    expect({ compared, uncompared, chunks, actions, problem }).toEqual({
      compared: 6,
      uncompared: 0,
      chunks: 1,
      actions: 3,
      problem: null,
    });
    expect(both).toEqual([
      {
        joint: 'a',
        topic: 'arm/commands',
        quantity: 'position',
        gripper: false,
        range: [1, 2.5],
        overall: summary(3, 1 / 3, Math.sqrt(0.5 / 3), 0.5),
        steps: [summary(1, 0, 0, 0), summary(1, 0.5, 0.5, 0.5), summary(1, 0.5, 0.5, 0.5)],
      },
      {
        joint: 'b',
        topic: 'arm/commands',
        quantity: 'position',
        gripper: false,
        range: [1, 2],
        overall: summary(3, 0.5, Math.sqrt(1.25 / 3), 1),
        steps: [summary(1, 1, 1, 1), summary(1, 0, 0, 0), summary(1, 0.5, 0.5, 0.5)],
      },
    ]);
    expect(groups).toEqual([
      {
        group: 'position',
        joints: ['a', 'b'],
        overall: summary(6, 2.5 / 6, Math.sqrt(1.75 / 6), 1),
        steps: [summary(2, 0.5, Math.sqrt(0.5), 1), summary(2, 0.25, Math.sqrt(0.125), 0.5), summary(2, 0.5, 0.5, 0.5)],
      },
    ]);
  });

  test('holds_an_action_until_the_next_without_interpolation', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0 - SECOND, 1, 0);
    predict(evaluation, T0, [
      [1, 0],
      [1, 0],
      [1, 0],
      [1, 0],
    ]);
    record(evaluation, T0 + 260n * MS, 3, 0);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().joints[0]?.steps.map(({ max }) => max)).toEqual([0, 0, 0, 2]);
  });

  test('uses_the_next_action_where_it_is_nearer_and_at_most_half_a_period_later', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0 - 60n * MS, 1, 0);
    predict(evaluation, T0, [
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    // 50 ms after row 0 and nearer; 51 ms before row 1 would be, at 151 ms, but 51 ms is more than half a period.
    record(evaluation, T0 + 50n * MS, 5, 0);
    record(evaluation, T0 + 151n * MS, 7, 0);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().joints[0]?.steps.map(({ max }) => max)).toEqual([5, 5, 7]);
  });

  test('uses_the_same_action_where_the_chunk_arrives_late', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0 - 200n * MS, 1, 0);
    record(evaluation, T0 + 60n * MS, 5, 0);
    predict(evaluation, T0, [[0, 0]], 500n * MS);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().joints[0]?.overall.max).toBe(1);
  });

  test('prefers_the_earlier_of_two_equally_near_actions', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0 - 40n * MS, 1, 0);
    predict(evaluation, T0, [[0, 0]]);
    record(evaluation, T0 + 40n * MS, 5, 0);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().joints[0]?.overall.max).toBe(1);
  });

  test('leaves_out_rows_before_the_first_action_and_after_the_end_of_the_bag', () => {
    const evaluation = newEvaluation();
    predict(evaluation, T0, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    record(evaluation, T0 + 100n * MS, 2, 3);
    advance(evaluation, T0 + 230n * MS);
    const { joints: both, compared, uncompared } = evaluation.result();
    expect(both.map(({ steps }) => steps.map(({ count }) => count))).toEqual([
      [0, 1, 1],
      [0, 1, 1],
    ]);
    expect(both[0]?.steps[0]).toEqual(NOTHING);
    expect({ compared, uncompared }).toEqual({ compared: 4, uncompared: 4 });
  });

  test('compares_with_actions_recorded_before_a_late_chunk_arrived', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0, 1, 1);
    record(evaluation, T0 + 100n * MS, 2, 2);
    for (let ms = 200n; ms <= 900n; ms += 100n) record(evaluation, T0 + ms * MS, 9, 9);
    predict(
      evaluation,
      T0,
      [
        [1, 1],
        [2, 2],
      ],
      900n * MS,
    );
    expect(evaluation.result().groups[0]?.overall).toEqual(summary(4, 0, 0, 0));
  });

  test('compares_with_actions_recorded_before_a_pause_of_the_recorder', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0, 1, 1);
    predict(evaluation, T0, [
      [1, 1],
      [2, 2],
    ]);
    record(evaluation, T0 + 100n * MS, 2, 2);
    record(evaluation, T0 + 110n * MS, 9, 9);
    record(evaluation, T0 + 100n * SECOND, 9, 9);
    expect(evaluation.result().groups[0]?.overall).toEqual(summary(4, 0, 0, 0));
  });

  test('compares_velocities_as_velocities', () => {
    const velocity = [actionJoint('a', { kind: 'velocity' }), actionJoint('b', { kind: 'delta' })];
    const evaluation = newEvaluation({ action: { joints: velocity, bound: 'none' } });
    record(evaluation, T0, 0.5, 1);
    predict(evaluation, T0, [[0.25, 3]]);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().groups.map(({ group, overall }) => [group, overall.mae])).toEqual([
      ['position', 2],
      ['velocity', 0.25],
    ]);
  });

  test('integrates_velocities_that_are_sent_as_positions_from_the_recorded_position_one_period_before', () => {
    const integrated = [actionJoint('a', { kind: 'velocity', integrated: true }), actionJoint('b')];
    const evaluation = newEvaluation({ action: { joints: integrated, bound: 'none' } });
    record(evaluation, T0 - 100n * MS, 1, 0);
    predict(evaluation, T0, [
      [2, 0],
      [-4, 0],
    ]);
    // 1 + 2 × 0.1 = 1.2, then 1.2 − 4 × 0.1 = 0.8.
    record(evaluation, T0, 1.2, 0);
    record(evaluation, T0 + 100n * MS, 1, 0);
    advance(evaluation, T0 + SECOND);
    const [a] = evaluation.result().joints;
    expect(a?.quantity).toBe('position');
    expect(a?.steps).toEqual([summary(1, 0, 0, 0), summary(1, 0.2, 0.2, 0.2)]);
  });

  test('has_a_separate_group_for_grippers', () => {
    const evaluation = newEvaluation({
      action: { joints: [actionJoint('a'), actionJoint('b', { gripper: true })], bound: 'none' },
    });
    record(evaluation, T0, 0, 0.04);
    predict(evaluation, T0, [[1, 0]]);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().groups.map(({ group, joints, overall }) => [group, joints, overall.mae])).toEqual([
      ['position', ['a'], 1],
      ['gripper', ['b'], 0.04],
    ]);
  });

  test('reports_that_there_is_nothing_to_compare_with', () => {
    const evaluation = newEvaluation();
    predict(evaluation, T0, [[1, 1]]);
    advance(evaluation, T0 + SECOND);
    const { problem, compared, uncompared, joints: both, groups } = evaluation.result();
    expect(problem).toBe('Expected recorded actions on arm/commands, received none');
    expect({ compared, uncompared }).toEqual({ compared: 0, uncompared: 2 });
    expect(both.map(({ overall, range }) => ({ overall, range }))).toEqual([
      { overall: NOTHING, range: null },
      { overall: NOTHING, range: null },
    ]);
    expect(groups.map(({ overall }) => overall)).toEqual([NOTHING]);
  });

  test('names_the_joint_without_recorded_actions_and_compares_the_others', () => {
    const evaluation = newEvaluation();
    evaluation.action({ joints: ['a'], values: Float64Array.of(1), time: T0 }, T0);
    predict(evaluation, T0, [[1, 1]]);
    advance(evaluation, T0 + SECOND);
    const { problem, compared } = evaluation.result();
    expect(problem).toBe(
      'Expected recorded actions on arm/commands, received none for b, which the evaluation leaves out',
    );
    expect(compared).toBe(1);
  });

  test('does_not_compare_with_nan', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0, 1, NaN);
    predict(evaluation, T0, [[1, 1]]);
    advance(evaluation, T0 + SECOND);
    expect(evaluation.result().joints.map(({ overall }) => overall.count)).toEqual([1, 0]);
  });

  test('drops_the_oldest_of_too_many_pending_chunks', () => {
    const evaluation = newEvaluation();
    record(evaluation, T0, 0, 0);
    for (let k = 0; k < 1000; k++) predict(evaluation, T0 + 1000n * SECOND, [[1, 1]], -1000n * SECOND);
    advance(evaluation, T0 + 2000n * SECOND);
    const { compared, uncompared } = evaluation.result();
    expect(compared + uncompared).toBe(2000);
    expect(compared).toBe(2 * 256);
  });

  test('is_plain_data', () => {
    const evaluation = newEvaluation();
    predict(evaluation, T0, [[1, 1]]);
    const result = evaluation.result();
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });
});
