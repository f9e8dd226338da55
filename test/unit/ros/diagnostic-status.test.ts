import { describe, expect, test } from '@jest/globals';

import { Pi05Error, Refusal } from '../../../src/errors.js';
import {
  RecentEvents,
  LEVEL,
  type Recent,
  mergeRecent,
  type NodeReport,
  statuses,
} from '../../../src/ros/diagnostic-status.js';

const none = { p50: undefined, p95: undefined, p99: undefined };
const refusal = new Refusal('IMAGE_SIZE', 'Expected more from /camera', '/camera');
const REPORT: NodeReport = {
  state: 'active',
  failure: undefined,
  checkpoint: '/checkpoint',
  backend: 'cpu',
  present: [],
  latch: undefined,
  statistics: {
    active: true,
    cameras: { wrist: { offered: 9, dropped: 2, accepted: 6, used: 3 } },
    observations: 3,
    chunks: 2,
    outdated: 0,
    commands: { step: 9, hold: 1, stop: 0 },
    refusals: { IMAGE_SIZE: 2, JOINT_COUNT: 1 },
    faults: { ENGINE_LATE: 4, TICK_LATE: 5 },
    lastRefusal: refusal,
    lastFault: undefined,
    inferenceMs: { p50: 12.34567, p95: 13, p99: 20 },
    latencyMs: none,
    delay: { ms: 123.4567, fixed: false },
    motion: {
      seams: 3,
      lastJump: 0.5,
      maxJump: 1.25,
      maxJumpJoint: 'elbow',
      disagreement: 0.3456,
      jerkRms: 12,
      jerkMax: 70.5,
      idleSteps: 4,
    },
    tickLatenessMs: none,
    ticks: 7,
    maxTickLatenessMs: undefined,
  },
};
const QUIET: Recent = { refusal: undefined, faults: [] };

function status(component: string, recent: Recent = QUIET, report = REPORT) {
  const found = statuses('/policy_node', report, recent).find(({ name }) => name === `/policy_node: ${component}`);
  return { ...found, values: Object.fromEntries((found?.values ?? []).map(({ key, value }) => [key, value])) };
}

