/**
 * The errors of setup on a machine that lacks something: one sentence with the remedy, before any step runs. The tests run a
 * copy of the scripts with a PATH that contains only the given commands.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { packageRoot } from '../root.js';

const scratch = mkdtempSync(join(tmpdir(), "pi05 setup'errors-"));
const checkout = join(scratch, 'checkout');
const bin = join(scratch, 'bin');
afterAll(() => rmSync(scratch, { recursive: true }));

beforeAll(() => {
  mkdirSync(join(checkout, 'src'), { recursive: true });
  for (const name of ['bin', 'scripts', 'package.json', 'package-lock.json']) {
    cpSync(join(packageRoot, name), join(checkout, name), { recursive: true });
  }
});

/** Creates a command that runs `script`. */
function command(name: string, script = 'exit 0'): void {
  rmSync(join(bin, name), { force: true });
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

/** Creates a Python of a version, which prints the properties that setup queries. */
function python(name: string, version: string, { venv = true, rclpy = false } = {}): void {
  const [, minor] = version.split('.');
  command(name, `echo '${JSON.stringify({ path: `/usr/bin/${name}`, minor: Number(minor), version, venv, rclpy })}'`);
}

beforeEach(() => {
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin);
  for (const name of ['sh', 'dirname', 'readlink']) {
    symlinkSync(spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim(), join(bin, name));
  }
  symlinkSync(process.execPath, join(bin, 'node'));
  for (const name of ['npm', 'cmake', 'make', 'g++', 'flock']) command(name);
  python('python3', '3.12.3');
});

function runSetup(env: NodeJS.ProcessEnv = {}, ...argv: string[]) {
  const { status, stderr } = spawnSync(join(checkout, 'bin', 'pi05'), ['setup', ...argv], {
    encoding: 'utf8',
    env: { PATH: bin, ...env },
  });
  return { status, stderr };
}

/** The result of a setup that ends with this sentence on stderr. */
const fails = (sentence: RegExp | string) => ({
  status: 2,
  stderr: typeof sentence === 'string' ? `${sentence}\n` : expect.stringMatching(sentence),
});

test('all_missing_commands_are_named_with_one_remedy', () => {
  for (const name of ['cmake', 'g++', 'flock']) rmSync(join(bin, name));
  expect(runSetup()).toEqual(fails('Not found: cmake, g++, flock. Remedy: apt-get install cmake g++ util-linux'));
});

test('an_old_node_is_rejected_before_it_reads_a_script', () => {
  command('node', '[ "$1" = --version ] && echo v12.22.9 || exit 99');
  expect(runSetup()).toEqual(
    fails(/^ENVIRONMENT: Expected Node\.js 20\.20 or later, found 12\.22\.9 \(.*\): install .*\n$/),
  );
});

test.each(['v20.19.5', 'v18.20.4'])('node_%s_is_too_old', (version) => {
  command('node', `[ "$1" = --version ] && echo ${version} || exit 99`);
  expect(runSetup().status).toBe(2);
});

test.each(['v20.20.0', 'v22.1.0', 'v24.11.1'])('node_%s_is_new_enough', (version) => {
  command('node', `[ "$1" = --version ] && echo ${version} || exit 99`);
  expect(runSetup().status).toBe(99);
});

test('a_missing_node_is_reported_in_one_sentence', () => {
  rmSync(join(bin, 'node'));
  expect(runSetup()).toEqual(
    fails(/^ENVIRONMENT: Expected Node\.js 20\.20 or later on PATH, found none: install .*\n$/),
  );
});

test.each(['3.9.18', '3.14.0'])('an_unsupported_python_%s_is_named_with_what_to_install', (version) => {
  python('python3', version);
  expect(runSetup()).toEqual(
    fails(
      `Expected Python 3.10 to 3.13, found ${version} (/usr/bin/python3): install a supported one in addition, on every system with uv (docs.astral.sh/uv): uv python install 3.13, or use a container (docker build -t pi05-ros . in a checkout).`,
    ),
  );
});

