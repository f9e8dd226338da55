import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { PolicyConfig } from '../../../src/config/config.js';
import type { Observation } from '../../../src/frame/frame.js';
import type { PolicyModel } from '../../../src/policy/model.js';
import { Policy } from '../../../src/policy/policy.js';
import { fixture } from '../root.js';
import { actionJoint, policyConfig, stateJoint, TINY_MODEL } from './config.js';

const OPENPI_MODEL: PolicyModel = { ...TINY_MODEL, family: 'openpi' };
const ACTIONS = Float32Array.from({ length: 10 * 32 }, (_, index) => Math.sin(index));

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-rtc-'));
  copyFileSync(fixture('pi05', 'tiny-lerobot', 'tokenizer', 'tokenizer.json'), join(directory, 'tokenizer.json'));
  const assets = join(directory, 'assets', 'robot');
  mkdirSync(assets, { recursive: true });
  const statistics = {
    state: { q01: [-1, -1, -1], q99: [1, 1, 1] },
    actions: { q01: [-1, -2, 0], q99: [1, 4, 3] },
  };
  writeFileSync(join(assets, 'norm_stats.json'), JSON.stringify({ norm_stats: statistics }));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** @param state [state joints] of three joints. */
function observation(...state: number[]): Observation {
  return {
    stamp: 1_763_700_000_000_000_000n,
    views: [],
    state: Float64Array.from(state),
    prompt: 'pick up the red cube',
  };
}

test('previous_actions_are_those_of_the_engine_and_deltas_reach_the_same_positions_from_the_new_state', async () => {
  const joints = [
    actionJoint('joint1', { scale: 3 }),
    actionJoint('joint2', { kind: 'delta', scale: 2, offset: 1 }),
    actionJoint('joint3', { kind: 'position', gripper: true, binarize: 0.5 }),
  ];
  const state = { ...policyConfig(3).state, joints: ['joint2', 'joint1', 'joint3'].map((name) => stateJoint(name)) };
  const config = policyConfig(3, { action: { bound: 'clip', joints }, state });
  const policy = await Policy.load(directory, OPENPI_MODEL, config);
  const chunk = policy.finish(ACTIONS, observation(10, 20, 30));
  const same = policy.previousActions(chunk, 2, observation(10, 5, 5));
  expect(same).toEqual(ACTIONS.slice(2 * 32));
  const moved = observation(10.75, 5, 5);
  const previous = policy.previousActions(chunk, 2, moved);
  expect(previous.length).toBe(8 * 32);
  previous.forEach((value, i) => {
    if (i % 32 !== 1) expect(value).toBe(ACTIONS[2 * 32 + i]);
    // (delta + 10) becomes (delta' + 10.75); a normalised unit is half the range of 6.
    else expect(value).toBeCloseTo(ACTIONS[2 * 32 + i]! - 0.75 / 3, 5);
  });
  const again = policy.finish(Float32Array.from([...previous, ...new Float32Array(64)]), moved);
  for (let row = 0; row < 8; row++) expect(again.values[row * 3 + 1]).toBeCloseTo(chunk.values[(row + 2) * 3 + 1]!, 5);
});

test('rtc_trained_needs_a_checkpoint_that_declares_the_delay_it_was_trained_with', async () => {
  const config: PolicyConfig = policyConfig(3, { schedule: { ...policyConfig(3).schedule, mode: 'rtc_trained' } });
  await expect(Policy.load(directory, OPENPI_MODEL, config)).rejects.toMatchObject({
    problems: [
      expect.objectContaining({
        code: 'CHECKPOINT_RTC',
        message:
          'Expected a checkpoint that declares rtc.trained_max_delay for schedule.mode rtc_trained, received one without; ' +
          'rtc works with every checkpoint',
      }),
    ],
  });
  await (await Policy.load(directory, { ...OPENPI_MODEL, rtcTrainedMaxDelay: 4 }, config)).close();
});
