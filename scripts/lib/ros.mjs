import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { local, venv } from './paths.mjs';
import { Problem } from './problem.mjs';

/** The ROS 2 whose environment this process was started in, or undefined: then set-up brings its own. */
export function sourcedRos(env = process.env) {
  const { AMENT_PREFIX_PATH: prefixes, ROS_DISTRO: distro } = env;
  if (!prefixes || !distro || prefixes === venv) return undefined;
  return { prefixes, distro };
}

/** What is built against and what the node's messages are, each a package of a ROS 2. */
const PACKAGES = [
  ...['rcl', 'rcl_action', 'rcl_lifecycle', 'rclpy'],
  ...['diagnostic_msgs', 'lifecycle_msgs', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'trajectory_msgs'],
];

const prefixOf = (ros, name) => ros.prefixes.split(':').find((prefix) => existsSync(join(prefix, 'share', name)));

/** Which ROS 2 it is, the same whatever workspaces are sourced on top of it. */
export const rosIdentity = (ros) => (ros ? `${ros.distro} ${prefixOf(ros, 'rcl')}` : 'wheels');

const OR_NONE = 'or start from a shell that sources none to use the ROS 2 that set-up brings';

/** Refuses a sourced ROS that is older than Jazzy (distribution names go up the alphabet) or not whole. */
export function checkSourcedRos(ros) {
  if (ros.distro !== 'rolling' && ros.distro < 'jazzy') {
    throw new Problem(`Expected ROS 2 Jazzy or later, found ${ros.distro} sourced: source a later one, ${OR_NONE}.`, 2);
  }
  const absent = PACKAGES.filter((name) => prefixOf(ros, name) === undefined);
  if (absent.length === PACKAGES.length) {
    throw new Problem(
      `Expected ROS 2 ${ros.distro} in AMENT_PREFIX_PATH, found no package of it in ${ros.prefixes}: source its setup file, ${OR_NONE}.`,
      2,
    );
  }
  if (absent.length > 0) {
    const remedy = absent.map((name) => `ros-${ros.distro}-${name.replaceAll('_', '-')}`).join(' ');
    throw new Problem(
      `Expected ROS 2 ${ros.distro} with ${absent.join(', ')}, found none in ${ros.prefixes}: apt-get install ${remedy}, ${OR_NONE}.`,
      2,
    );
  }
}

function sitePackages() {
  const lib = join(venv, 'lib');
  const python = readdirSync(lib).find((name) => /^python3\.\d+$/.test(name));
  return join(lib, python, 'site-packages');
}

/** What a shell would export had it sourced the ROS 2 in .pi05/venv; [] before that exists. */
export function wheelsEnvironment() {
  if (!existsSync(join(venv, 'lib'))) return [];
  const packages = sitePackages();
  const libraries = readdirSync(packages).filter((name) => name.endsWith('.libs'));
  const path = [join(venv, 'lib'), ...libraries.map((name) => join(packages, name))].join(':');
  return [
    { name: 'AMENT_PREFIX_PATH', value: venv },
    { name: 'ROS_DISTRO', value: 'jazzy' },
    { name: 'ROS_VERSION', value: '2' },
    { name: 'ROS_PYTHON_VERSION', value: '3' },
    { name: 'LD_LIBRARY_PATH', value: path, prepend: true },
    { name: 'PATH', value: join(venv, 'bin'), prepend: true },
  ];
}

/** This process's environment with a ROS 2 in it: the sourced one, or the one in .pi05/venv. */
export function rosEnvironment(env = process.env) {
  if (sourcedRos(env)) return { ...env };
  const result = { ...env };
  for (const { name, value, prepend } of wheelsEnvironment()) {
    result[name] = prepend && env[name] ? `${value}:${env[name]}` : value;
  }
  return result;
}

/** The same as a file of shell exports. */
export const rosEnvFile = local('ros.env');
export function rosEnvText() {
  const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  return wheelsEnvironment()
    .map(({ name, value, prepend }) => `export ${name}=${quote(value)}${prepend ? `"\${${name}:+:$${name}}"` : ''}\n`)
    .join('');
}