test('a_python_without_venv_is_reported_with_the_package_to_install', () => {
  python('python3', '3.12.3', { venv: false });
  expect(runSetup()).toEqual(
    fails('Python 3.12.3 (/usr/bin/python3) cannot make virtual environments: apt-get install python3.12-venv.'),
  );
});

test('a_missing_python_is_reported_in_one_sentence', () => {
  rmSync(join(bin, 'python3'));
  expect(runSetup()).toEqual(
    fails('Expected Python 3.10 to 3.13, found no python3: apt-get install python3 python3-venv.'),
  );
});

describe('an_older_ros_is_named_with_what_works_on_that_system', () => {
  const HUMBLE = { AMENT_PREFIX_PATH: '/opt/ros/humble', ROS_DISTRO: 'humble' };
  const container = 'use a container (docker build -t pi05-ros . in a checkout)';
  const own = 'start from a shell without a sourced ROS 2 to use the one that setup installs';
  const found = 'Expected ROS 2 Jazzy or later, found humble sourced:';

  test('x86_64', () => expect(runSetup(HUMBLE)).toEqual(fails(`${found} ${own}, or ${container}.`)));

  test('x86_64_without_a_python_of_the_wheels', () => {
    python('python3', '3.14.0');
    expect(runSetup(HUMBLE)).toEqual(fails(`${found} ${container}.`));
  });

  test('arm64', () => expect(runSetup({ ...HUMBLE, ...arm64() })).toEqual(fails(`${found} ${container}.`)));
});

/** The environment in which Node.js believes that it runs on arm64. */
function arm64(): NodeJS.ProcessEnv {
  const script = join(scratch, 'arm64.mjs');
  writeFileSync(script, "Object.defineProperty(process, 'arch', { value: 'arm64' });\n");
  return { NODE_OPTIONS: `--import="${pathToFileURL(script).href}"` };
}

test('arm64_without_a_ros_is_told_to_use_a_container_or_an_installed_one', () => {
  expect(runSetup(arm64())).toEqual(
    fails(
      'Expected Linux on x86-64, for which setup can install ROS 2, found linux on arm64: use a container (docker build -t pi05-ros . ' +
        'in a checkout), or source a ROS 2 Jazzy or later (Ubuntu 24.04 has it in apt).',
    ),
  );
});

test('a_ros_without_wheels_is_named_with_those_that_have_them', () => {
  expect(runSetup({ PI05_ROS_DISTRO: 'lyrical' })).toEqual(
    fails('Expected jazzy or kilted as PI05_ROS_DISTRO, received lyrical.'),
  );
});

test('the_ros_that_setup_installed_stays_until_another_is_asked_for', () => {
  const script = `const { wheelsDistro } = await import('./scripts/lib/ros.mjs');
    process.stdout.write(wheelsDistro());`;
  const distro = (env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: checkout, encoding: 'utf8', env }).stdout;
  expect(distro()).toBe('jazzy');
  expect(distro({ PI05_ROS_DISTRO: 'kilted' })).toBe('kilted');
  mkdirSync(join(checkout, '.pi05'), { recursive: true });
  writeFileSync(join(checkout, '.pi05', 'ros.env'), "export AMENT_PREFIX_PATH='/x'\nexport ROS_DISTRO='kilted'\n");
  expect(distro()).toBe('kilted');
  expect(distro({ PI05_ROS_DISTRO: 'jazzy' })).toBe('jazzy');
  rmSync(join(checkout, '.pi05', 'ros.env'));
});

test('a_ros_that_does_not_exist_is_named', () => {
  expect(runSetup({ AMENT_PREFIX_PATH: '/opt/ros/jazzy-gone', ROS_DISTRO: 'jazzy' })).toEqual(
    fails(
      /^Expected ROS 2 jazzy in AMENT_PREFIX_PATH, found no package of it in \/opt\/ros\/jazzy-gone: source .*\.\n$/,
    ),
  );
});

