import { describe, expect, test } from '@jest/globals';
import { seamFailures } from '../../../src/cli/replay-output.js';
import { SeamSummary } from '../../../src/replay/seam-summary.js';
import type { ReplaySummary } from '../../../src/replay/summary.js';
import type { SeamResult } from '../../../src/report/data.js';
import type { MotionQuality } from '../../../src/schedule/seam.js';
import { SECOND, T0 } from '../pipeline/robot.js';

const QUALITY = { jerkRms: 12, jerkMax: 70, idleSteps: 4 } as MotionQuality;

function summaryOf(jumps: readonly number[]): SeamSummary {
  const summary = new SeamSummary();
  summary.setLogTime(T0);
  for (const [i, jump] of jumps.entries()) {
    summary.setLogTime(T0 + BigInt(i + 1) * SECOND);
    summary.seam({ time: T0, jump, joint: `joint${i}`, disagreement: i === 0 ? undefined : jump / 2 });
  }
  return summary;
}

describe('the seams of a replay', () => {
  test('have_percentiles_the_largest_with_its_joint_and_time_and_the_jerk', () => {
    expect(summaryOf([0.5, 2, 1]).result(QUALITY)).toEqual({
      count: 3,
      jump: { p50: 1, p95: 2, p99: 2, max: 2 },
      largest: { seconds: 2, joint: 'joint1' },
      disagreement: { p50: 0.5, p95: 1, p99: 1, max: 1 },
      jerk: { rms: 12, max: 70 },
      idle_steps: 4,
    });
  });

  test('are_null_where_there_is_none', () => {
    const nothing = { p50: null, p95: null, p99: null, max: null };
    expect(summaryOf([]).result(QUALITY)).toMatchObject({
      count: 0,
      jump: nothing,
      largest: null,
      disagreement: nothing,
    });
  });
});

describe('max_seam', () => {
  const failures = (seams: SeamResult, limit: number, above: number): string[] =>
    seamFailures({ seams, bag: 'the bag' } as ReplaySummary, limit, above).map(String);

  test('fails_where_a_jump_is_larger_and_names_the_largest', () => {
    const summary = summaryOf([0.5, 2, 1.5]);
    expect(failures(summary.result(QUALITY), 1, summary.countAbove(1))).toEqual([
      'SEAM_JUMP: Expected no seam with a jump above 1, received 2 of 3, the largest 2 for joint1 at 2.000 s',
    ]);
  });

  test('passes_where_no_jump_is_larger', () => {
    const summary = summaryOf([0.5, 2]);
    expect(failures(summary.result(QUALITY), 2, summary.countAbove(2))).toEqual([]);
  });

  test('fails_where_there_is_no_seam', () => {
    expect(failures(summaryOf([]).result(QUALITY), 1, 0)).toEqual([
      'SEAM_JUMP: Expected at least one seam between chunks in the bag, received none',
    ]);
  });
});
