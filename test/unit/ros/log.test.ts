import { expect, test } from '@jest/globals';

import { Log } from '../../../src/ros/log.js';

function createLog() {
  const lines: string[] = [];
  const write = (message: string) => void lines.push(message);
  let now = 0n;
  const log = new Log({ debug: write, info: write, warn: write, error: write, fatal: write }, () => now);
  return { lines, log, setTime: (milliseconds: number) => (now = BigInt(milliseconds) * 1_000_000n) };
}

test('each_code_is_logged_at_most_once_a_second_and_the_suppressed_lines_are_counted', () => {
  const { lines, log, setTime } = createLog();
  for (const milliseconds of [0, 10, 999]) {
    setTime(milliseconds);
    log.throttled('warn', 'IMAGE_SIZE', 'too small');
  }
  log.throttled('warn', 'JOINT_COUNT', 'too few');
  setTime(1000);
  log.throttled('warn', 'IMAGE_SIZE', 'too large');
  setTime(2000);
  log.throttled('warn', 'IMAGE_SIZE', 'too small');
  expect(lines).toEqual([
    'IMAGE_SIZE: too small',
    'JOINT_COUNT: too few',
    'IMAGE_SIZE: too large (2 similar messages suppressed)',
    'IMAGE_SIZE: too small',
  ]);
});
