import { describe, expect, test } from '@jest/globals';

import { NodeTime } from '../../../src/ros/node-time.js';
import { SECOND } from '../pipeline/robot.js';

describe('NodeTime', () => {
  test('measures_how_long_the_simulated_clock_has_not_changed', () => {
    let steady = 5n * SECOND;
    const time = new NodeTime({} as never, true, () => steady);
    steady += SECOND;
    expect(time.unchangedFor).toBe(SECOND);
    time.set(7n);
    expect(time.unchangedFor).toBe(0n);
    steady += 2n * SECOND;
    time.set(7n);
    expect(time.unchangedFor).toBe(2n * SECOND);
    time.set(8n);
    expect(time.unchangedFor).toBe(0n);
  });

  test('a_time_that_is_a_little_older_is_not_used_and_does_not_count_as_a_change', () => {
    let steady = 0n;
    const time = new NodeTime({} as never, true, () => steady);
    expect(time.set(SECOND)).toBe('first');
    steady += SECOND;
    expect([time.set(SECOND - 5_000_000n), time.now(), time.unchangedFor]).toEqual(['older', SECOND, SECOND]);
    expect([time.set(SECOND - 50_000_000n), time.now()]).toEqual(['older', SECOND]);
    expect([time.set(SECOND - 50_000_001n), time.now(), time.unchangedFor]).toEqual([
      'reset',
      SECOND - 50_000_001n,
      0n,
    ]);
  });

  test('without_use_sim_time_the_clock_never_counts_as_unchanged', () => {
    let steady = 0n;
    const time = new NodeTime({} as never, false, () => steady);
    steady += SECOND;
    expect(time.unchangedFor).toBe(0n);
  });
});
