import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { Pi05Error } from '../errors.js';
import { setupCommand } from '../package-root.js';
import type { NativeRcl, Rcl } from './rcl.js';

const REMEDY = `start it with \`bin/pi05\`, or source a ROS 2 setup file first; \`${setupCommand}\` installs what is missing`;

/**
 * Checks that a ROS 2 environment is there. rclnodejs must not be imported without one: it would then rebuild itself
 * at run time and break the build that it has.
 * @throws Pi05Error ENVIRONMENT
 */
export function checkEnvironment(environment: NodeJS.ProcessEnv): void {
  const missing = ['AMENT_PREFIX_PATH', 'ROS_DISTRO'].filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw new Pi05Error('ENVIRONMENT', `Expected a ROS 2 environment, found no ${missing.join(' and no ')}: ${REMEDY}`);
  }
}

/** Checks that rclnodejs is built (or brings a binary for this Ubuntu) and its messages are generated, for the same reason. */
function checkBuild(distro: string): void {
  const root = rclnodejsFolder();
  const prebuilt = `prebuilds/linux-${process.arch}/${distro}-${ubuntuCodename()}-${process.arch}-node-rclnodejs.node`;
  const binary = ['build/Release/rclnodejs.node', prebuilt].some((file) => existsSync(join(root, file)));
  if (!binary || !existsSync(join(root, 'generated/generator.json'))) {
    throw new Pi05Error(
      'ENVIRONMENT',
      `Expected rclnodejs to be built, found no ${binary ? 'generated messages' : 'binary'} in ${root}: run \`${setupCommand}\``,
    );
  }
}

/** npm leaves rclnodejs out where its own build fails. */
function rclnodejsFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve('rclnodejs/package.json'));
  } catch {
    throw new Pi05Error('ENVIRONMENT', `Expected the package rclnodejs, found none: run \`${setupCommand}\``);
  }
}

function ubuntuCodename(): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  return /^UBUNTU_CODENAME=(\w+)/m.exec(release)?.[1] ?? 'none';
}

/** rclnodejs, once the environment was checked. Its own SIGINT handler is removed. */
export async function loadRcl(environment: NodeJS.ProcessEnv): Promise<{ rcl: Rcl; native: NativeRcl }> {
  checkEnvironment(environment);
  checkBuild(environment['ROS_DISTRO'] ?? '');
  try {
    const { default: rcl } = (await import('rclnodejs')) as unknown as { default: Rcl };
    // The binding itself has no types; it is the only way to the order in which overrides were given.
    const binding: string = 'rclnodejs/lib/native_loader.js';
    const { default: native } = (await import(binding)) as { default: NativeRcl };
    rcl.removeSignalHandlers();
    return { rcl, native };
  } catch (error) {
    const [line] = String(error instanceof Error ? error.message : error).split('\n');
    throw new Pi05Error('ENVIRONMENT', `Expected rclnodejs to load, but ${line}: ${REMEDY}`);
  }
}
