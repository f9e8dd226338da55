import { existsSync, readFileSync, rmSync } from 'node:fs';

import { inRoot, nativeBuild, venvPython } from './paths.mjs';
import { rosEnvironment } from './ros.mjs';
import { runHere } from './run.mjs';

/**
 * What a suite came to. A runner that crashed, and one that ran no test, counts as one failure more.
 * @typedef {{passed: number, failed: number, skipped: number, problem?: string}} Result
 */

const report = (name) => inRoot('build', 'reports', name);

/**
 * Runs one runner and reads its report.
 * @param {string} file the report it writes
 * @param {(text: string) => Result} read
 * @returns {Promise<Result>}
 */
async function suite(file, read, command, args, env) {
  rmSync(file, { force: true });
  const status = await runHere(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  const none = { passed: 0, failed: 0, skipped: 0 };
  if (!existsSync(file)) return { ...none, failed: 1, problem: `no report, exit status ${status}` };
  const result = read(readFileSync(file, 'utf8'));
  if (result.passed + result.failed === 0) return { ...result, failed: 1, problem: 'ran no test' };
  if (status !== 0 && result.failed === 0) return { ...result, failed: 1, problem: `exit status ${status}` };
  return result;
}

/** jest over the compiled unit tests. */
export function unit() {
  const file = report('unit.json');
  const read = (text) => {
    const r = JSON.parse(text);
    return {
      passed: r.numPassedTests,
      failed: r.numFailedTests + r.numRuntimeErrorTestSuites,
      skipped: r.numPendingTests + r.numTodoTests,
    };
  };
  const jest = inRoot('node_modules', 'jest', 'bin', 'jest.js');
  const args = ['--experimental-vm-modules', '--no-warnings', jest, '--json', `--outputFile=${file}`];
  return suite(file, read, process.execPath, args, process.env);
}

/** The counts of a JUnit report: attributes of each <testsuite>. */
export function readJUnit(text) {
  const sum = { tests: 0, failures: 0, errors: 0, skipped: 0, disabled: 0 };
  for (const [, attributes] of text.matchAll(/<testsuite\s([^>]*)>/g)) {
    for (const [, name, value] of attributes.matchAll(/(\w+)="(\d+)"/g)) if (name in sum) sum[name] += Number(value);
  }
  const failed = sum.failures + sum.errors;
  const skipped = sum.skipped + sum.disabled;
  return { passed: sum.tests - failed - skipped, failed, skipped };
}

/** The native tests, which the native build made. */
export function native() {
  const file = report('native.xml');
  const args = ['--test-dir', nativeBuild, '--output-on-failure', '--no-tests=error', '--output-junit', file];
  return suite(file, readJUnit, 'ctest', args, process.env);
}

/** A folder of pytest's, with ROS 2 on this machine only, in a domain that another run here is unlikely to use. */
function pytest(name) {
  const file = report(`${name}.xml`);
  const env = rosEnvironment();
  env.ROS_AUTOMATIC_DISCOVERY_RANGE = 'LOCALHOST';
  env.ROS_DOMAIN_ID ??= String(1 + (process.pid % 100));
  const args = ['-m', 'pytest', inRoot('test', name), '-p', 'no:cacheprovider', `--junitxml=${file}`];
  return suite(file, readJUnit, venvPython, args, env);
}

/** The simulated arm by itself. */
export const sim = () => pytest('sim');

/** rclpy as the other side of the running node, over real DDS. */
export const ros = () => pytest('ros');
