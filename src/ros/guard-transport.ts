import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';

/** Where Fast DDS 2 and Fast DDS 3 find their profile. */
const PROFILE_VARIABLES = ['FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'];

/**
 * Keeps the guard's process off the shared memory of Fast DDS, where its publishers may sleep for 333 ms whenever another
 * process appears (`configs/fastdds-guard.xml`). Call this before rclnodejs is loaded. A profile that is not this package's
 * stays as it is, and so does the range LOCALHOST where it has static peers.
 * @param environment of this process; changed.
 */
export function avoidSharedMemory(environment: NodeJS.ProcessEnv): void {
  const ours = PROFILE_VARIABLES.filter((name) => isSharedProfile(environment[name]));
  const localhost =
    environment['ROS_LOCALHOST_ONLY'] === '1' || environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] === 'LOCALHOST';
  if (!localhost) {
    for (const name of ours) environment[name] = profile('fastdds-guard.xml');
    environment['FASTDDS_BUILTIN_TRANSPORTS'] ??= 'UDPv4';
  } else if (ours.length > 0 && !environment['ROS_STATIC_PEERS']) {
    for (const name of ours) environment[name] = profile('fastdds-guard-localhost.xml');
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'SYSTEM_DEFAULT';
    delete environment['ROS_LOCALHOST_ONLY'];
  }
}

function profile(name: string): string {
  return join(packageRoot, 'configs', name);
}

function isSharedProfile(file: string | undefined): boolean {
  try {
    return file !== undefined && realpathSync(file) === realpathSync(profile('fastdds.xml'));
  } catch {
    return false;
  }
}
