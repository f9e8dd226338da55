import { describe, expect, test } from '@jest/globals';
import { ClockTicker } from '../../../src/ros/clock-ticker.js';
import { NodeTime } from '../../../src/ros/node-time.js';
import { MS, SECOND } from '../pipeline/robot.js';

/** A ticker at 10 Hz, its `/clock` and the wall clock. */
class Harness {
  steady = 0n;
  readonly log: string[] = [];
  readonly #time = new NodeTime({} as never, true, () => this.steady);
  readonly ticker: ClockTicker;

  constructor(lockstep = false) {
    this.ticker = new ClockTicker(this.#time, 10, lockstep, {
      onTick: (now) => this.log.push(`tick ${now / MS}`),
      onFault: (fault) => this.log.push(fault.toString()),
      onStill: (fault) => this.log.push(fault.code),
      onSettled: (settled) => this.log.push(settled ? 'settled' : 'jumped'),
    });
    this.ticker.start();
  }

  clock(now: bigint): void {
    this.ticker.receive(now, this.#time.set(now));
  }

  /** `/clock` at 100 Hz of simulated time and the checks at 10 Hz of wall time, for one second of it. */
  second(start: bigint, speed: bigint): void {
    for (let t = 0n; t < 1000n; t += 10n) {
      this.steady += 10n * MS;
      for (let i = 0n; i < speed; i++) this.clock(start + (t * speed + i * 10n) * MS);
      if (t % 100n === 0n) this.ticker.check();
    }
    this.ticker.check();
  }

  takeLog(): string[] {
    return this.log.splice(0);
  }
}

describe('ClockTicker', () => {
  test('a_clock_that_stands_still_is_reported_once_until_it_continues', () => {
    const harness = new Harness();
    harness.clock(SECOND);
    harness.steady += SECOND;
    harness.ticker.check();
    expect(harness.takeLog()).toEqual(['tick 1000']);
    harness.steady += 1n;
    harness.ticker.check();
    harness.ticker.check();
    expect(harness.takeLog()).toEqual(['CLOCK_STILL']);
    harness.clock(SECOND + MS);
    harness.ticker.check();
    harness.steady += 2n * SECOND;
    harness.ticker.check();
    expect(harness.takeLog()).toEqual(['CLOCK_STILL']);
    harness.ticker.stop();
  });

  test('a_clock_that_jumps_back_has_settled_when_it_has_not_done_so_for_a_second', () => {
    const harness = new Harness();
    harness.clock(10n * SECOND);
    harness.takeLog();
    harness.clock(5n * SECOND);
    expect(harness.takeLog()).toEqual(['jumped', 'tick 5000']);
    harness.steady += 900n * MS;
    harness.clock(11n * SECOND);
    harness.clock(5n * SECOND);
    harness.takeLog();
    harness.steady += SECOND;
    harness.ticker.check();
    expect(harness.takeLog()).not.toContain('settled');
    harness.steady += 1n;
    harness.ticker.check();
    harness.ticker.check();
    expect(harness.takeLog().filter((line) => line === 'settled')).toHaveLength(1);
    harness.ticker.stop();
  });

  test('in_lock_step_a_clock_that_jumps_back_is_a_reset_of_the_simulation', () => {
    const harness = new Harness(true);
    harness.clock(10n * SECOND);
    harness.clock(5n * SECOND);
    expect(harness.takeLog()).toEqual(['tick 10000', 'tick 5000']);
  });

  test('an_older_time_is_reported_at_most_once_per_second_and_is_no_tick', () => {
    const harness = new Harness();
    harness.clock(SECOND);
    harness.clock(SECOND - 5n * MS);
    harness.clock(SECOND - 6n * MS);
    expect(harness.takeLog()).toEqual([
      'tick 1000',
      'CLOCK_BACKWARDS: Expected the time of /clock to increase, received one 0.005 s before the newest; it is not used (two publishers?)',
    ]);
    harness.steady += SECOND;
    harness.clock(SECOND - 5n * MS);
    expect(harness.takeLog()).toHaveLength(1);
    harness.ticker.stop();
  });

  test('ticks_that_are_faster_than_the_control_rate_by_the_wall_clock_are_reported', () => {
    const harness = new Harness();
    harness.second(SECOND, 1n);
    expect(harness.takeLog().filter((line) => !line.startsWith('tick'))).toEqual([]);
    harness.second(2n * SECOND, 3n);
    expect(harness.takeLog().filter((line) => !line.startsWith('tick'))).toEqual([
      'TICK_RATE: Expected 10 control ticks per second, received 30.0 by the wall clock: /clock is faster than real time',
    ]);
    harness.ticker.stop();
  });
});
