import { expect, test } from '@jest/globals';
import { MS, SECOND } from '../pipeline/robot.js';
import { moving, PERIOD, type Run, STOP } from './harness.js';

const resume = (run: Run) => run.guard.resume(run.time, run.measured).success;

test('calls_that_were_made_while_the_guard_did_not_run_do_not_release_its_latch_and_a_later_one_does', () => {
  const run = moving();
  run.advance(5n * SECOND);
  expect([resume(run), run.guard.state]).toEqual([false, 'latched']);
  run.check();
  run.advance(PERIOD);
  expect([resume(run), run.guard.state, run.guard.cause?.code]).toEqual([false, 'latched', 'GUARD_PAUSED']);
  run.ticks(10);
  expect(resume(run)).toBe(true);
});

test('a_call_that_was_made_while_a_latched_guard_did_not_run_does_not_release_it', () => {
  const run = moving();
  run.take(run.guard.emergencyStop('m', run.time, run.measured));
  run.advance(5n * SECOND);
  expect([resume(run), run.last]).toEqual([false, STOP]);
  run.advance(SECOND - 1n * MS);
  expect(resume(run)).toBe(false);
  run.advance(1n * MS);
  expect([resume(run), run.guard.cause?.code]).toEqual([true, 'EMERGENCY_STOP']);
});
