import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { packageRoot } from '../../../src/package-root.js';
import { avoidSharedMemory } from '../../../src/ros/guard-transport.js';

const profile = (name: string): string => join(packageRoot, 'configs', name);
const OURS = profile('fastdds.xml');

function changed(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  avoidSharedMemory(environment);
  return environment;
}

test('the_guard_has_a_profile_without_shared_memory', () => {
  expect(
    changed({ FASTRTPS_DEFAULT_PROFILES_FILE: OURS, FASTDDS_DEFAULT_PROFILES_FILE: profile('fastdds3.xml') }),
  ).toEqual({
    FASTRTPS_DEFAULT_PROFILES_FILE: profile('fastdds-guard.xml'),
    FASTDDS_DEFAULT_PROFILES_FILE: profile('fastdds3-guard.xml'),
    FASTDDS_BUILTIN_TRANSPORTS: 'UDPv4',
  });
});

test.each([{ ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST' }, { ROS_LOCALHOST_ONLY: '1' }])(
  'on_this_machine_only_the_profile_has_what_the_range_would_set: %o',
  (range) => {
    expect(changed({ FASTRTPS_DEFAULT_PROFILES_FILE: OURS, ...range })).toEqual({
      FASTRTPS_DEFAULT_PROFILES_FILE: profile('fastdds-guard-localhost.xml'),
      ROS_AUTOMATIC_DISCOVERY_RANGE: 'SYSTEM_DEFAULT',
    });
  },
);

test('what_the_user_has_set_stays', () => {
  const own = { FASTRTPS_DEFAULT_PROFILES_FILE: '/home/user/own.xml' };
  expect(changed({ ...own, FASTDDS_BUILTIN_TRANSPORTS: 'LARGE_DATA' })).toEqual({
    ...own,
    FASTDDS_BUILTIN_TRANSPORTS: 'LARGE_DATA',
  });
  const localhost = { ...own, ROS_AUTOMATIC_DISCOVERY_RANGE: 'LOCALHOST' };
  expect(changed({ ...localhost })).toEqual(localhost);
  const peers = { ...localhost, FASTRTPS_DEFAULT_PROFILES_FILE: OURS, ROS_STATIC_PEERS: '192.0.2.1' };
  expect(changed({ ...peers })).toEqual(peers);
});

test.each(['', '-guard', '-guard-localhost'])(
  'the_profiles_of_fast_dds_2_and_3_differ_in_the_name_of_one_element: %s',
  (kind) => {
    const elements = (name: string): string =>
      readFileSync(profile(`${name}${kind}.xml`), 'utf8').replace(/<!--[^]*?-->/, '');
    expect(elements('fastdds3')).toBe(elements('fastdds').replaceAll('heartbeatPeriod', 'heartbeat_period'));
    expect(elements('fastdds3')).toContain('<heartbeat_period>');
  },
);
