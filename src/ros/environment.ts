import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { errorMessage, Pi05Error } from '../errors.js';
import { setupCommand } from '../package-root.js';
import type { Rcl } from './rcl.js';
import { bindingFiles, GENERATED_MESSAGES, importNative, type NativeRcl } from './rclnodejs-internals.js';

const REMEDY = `start it with \`bin/pi05\`, or source a ROS 2 setup file first; \`${setupCommand}\` installs what is missing`;

/**
 * Checks that a ROS 2 environment is set up. rclnodejs must not be imported without one: it would rebuild itself at run
 * time and break its existing build.
 * @throws Pi05Error ENVIRONMENT.
 */
export function checkEnvironment(environment: NodeJS.ProcessEnv): void {
  const missing = ['AMENT_PREFIX_PATH', 'ROS_DISTRO'].filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw new Pi05Error('ENVIRONMENT', `Expected a ROS 2 environment, found no ${missing.join(' and no ')}: ${REMEDY}`);
  }
}

/**
 * Checks that rclnodejs has a native binding for this system, built here or prebuilt, and its generated messages. Without
 * them too, importing rclnodejs would rebuild it.
 */
function checkBuild(distro: string): void {
  const root = rclnodejsDirectory();
  const binary = bindingFiles(process.arch, distro, ubuntuCodename()).some((file) => existsSync(join(root, file)));
  if (!binary || !existsSync(join(root, GENERATED_MESSAGES))) {
    throw new Pi05Error(
      'ENVIRONMENT',
      `Expected rclnodejs to be built, found no ${binary ? 'generated messages' : 'binary'} in ${root}: run \`${setupCommand}\``,
    );
  }
}

/** rclnodejs is an optional dependency: npm leaves it out where its build fails. */
function rclnodejsDirectory(): string {
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

/**
 * Imports rclnodejs after checking the environment, and removes its SIGINT handler.
 * @throws Pi05Error ENVIRONMENT.
 */
export async function loadRcl(environment: NodeJS.ProcessEnv): Promise<{ rcl: Rcl; native: NativeRcl }> {
  checkEnvironment(environment);
  checkBuild(environment['ROS_DISTRO'] ?? '');
  try {
    const { default: rcl } = (await import('rclnodejs')) as unknown as { default: Rcl };
    const native = await importNative();
    rcl.removeSignalHandlers();
    return { rcl, native };
  } catch (error) {
    const [line] = errorMessage(error).split('\n');
    throw new Pi05Error('ENVIRONMENT', `Expected rclnodejs to load, but ${line}: ${REMEDY}`);
  }
}
