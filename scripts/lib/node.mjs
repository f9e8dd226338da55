import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { dependency, inRoot, isInstalled, local, venv } from './paths.mjs';
import { rosEnvironment, rosIdentity, sourcedRos } from './ros.mjs';
import { output, run } from './run.mjs';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
const manifest = json(inRoot('package.json'));

/** Whether node_modules holds exactly what package-lock.json names (packages for other platforms may be absent). */
function matchesLock() {
  const installed = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const present = json(installed).packages;
  return Object.entries(json(inRoot('package-lock.json')).packages).every(([path, wanted]) => {
    if (path === '' || wanted.link) return true;
    if (!present[path]) return wanted.optional === true && path !== 'node_modules/rclnodejs';
    return present[path].version === wanted.version && existsSync(inRoot(path, 'package.json'));
  });
}

/** Of this package's dependencies, those that are not there. */
function missing() {
  const wanted = { ...manifest.dependencies, ...manifest.optionalDependencies };
  return Object.entries(wanted).filter(([name]) => !existsSync(join(dependency(name), 'package.json')));
}

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];

/**
 * Where npm installed this package, npm may have left rclnodejs out, because its own install script fails without a
 * ROS 2: it is fetched into a folder of its own and linked to from here.
 */
async function fetchMissing(log) {
  const wanted = missing().map(([name, version]) => `${name}@${version}`);
  if (wanted.length === 0) return;
  mkdirSync(local('node'), { recursive: true });
  writeFileSync(local('node', 'package.json'), '{ "private": true }\n');
  await run(log, 'npm', ['install', ...QUIET, '--no-package-lock', '--prefix', local('node'), ...wanted]);
  for (const [name] of missing()) {
    mkdirSync(dirname(inRoot('node_modules', name)), { recursive: true });
    symlinkSync(local('node', 'node_modules', name), inRoot('node_modules', name));
  }
}

/** node_modules, without running any package's install script: what must be built is a step of its own. */
export const modulesStep = {
  name: 'node_modules',
  title: 'Node packages',
  inputs: () => [readFileSync(inRoot(isInstalled ? 'package.json' : 'package-lock.json'), 'utf8'), process.arch],
  ready: isInstalled ? () => missing().length === 0 : matchesLock,
  megabytes: isInstalled ? 30 : 330,
  async work(log) {
    if (isInstalled) await fetchMissing(log);
    else if (!matchesLock()) await run(log, 'npm', ['ci', ...QUIET]);
    await run(log, process.execPath, ['-e', 'require("sharp")']);
  },
};

const rclnodejs = (...parts) => join(dependency('rclnodejs'), ...parts);
const built = () => rclnodejs('build', 'Release', 'rclnodejs.node');

/** node-gyp needs Node's own headers: those installed with Node if there are any, so that nothing is downloaded. */
function headerOptions() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'common.gypi')) ? [`--nodedir=${prefix}`] : [];
}

/**
 * Builds rclnodejs in a scratch folder, because node-gyp's makefiles break at a path with a space, and puts the result
 * in its place.
 */
async function build(log, env) {
  const scratch = mkdtempSync(join(tmpdir(), 'pi05-rclnodejs-'));
  try {
    const home = realpathSync(rclnodejs());
    for (const name of ['rclnodejs', 'node-addon-api']) {
      cpSync(name === 'rclnodejs' ? home : dependency(name, home), join(scratch, 'node_modules', name), {
        recursive: true,
        filter: (path) => !/\/rclnodejs\/(prebuilds|build|generated|node_modules)$/.test(path),
      });
    }
    const ros = join(scratch, 'ros');
    if (!sourcedRos()) symlinkSync(venv, ros);
    const gyp = join(dependency('node-gyp', home), 'bin', 'node-gyp.js');
    await run(log, process.execPath, [gyp, 'rebuild', '-j', '2', ...headerOptions()], {
      cwd: join(scratch, 'node_modules', 'rclnodejs'),
      env: { ...env, PATH: `${join(ros, 'bin')}:${env.PATH}`, NODE_PATH: dirname(home) },
    });
    mkdirSync(rclnodejs('build', 'Release'), { recursive: true });
    // Whole or not at all: a kill in between leaves the old one.
    cpSync(join(scratch, 'node_modules', 'rclnodejs', 'build', 'Release', 'rclnodejs.node'), `${built()}.new`);
    renameSync(`${built()}.new`, built());
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Whether rclnodejs brings a binary for this Ubuntu and the ROS 2 in use. */
function prebuiltFits() {
  const check = 'process.exit(require("./scripts/install.cjs").checkPrebuiltBinary() ? 0 : 1)';
  return output(process.execPath, ['-e', check], { cwd: rclnodejs(), env: rosEnvironment() }) !== undefined;
}

/** rclnodejs against the ROS 2 in use, and its message types. */
export const rclnodejsStep = {
  name: 'rclnodejs',
  title: 'rclnodejs against ROS 2',
  inputs() {
    return [manifest.optionalDependencies.rclnodejs, process.versions.modules, rosIdentity(sourcedRos())];
  },
  megabytes: 10,
  ready: () => existsSync(rclnodejs('generated', 'sensor_msgs')) && (existsSync(built()) || prebuiltFits()),
  async work(log) {
    const env = rosEnvironment();
    if (!prebuiltFits()) await build(log, env);
    await run(log, process.execPath, ['scripts/generate_messages.cjs'], { cwd: rclnodejs(), env });
    // The generator exits with 0 whatever happened; importing a message shows whether it worked.
    const check = 'import r from "rclnodejs"; await r.init(); r.require("sensor_msgs/msg/Image"); r.shutdown();';
    await run(log, process.execPath, ['--input-type=module', '-e', check], { env });
    // bin/pi05 looks there whether the ROS 2 that is sourced when it starts is the one that this was built for.
    writeFileSync(local('ros.distro'), `${env.ROS_DISTRO}\n`);
  },
};
