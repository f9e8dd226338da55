import { describe, expect, test } from '@jest/globals';
import { safetyStatus } from '../../../src/ros/guard-status.js';

const CAUSE = { code: 'POLICY_LOST', message: 'it is gone' };

describe('safetyStatus', () => {
  test.each([
    ['inactive', undefined, 0, 'inactive', 'activate the policy'],
    ['inactive', CAUSE, 0, 'inactive', 'activate the policy'],
    ['moving', undefined, 0, 'moving', ''],
    ['stopped', undefined, 0, 'stopped', 'by itself, with a chunk from a new observation'],
    ['stopped', CAUSE, 1, 'stopped: POLICY_LOST: it is gone', 'by itself, with a chunk from a new observation'],
    ['latched', CAUSE, 2, 'latched: POLICY_LOST: it is gone', 'ros2 service call /arm/resume std_srvs/srv/Trigger'],
  ] as const)('of_%s_names_the_cause_and_the_way_back', (state, cause, level, message, resume) => {
    const status = safetyStatus('name', '/arm', state, cause, true);
    expect([status.level, status.message]).toEqual([level, message]);
    const values = Object.fromEntries(status.values.map(({ key, value }) => [key, value]));
    const shown = message.includes(':') ? CAUSE : { code: '', message: '' };
    expect(values).toEqual({ state, code: shown.code, reason: shown.message, resume, policy: 'connected' });
  });
});
