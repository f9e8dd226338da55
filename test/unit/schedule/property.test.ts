import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ScheduleConfig } from '../../../src/config/config.js';
import type { ActionChunk } from '../../../src/frame/frame.js';
import { T0 } from '../pipeline/robot.js';
import { chunk, config, Harness, positions, TICK } from './harness.js';

/** Chunks that arrive after any number of ticks, of any length, in every mode. fast-check reduces what breaks a rule to a short case. */

const RUNS = { seed: 20261129, numRuns: 300 };
/** The value of row r of chunk k is k × STRIDE + r, so that a command tells where it comes from. */
const STRIDE = 1000;

const inference = fc.record({
  /** Ticks until its chunk arrives. */
  ticks: fc.integer({ min: 0, max: 12 }),
  rows: fc.integer({ min: 1, max: 20 }),
  /** What happens before it arrives. */
  interruption: fc.constantFrom('none', 'none', 'none', 'none', 'none', 'reset', 'stop'),
});
const plan = fc.record({
  replanSteps: fc.integer({ min: 1, max: 8 }),
  inferences: fc.array(inference, { minLength: 1, maxLength: 12 }),
});

function numbered(stamp: bigint, index: number, rows: number): ActionChunk {
  return chunk(
    stamp,
    Array.from({ length: rows }, (_, row) => [index * STRIDE + row, index * STRIDE + row]),
  );
}

test.each<ScheduleConfig['mode']>(['sync', 'async', 'rtc', 'rtc_trained'])(
  'in_mode_%s_the_rows_of_each_chunk_are_executed_in_order_none_twice_and_none_before_its_time',
  (mode) => {
    let switches = 0;
    fc.assert(
      fc.property(plan, ({ replanSteps, inferences }) => {
        const harness = new Harness(config(positions, { mode, replanSteps }));
        const chunks: ActionChunk[] = [];
        const executed: bigint[] = [];
        let [current, row] = [-1, -1];
        const tick = (): void => {
          const now = harness.now;
          const { command } = harness.tick();
          if (command?.reason === 'stop') executed.length = 0;
          if (command?.reason !== 'step') return;
          const value = command.values[0]!;
          const [index, next] = [Math.floor(value / STRIDE), value % STRIDE];
          const { rows, stamp } = chunks[index]!;
          expect(next).toBeLessThan(rows);
          if (index === current) expect(next).toBe(row + 1);
          else {
            switches++;
            expect(index).toBeGreaterThan(current);
            // Not more steps are skipped than were executed since the observation, and none is executed before its time.
            const since = executed.filter((time) => time >= stamp).length;
            expect(next).toBeLessThanOrEqual(since);
            if (mode.startsWith('rtc')) expect(next).toBe(since);
            expect(stamp + BigInt(next) * TICK <= now).toBe(true);
          }
          [current, row] = [index, next];
          executed.push(now);
        };
        for (const { ticks, rows, interruption } of inferences) {
          for (let waited = 0; !harness.schedule.wantsInference && waited < 40; waited++) tick();
          const observed = harness.now;
          const ticket = harness.schedule.requestInference(observed);
          for (let i = 0; i < ticks; i++) tick();
          if (interruption === 'reset') harness.schedule.reset();
          if (interruption === 'stop') harness.stop();
          if (interruption !== 'none') executed.length = 0;
          chunks.push(numbered(observed, chunks.length, rows));
          const result = harness.schedule.accept(ticket, chunks.at(-1)!, harness.now);
          if (interruption !== 'none') expect(result).not.toBe('accepted');
          tick();
        }
      }),
      RUNS,
    );
    expect(switches).toBeGreaterThan(RUNS.numRuns);
  },
);

test('an_ensemble_commands_nothing_outside_of_what_its_chunks_predict', () => {
  const levels = fc.array(
    fc.record({ level: fc.integer({ min: -50, max: 50 }), ticks: fc.integer({ min: 0, max: 6 }) }),
    {
      minLength: 1,
      maxLength: 10,
    },
  );
  let steps = 0;
  fc.assert(
    fc.property(levels, fc.double({ min: 0, max: 2, noNaN: true }), (chunks, ensembleDecay) => {
      const harness = new Harness(config(positions, { mode: 'ensemble', replanSteps: 1, ensembleDecay }));
      let [low, high] = [Infinity, -Infinity];
      for (const { level, ticks } of chunks) {
        const stamp = harness.now;
        const ticket = harness.schedule.requestInference(stamp);
        const check = (): void => {
          const { command } = harness.tick();
          if (command?.reason !== 'step') return;
          steps++;
          expect(command.values[0]).toBeGreaterThanOrEqual(low - 1e-9);
          expect(command.values[0]).toBeLessThanOrEqual(high + 1e-9);
        };
        for (let i = 0; i < ticks; i++) check();
        [low, high] = [Math.min(low, level), Math.max(high, level)];
        harness.schedule.accept(
          ticket,
          chunk(
            stamp,
            Array.from({ length: 12 }, () => [level, level]),
          ),
          harness.now,
        );
        check();
      }
      expect(harness.now).toBeGreaterThan(T0);
    }),
    RUNS,
  );
  expect(steps).toBeGreaterThan(RUNS.numRuns);
});
