/** The summary of `npm test` reports what was not done, and its last line has only the totals. */
import { spawnSync } from 'node:child_process';

import { describe, expect, test } from '@jest/globals';

import { packageRoot } from '../root.js';

interface Result {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly { readonly name: string; readonly reason: string }[];
  readonly omissions?: readonly string[];
  readonly unstable?: readonly string[];
  readonly problem?: string;
}

/** Calls a function of scripts/lib, which is plain Node, in a separate process. */
function call<T>(file: string, name: string, ...args: unknown[]): T {
  const script = `const { ${name} } = await import(${JSON.stringify(`./scripts/lib/${file}`)});
    console.log(JSON.stringify(${name}(...JSON.parse(process.argv[1]))));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script, JSON.stringify(args)], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as T;
}

const NO_GPU = 'Expected a GPU for the cuda backend, received none (no driver)';
const CTEST = `<testsuite name="(empty)" tests="4" failures="1" disabled="1" skipped="1">
  <testcase name="gemm" classname="gemm" time="0.1" status="run"><system-out>ok a &lt; b</system-out></testcase>
  <testcase name="gpu_ops" classname="gpu_ops" time="0.1" status="notrun">
    <skipped message="SKIP_RETURN_CODE=77"/>
    <system-out>skipped: ${NO_GPU}
</system-out>
  </testcase>
  <testcase name="json" classname="json" status="fail"><failure message=""/><system-out>x</system-out></testcase>
  <testcase name="rtc" classname="rtc" status="disabled"/>
</testsuite>`;
const PYTEST = `<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="1" tests="2" time="1.0">
  <testcase classname="test_a" name="test_one" time="0.1" />
  <testcase classname="test_a" name="test_two[&quot;x&quot;]" time="0.1"><skipped type="pytest.skip" message="no &lt;DDS&gt;">a.py:1</skipped></testcase>
</testsuite></testsuites>`;

test('skipped_native_tests_have_the_reason_that_they_printed', () => {
  expect(call<Result>('suites.mjs', 'readJUnit', CTEST)).toEqual({
    passed: 1,
    failed: 1,
    skips: [
      { name: 'gpu_ops', reason: NO_GPU },
      { name: 'rtc', reason: 'disabled' },
    ],
  });
});

test('skipped_python_tests_have_the_reason_that_pytest_reports', () => {
  expect(call<Result>('suites.mjs', 'readJUnit', PYTEST)).toEqual({
    passed: 1,
    failed: 0,
    skips: [{ name: 'test_two["x"]', reason: 'no <DDS>' }],
  });
});

test('skipped_unit_tests_are_named', () => {
  const report = {
    numPassedTests: 1,
    numFailedTests: 0,
    numRuntimeErrorTestSuites: 0,
    testResults: [
      {
        assertionResults: [
          { fullName: 'a b', status: 'passed' },
          { fullName: 'a c', status: 'pending' },
        ],
      },
    ],
  };
  expect(call<Result>('suites.mjs', 'readJest', JSON.stringify(report))).toEqual({
    passed: 1,
    failed: 0,
    skips: [{ name: 'a c', reason: 'marked pending' }],
  });
});

test.each([
  ['PI05_NVCC:FILEPATH=PI05_NVCC-NOTFOUND\n', 'no nvcc'],
  ['', 'no nvcc'],
  ['PI05_NVCC:FILEPATH=/opt/cuda/bin/nvcc\n', '/opt/cuda/bin/nvcc cannot build them, see .pi05/logs/native.log'],
])('a_native_build_without_cuda_(%j)_is_reported_with_its_reason', (cache, reason) => {
  expect(call<string>('suites.mjs', 'cudaOmission', cache)).toBe(
    `CUDA sources (native/backend/cuda, test/gpu) were NOT compiled: ${reason}`,
  );
});

test('the_summary_lists_what_was_not_done_and_then_the_totals', () => {
  const results: Record<string, Result> = {
    unit: { passed: 10, failed: 0, skips: [] },
    native: {
      passed: 5,
      failed: 1,
      skips: ['gpu_ops', 'gpu_golden'].map((name) => ({ name, reason: NO_GPU })),
      omissions: ['CUDA sources were NOT compiled: no nvcc'],
    },
  };
  expect(call<string[]>('summary.mjs', 'closingLines', results)).toEqual([
    'Not done on this machine:',
    '  native: CUDA sources were NOT compiled: no nvcc',
    `  native: skipped gpu_ops, gpu_golden: ${NO_GPU}`,
    '',
    '15 passed, 1 failed, 2 skipped',
  ]);
});

describe('a_suite_whose_failed_tests_were_run_again', () => {
  const first: Result = { passed: 8, failed: 2, skips: [] };
  const failed = ['test/ros/a.py::test_one', 'test/ros/b.py::TestB::test_two[x]'];
  const result = (second: Result, of = first) => call<Result>('suites.mjs', 'withSecondAttempt', of, failed, second);

  test('knows_them_from_the_report', () => {
    const text = `<testsuite errors="1" failures="1" skipped="0" tests="3">
      <testcase classname="test.ros.a" name="test_one" time="0.1"><failure message="x">text</failure></testcase>
      <testcase classname="test.ros.a" name="test_three" time="0.1" />
      <testcase classname="test.ros.b.TestB" name="test_two[x]" time="0.1"><error message="x">text</error></testcase>
    </testsuite>`;
    expect(call<string[]>('suites.mjs', 'failedTests', text)).toEqual(failed);
  });

  test('names_them_if_they_pass', () => {
    const merged = result({ passed: 2, failed: 0, skips: [] });
    expect(merged).toEqual({ passed: 10, failed: 0, skips: [], unstable: failed });
    expect(call<string>('summary.mjs', 'suiteLine', 'ros', merged, 1)).toBe(
      'ros: 10 ok, 2 of them only when run again, 0 failed, 0 skipped in 1.0 s',
    );
    expect(call<string[]>('summary.mjs', 'closingLines', { ros: merged })).toEqual([
      'Failed, and passed when run again alone:',
      ...failed.map((id) => `  ${id}`),
      '',
      '10 passed, 0 failed',
    ]);
  });

  test('has_failed_if_one_fails_again_is_skipped_or_was_not_run', () => {
    for (const second of [
      { passed: 1, failed: 1, skips: [] },
      { passed: 1, failed: 0, skips: [{ name: 'test_two', reason: 'x' }] },
      { passed: 0, failed: 1, skips: [], problem: 'ran no test' },
    ]) {
      expect(result(second)).toEqual(first);
    }
    expect(result({ passed: 2, failed: 0, skips: [] }, { ...first, failed: 3 })).toEqual({ ...first, failed: 3 });
  });
});

test('where_everything_was_done_the_summary_is_only_the_totals', () => {
  expect(call<string[]>('summary.mjs', 'closingLines', { unit: { passed: 3, failed: 0, skips: [] } })).toEqual([
    '3 passed, 0 failed',
  ]);
});

test('the_line_of_a_suite_has_its_time_and_cannot_be_mistaken_for_the_totals', () => {
  const result: Result = { passed: 3, failed: 1, skips: [], problem: 'exit status 1' };
  expect(call<string>('summary.mjs', 'suiteLine', 'sim', result, 12.34)).toBe(
    'sim: 3 ok, 1 failed, 0 skipped in 12.3 s (exit status 1)',
  );
});
