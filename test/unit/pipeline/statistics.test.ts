import { expect, test } from '@jest/globals';
import { RecentSamples } from '../../../src/pipeline/statistics.js';
import { percentiles } from '../../../src/statistics.js';
import { random } from './robot.js';

test('before_the_first_sample_there_are_no_percentiles', () => {
  expect(new RecentSamples().percentiles).toEqual({ p50: undefined, p95: undefined, p99: undefined });
  expect(new RecentSamples().max).toBeUndefined();
});

test('percentiles_are_those_of_the_last_4096_samples_in_any_order', () => {
  const [samples, all, next] = [new RecentSamples(), [] as number[], random(7)];
  for (let i = 0; i < 10_000; i++) {
    // Many values are equal, and they grow, so that it matters which samples are dropped.
    const value = Math.floor(next() * 50) + Math.floor(i / 1000);
    samples.add(value);
    all.push(value);
    if (i % 613 !== 0 && i !== 9999) continue;
    expect(samples.percentiles).toEqual(percentiles(all.slice(-4096)));
    expect(samples.max).toBe(Math.max(...all.slice(-4096)));
  }
});