describe('statuses', () => {
  test('a_node_without_recent_events_is_ok_in_every_status', () => {
    expect(statuses('/policy_node', REPORT, QUIET).map(({ level }) => level)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('a_latch_is_an_error_with_its_code_and_the_remedy', () => {
    const latch = { code: 'EMERGENCY_STOP', message: '~/stop was called' };
    const { level, message, values } = status('safety', QUIET, { ...REPORT, latch });
    expect([level, message]).toEqual([LEVEL.error, 'EMERGENCY_STOP: ~/stop was called (call ~/resume)']);
    expect(values).toEqual({ latched: 'EMERGENCY_STOP' });
  });

  test('the_delay_that_the_schedule_counts_with_is_shown_and_whether_it_is_fixed', () => {
    expect(status('motion').values).toMatchObject({ delay_ms: '123.457', delay: 'estimated' });
    const statistics = { ...REPORT.statistics!, delay: { ms: 80, fixed: true } };
    expect(status('motion', QUIET, { ...REPORT, statistics }).values).toMatchObject({
      delay_ms: '80.000',
      delay: 'fixed',
    });
  });

  test('the_seams_and_the_jerk_are_shown', () => {
    const { message, values } = status('motion');
    expect(message).toBe('3 seams, the largest jump 1.25 times what one period allows');
    expect(values).toMatchObject({
      seams: '3',
      seam_jump_last: '0.500',
      seam_jump_max: '1.250',
      seam_jump_max_joint: 'elbow',
      seam_disagreement_rms: '0.346',
      jerk_rms: '12.000',
      jerk_max: '70.500',
      idle_steps: '4',
    });
  });

  test('a_recent_refusal_is_a_warning_with_its_code_and_sentence', () => {
    const { level, message } = status('inputs', { ...QUIET, refusal });
    expect([level, message]).toEqual([LEVEL.warn, 'IMAGE_SIZE: Expected more from /camera']);
  });

  test('refusals_are_counted_by_code_and_the_last_one_stays_readable', () => {
    expect(status('inputs').values).toEqual({
      observations: '3',
      'camera.wrist.offered': '9',
      'camera.wrist.dropped': '2',
      'camera.wrist.accepted': '6',
      'camera.wrist.used': '3',
      'refused.IMAGE_SIZE': '2',
      'refused.JOINT_COUNT': '1',
      'last_refusal.code': 'IMAGE_SIZE',
      'last_refusal.topic': '/camera',
      'last_refusal.message': 'Expected more from /camera',
    });
  });

  test('each_fault_belongs_to_one_status_and_the_most_severe_one_is_its_message', () => {
    const faults = [
      new Pi05Error('ENGINE_FAILED', 'failed'),
      new Pi05Error('ENGINE_LATE', 'late'),
      new Pi05Error('TICK_LATE', 'tick'),
    ] as const;
    expect(status('engine', { ...QUIET, faults })).toMatchObject({
      level: LEVEL.error,
      message: 'ENGINE_FAILED: failed',
      values: { 'fault.ENGINE_LATE': '4' },
    });
    expect(status('control', { ...QUIET, faults })).toMatchObject({
      level: LEVEL.warn,
      message: 'TICK_LATE: tick',
      values: { 'fault.TICK_LATE': '5' },
    });
  });

  test('a_fault_outside_the_pipeline_is_a_warning_of_the_status_that_it_belongs_to', () => {
    const still = new Pi05Error('CLOCK_STILL', 'Expected /clock to advance');
    const type = new Pi05Error('TOPIC_TYPE', 'Expected another type');
    const report = { ...REPORT, present: [still, type] };
    expect(status('control', QUIET, report)).toMatchObject({
      level: LEVEL.warn,
      message: 'CLOCK_STILL: Expected /clock to advance',
    });
    expect(status('inputs', QUIET, report)).toMatchObject({
      level: LEVEL.warn,
      message: 'TOPIC_TYPE: Expected another type',
      values: { 'present.TOPIC_TYPE': 'Expected another type' },
    });
    expect(status('inputs', { ...QUIET, refusal }, report).message).toBe(
      'IMAGE_SIZE: Expected more from /camera; TOPIC_TYPE: Expected another type',
    );
    expect(status('engine', QUIET, report).message).toBe('no fault');
  });

  test('percentiles_are_reported_from_the_first_sample_on', () => {
    expect(status('engine').values).toMatchObject({ inference_ms_p50: '12.346', inference_ms_p99: '20.000' });
    for (const key of ['p99', 'max']) expect(status('control').values).not.toHaveProperty(`tick_lateness_ms_${key}`);
    const statistics = { ...REPORT.statistics!, maxTickLatenessMs: 7.0004 };
    expect(status('control', QUIET, { ...REPORT, statistics }).values).toMatchObject({
      tick_lateness_ms_max: '7.000',
    });
  });

  test('a_failed_loading_is_an_error_of_the_node_and_only_its_latch_is_reported_too', () => {
    const report = { ...REPORT, failure: 'CHECKPOINT_MISSING: no weights', statistics: undefined };
    expect(statuses('/policy_node', report, QUIET)).toHaveLength(2);
    expect(status('node', QUIET, report)).toMatchObject({
      level: LEVEL.error,
      message: 'CHECKPOINT_MISSING: no weights',
    });
  });
});

describe('mergeRecent', () => {
  const [previous, current] = [new RecentEvents(), new RecentEvents()];
  previous.refusal = refusal;
  previous.faults.set('TICK_LATE', new Pi05Error('TICK_LATE', 'first'));
  previous.faults.set('ENGINE_LATE', new Pi05Error('ENGINE_LATE', 'late'));
  current.faults.set('TICK_LATE', new Pi05Error('TICK_LATE', 'again'));

  test('a_refusal_of_the_previous_second_counts_until_there_is_a_newer_one', () => {
    expect(mergeRecent(previous, current).refusal).toBe(refusal);
    const newer = new Refusal('JOINT_COUNT', 'Expected 8', '/joint_states');
    expect(mergeRecent(previous, Object.assign(new RecentEvents(), { refusal: newer })).refusal).toBe(newer);
    expect(mergeRecent(current, new RecentEvents()).refusal).toBeUndefined();
  });

  test('each_fault_is_included_once_with_its_last_sentence', () => {
    expect(mergeRecent(previous, current).faults.map(({ message }) => message)).toEqual(['again', 'late']);
  });
});
