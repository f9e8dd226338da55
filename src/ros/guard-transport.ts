import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../package-root.js';

/** Where Fast DDS 2 and Fast DDS 3 find their profile, with the name of this package's. */
const PROFILES: Readonly<Record<string, string>> = {
  FASTRTPS_DEFAULT_PROFILES_FILE: 'fastdds',
  FASTDDS_DEFAULT_PROFILES_FILE: 'fastdds3',
};

/**
 * Keeps the guard's process off the shared memory of Fast DDS, where its publishers may sleep for 333 ms whenever another
 * process appears (`configs/fastdds-guard.xml`). Call this before rclnodejs is loaded. A profile that is not this package's
 * stays as it is, and so does the range LOCALHOST where it has static peers.
 * @param environment of this process; changed.
 */
export function avoidSharedMemory(environment: NodeJS.ProcessEnv): void {
  const ours = Object.entries(PROFILES).filter(([name, file]) => isProfile(environment[name], file));
  const localhost =
    environment['ROS_LOCALHOST_ONLY'] === '1' || environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] === 'LOCALHOST';
  if (!localhost) {
    for (const [name, file] of ours) environment[name] = profile(`${file}-guard`);
    environment['FASTDDS_BUILTIN_TRANSPORTS'] ??= 'UDPv4';
  } else if (ours.length > 0 && !environment['ROS_STATIC_PEERS']) {
    for (const [name, file] of ours) environment[name] = profile(`${file}-guard-localhost`);
    environment['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'SYSTEM_DEFAULT';
    delete environment['ROS_LOCALHOST_ONLY'];
  }
}

function profile(name: string): string {
  return join(packageRoot, 'configs', `${name}.xml`);
}

function isProfile(file: string | undefined, name: string): boolean {
  try {
    return file !== undefined && realpathSync(file) === realpathSync(profile(name));
  } catch {
    return false;
  }
}
