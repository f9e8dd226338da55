import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { errorMessage, Pi05Error } from '../errors.js';

/** Longest path of a Unix socket in bytes: `sun_path` of unix(7) has 108 with the final NUL. */
const MAX_PATH = 107;

/**
 * The path of the socket of the guard of one policy, in a directory that only this user may enter and that this function
 * creates: below XDG_RUNTIME_DIR, or in the system's directory of temporary files where that is not set or does not exist.
 * A name that is too long is replaced by its hash.
 * @param node the policy's full name, such as `/left/policy_node`.
 * @throws Pi05Error ENVIRONMENT where the directory cannot be used.
 */
export function guardSocketPath(node: string, environment: NodeJS.ProcessEnv): string {
  const { uid } = userInfo();
  const name = `${rosDomain(environment)}${node.replaceAll('/', '.')}.sock`;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 32);
  const shortName = `${hash}.sock`;
  const directory = [environment['XDG_RUNTIME_DIR'] ?? '', tmpdir(), '/tmp']
    .filter((base) => base.startsWith('/') && isDirectory(base))
    .map((base) => join(base, `pi05-${uid}`))
    .find((candidate) => Buffer.byteLength(join(candidate, shortName)) <= MAX_PATH);
  if (directory === undefined) {
    throw new Pi05Error('ENVIRONMENT', `Expected a directory for the guard's socket, found no ${tmpdir()}: set TMPDIR`);
  }
  createPrivateDirectory(directory, uid);
  const path = join(directory, name);
  return Buffer.byteLength(path) <= MAX_PATH ? path : join(directory, shortName);
}

/** ROS_DOMAIN_ID, 0 where it is not set. */
function rosDomain(environment: NodeJS.ProcessEnv): number {
  return Number(environment['ROS_DOMAIN_ID'] ?? 0) || 0;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function createPrivateDirectory(path: string, uid: number): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Pi05Error('ENVIRONMENT', `Expected to create ${path} for the guard's socket: ${errorMessage(error)}`);
  }
  const status = lstatSync(path);
  if (status.isDirectory() && status.uid === uid && (status.mode & 0o777) === 0o700) return;
  const received = `mode ${(status.mode & 0o777).toString(8)} of user ${status.uid}`;
  throw new Pi05Error(
    'ENVIRONMENT',
    `Expected ${path} as a directory of user ${uid} with mode 700, received ${received}`,
  );
}