test('a_package_missing_in_ros_is_named_with_what_to_install', () => {
  const prefix = join(scratch, 'ros');
  const parts = ['rcl', 'rcl_action', 'rcl_lifecycle', 'rclpy', 'lifecycle_msgs', 'rosgraph_msgs', 'sensor_msgs'];
  for (const name of [...parts, 'std_msgs', 'std_srvs', 'trajectory_msgs']) {
    mkdirSync(join(prefix, 'share', name), { recursive: true });
  }
  expect(runSetup({ AMENT_PREFIX_PATH: prefix, ROS_DISTRO: 'jazzy' })).toEqual(
    fails(
      /^Expected ROS 2 jazzy with diagnostic_msgs, found none in .*: apt-get install ros-jazzy-diagnostic-msgs, or .*\.\n$/,
    ),
  );
});

test('a_wrong_argument_is_reported_with_the_help_command', () => {
  expect(runSetup({}, '--renderin')).toEqual(fails(/^Unknown option '--renderin'.*see pi05 setup --help\.\n$/));
});

test('a_node_for_another_ros_than_the_sourced_one_does_not_start', () => {
  mkdirSync(join(checkout, '.pi05'), { recursive: true });
  mkdirSync(join(checkout, 'dist', 'cli'), { recursive: true });
  writeFileSync(join(checkout, 'dist', 'cli', 'main.js'), 'process.exit(7);\n');
  writeFileSync(join(checkout, '.pi05', 'ros.distro'), 'jazzy\n');
  const start = (distro: string) =>
    spawnSync(join(checkout, 'bin', 'pi05'), ['node'], {
      encoding: 'utf8',
      env: { PATH: bin, AMENT_PREFIX_PATH: `/opt/ros/${distro}`, ROS_DISTRO: distro },
    });
  expect(start('jazzy').status).toBe(7);
  const { status, stderr } = start('kilted');
  expect(status).toBe(2);
  expect(stderr).toMatch(
    /^ENVIRONMENT: Expected ROS 2 jazzy, for which this package was set up, found kilted sourced: run .*\n$/,
  );
});

test('a_home_directory_that_cannot_be_written_is_replaced_by_one_in_the_checkout', () => {
  command('node', '[ "$1" = --version ] && echo v20.20.2 || echo "$HOME" >&2');
  symlinkSync(spawnSync('sh', ['-c', 'command -v mkdir'], { encoding: 'utf8' }).stdout.trim(), join(bin, 'mkdir'));
  const unwritable = join(checkout, 'package.json', 'home'); // below a file
  expect(runSetup({ HOME: unwritable }).stderr).toBe(`${join(checkout, '.pi05', 'home')}\n`);
  expect(runSetup({ HOME: scratch }).stderr).toBe(`${scratch}\n`);
});

test.each([
  ['Unix Makefiles', false],
  ['Ninja', true],
])('whether_the_files_of_a_killed_build_with_%s_are_kept: %s', (generator, kept) => {
  const build = join(checkout, 'build', 'native');
  mkdirSync(build, { recursive: true });
  const cache = [`CMAKE_HOME_DIRECTORY:INTERNAL=${join(checkout, 'native')}`, `CMAKE_GENERATOR:INTERNAL=${generator}`];
  writeFileSync(join(build, 'CMakeCache.txt'), `${cache.join('\n')}\n`);
  for (const name of ['build-in-progress', 'half.o']) writeFileSync(join(build, name), '');
  // There is no cmake-js here, so the step fails after it has checked the build directory.
  const script = `const { nativeStep } = await import('./scripts/lib/native.mjs');
    const { Log } = await import('./scripts/lib/run.mjs');
    await nativeStep.execute(new Log('native')).catch((error) => process.stdout.write(error.name));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: checkout,
    encoding: 'utf8',
  });
  expect(stdout).toBe('Error');
  expect(existsSync(join(build, 'half.o'))).toBe(kept);
  expect(existsSync(join(build, 'build-in-progress'))).toBe(false);
});
