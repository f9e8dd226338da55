import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { inRoot, nativeBuild, venvPython } from './paths.mjs';
import { rosEnvironment } from './ros.mjs';
import { runAttached } from './run.mjs';

/**
 * The result of a suite. If the runner crashed or ran no test, that counts as a failure.
 * @typedef {{name: string, reason: string}} Skip a test that was not run, and why
 * @typedef {{passed: number, failed: number, skips: Skip[], omissions?: string[], unstable?: string[], problem?: string}} Result
 *   `omissions`: what this machine could not build, a sentence each; `unstable`: tests that failed and then passed alone
 */

const report = (name) => inRoot('build', 'reports', name);

/**
 * Runs one test runner and reads its report.
 * @param {string} file the report that the runner writes
 * @param {(text: string) => Result} read
 * @returns {Promise<Result>}
 */
async function suite(file, read, command, args, env) {
  rmSync(file, { force: true });
  const status = await runAttached(command, args, { env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (!existsSync(file)) return { passed: 0, failed: 1, skips: [], problem: `no report, exit status ${status}` };
  const result = read(readFileSync(file, 'utf8'));
  if (result.passed + result.failed === 0) return { ...result, failed: 1, problem: 'ran no test' };
  if (status !== 0 && result.failed === 0) return { ...result, failed: 1, problem: `exit status ${status}` };
  return result;
}

/** The result in a report of jest's (`--json`). */
export function readJest(text) {
  const report = JSON.parse(text);
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + report.numRuntimeErrorTestSuites,
    skips: tests
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName, status }) => ({ name: fullName, reason: `marked ${status}` })),
  };
}

const ENTITIES = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&' };
const decodeEntities = (text) => text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity]);

const TESTCASE = /<testcase\s([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const attribute = (attributes, key) =>
  decodeEntities(new RegExp(`(?:^|\\s)${key}="([^"]*)"`).exec(attributes)?.[1] ?? '');

/** The result in a JUnit report, as pytest and CTest write it. */
export function readJUnit(text) {
  const sum = { tests: 0, failures: 0, errors: 0, skipped: 0, disabled: 0 };
  for (const [, attributes] of text.matchAll(/<testsuite\s([^>]*)>/g)) {
    for (const [, name, value] of attributes.matchAll(/(\w+)="(\d+)"/g)) if (name in sum) sum[name] += Number(value);
  }
  const failed = sum.failures + sum.errors;
  return { passed: sum.tests - failed - sum.skipped - sum.disabled, failed, skips: skipsInJUnit(text) };
}

function skipsInJUnit(text) {
  const skips = [];
  for (const [, attributes, body = ''] of text.matchAll(TESTCASE)) {
    const skipped = /<skipped(?:\s[^>]*?message="([^"]*)")?/.exec(body);
    if (!skipped && !/status="disabled"/.test(attributes)) continue;
    // A native test prints its reason; CTest's message only repeats the exit status.
    const printed = /<system-out>skipped: (.*)/.exec(body);
    skips.push({
      name: attribute(attributes, 'name'),
      reason: decodeEntities(printed?.[1] ?? skipped?.[1] ?? 'disabled'),
    });
  }
  return skips;
}

/** jest with the compiled unit tests. */
export function unit() {
  const file = report('unit.json');
  const jest = inRoot('node_modules', 'jest', 'bin', 'jest.js');
  const args = ['--experimental-vm-modules', '--no-warnings', jest, '--json', `--outputFile=${file}`];
  return suite(file, readJest, process.execPath, args, process.env);
}

/**
 * Why the native build contains no CUDA.
 * @param {string} cache content of the build's CMakeCache.txt
 */
export function cudaOmission(cache) {
  const nvcc = /^PI05_NVCC:\w+=(.+)$/m.exec(cache)?.[1] ?? 'PI05_NVCC-NOTFOUND';
  const reason = nvcc.endsWith('-NOTFOUND') ? 'no nvcc' : `${nvcc} cannot build them, see .pi05/logs/native.log`;
  return `CUDA sources (native/backend/cuda, test/gpu) were NOT compiled: ${reason}`;
}

/** The native tests. Those in test/gpu are among them where the CUDA backend was compiled. */
export async function native() {
  const file = report('native.xml');
  const args = ['--test-dir', nativeBuild, '--output-on-failure', '--no-tests=error', '--output-junit', file];
  const result = await suite(file, readJUnit, 'ctest', args, process.env);
  if (existsSync(file) && /<testcase\s[^>]*name="gpu_/.test(readFileSync(file, 'utf8'))) return result;
  const cache = join(nativeBuild, 'CMakeCache.txt');
  return { ...result, omissions: [cudaOmission(existsSync(cache) ? readFileSync(cache, 'utf8') : '')] };
}

/**
 * pytest. ROS 2 is limited to this machine, in a domain that a second run is unlikely to use.
 * @param {string} name of the report
 * @param {string[]} tests directories or node ids
 */
function pytest(name, tests) {
  const file = report(`${name}.xml`);
  const env = rosEnvironment();
  env.ROS_AUTOMATIC_DISCOVERY_RANGE = 'LOCALHOST';
  env.ROS_DOMAIN_ID ??= String(1 + (process.pid % 100));
  const args = ['-m', 'pytest', ...tests, '-p', 'no:cacheprovider', `--junitxml=${file}`];
  return suite(file, readJUnit, venvPython, args, env);
}

/** The simulated arm without the policy node. */
export const sim = () => pytest('sim', [inRoot('test', 'sim')]);

/** More failures than these are not a matter of a busy machine. */
const SECOND_ATTEMPTS = 3;

/**
 * The running policy node over real DDS, tested from rclpy. These tests start several real-time processes each, which a busy
 * machine can delay for longer than any limit of a test. So up to three tests that fail are run again, alone. The
 * output of both attempts is printed, and the summary names each test that passed only then.
 */
export async function ros() {
  const first = await pytest('ros', [inRoot('test', 'ros')]);
  const failed = existsSync(report('ros.xml')) ? failedTests(readFileSync(report('ros.xml'), 'utf8')) : [];
  if (failed.length === 0 || failed.length > SECOND_ATTEMPTS) return first;
  return withSecondAttempt(first, failed, await pytest('ros-again', failed));
}

/** The node ids of the tests that failed, from pytest's JUnit report. */
export function failedTests(text) {
  const ids = [];
  for (const [, attributes, body = ''] of text.matchAll(TESTCASE)) {
    if (!/<(?:failure|error)[\s>]/.test(body)) continue;
    const [, module, group] = /^(.*?)(?:\.(Test\w*))?$/.exec(attribute(attributes, 'classname'));
    ids.push([`${module.replaceAll('.', '/')}.py`, group, attribute(attributes, 'name')].filter(Boolean).join('::'));
  }
  return ids;
}

/**
 * The result of a suite whose failed tests were run again.
 * @param {Result} first
 * @param {string[]} failed the ids of the tests that failed
 * @param {Result} second of these tests alone
 * @returns {Result}
 */
export function withSecondAttempt(first, failed, second) {
  if (second.failed > 0 || second.passed !== failed.length || first.failed !== failed.length) return first;
  return { ...first, passed: first.passed + second.passed, failed: 0, unstable: failed, problem: undefined };
}
