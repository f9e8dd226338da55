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

/** Whether node_modules contains what package-lock.json lists. Packages for other platforms may be absent. */
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

/** The dependencies of this package that are not installed, as [name, version]. */
function missingDependencies() {
  const wanted = { ...manifest.dependencies, ...manifest.optionalDependencies };
  return Object.entries(wanted).filter(([name]) => !existsSync(join(dependency(name), 'package.json')));
}

const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];

/**
 * Installs dependencies that npm skipped. Where npm installed this package, it skips rclnodejs if its install script fails,
 * which it does without a ROS 2. They are installed in a separate directory and linked from node_modules.
 */
async function installMissing(log) {
  const wanted = missingDependencies().map(([name, version]) => `${name}@${version}`);
  if (wanted.length === 0) return;
  mkdirSync(local('node'), { recursive: true });
  writeFileSync(local('node', 'package.json'), '{ "private": true }\n');
  await run(log, 'npm', ['install', ...QUIET, '--no-package-lock', '--prefix', local('node'), ...wanted]);
  for (const [name] of missingDependencies()) {
    mkdirSync(dirname(inRoot('node_modules', name)), { recursive: true });
    symlinkSync(local('node', 'node_modules', name), inRoot('node_modules', name));
  }
}

/**
 * Installs what package-lock.json lists. `npm ci` starts from nothing and removes the compiled rclnodejs, so packages are first
 * added to those that are there.
 */
async function installLocked(log) {
  if (existsSync(inRoot('node_modules', '.package-lock.json')))
    await run(log, 'npm', ['install', '--no-save', ...QUIET]);
  if (!matchesLock()) await run(log, 'npm', ['ci', ...QUIET]);
}

/** Installs node_modules without running install scripts; rclnodejs is built in a separate step. */
export const modulesStep = {
  name: 'node_modules',
  title: 'Node packages',
  inputs: () => [readFileSync(inRoot(isInstalled ? 'package.json' : 'package-lock.json'), 'utf8'), process.arch],
  ready: isInstalled ? () => missingDependencies().length === 0 : matchesLock,
  megabytes: isInstalled ? 30 : 330,
  async execute(log) {
    if (isInstalled) await installMissing(log);
    else if (!matchesLock()) await installLocked(log);
    await run(log, process.execPath, ['-e', 'require("sharp")']);
  },
};

const rclnodejs = (...parts) => join(dependency('rclnodejs'), ...parts);
const builtAddon = () => rclnodejs('build', 'Release', 'rclnodejs.node');

/** node-gyp needs the headers of Node. It downloads them unless they are installed with Node. */
function headerOptions() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, 'include', 'node', 'common.gypi')) ? [`--nodedir=${prefix}`] : [];
}

/**
 * Builds rclnodejs in a temporary directory, because the makefiles of node-gyp do not support spaces in paths, and copies the
 * result into the package.
 */
async function buildRclnodejs(log, env) {
  const temporary = mkdtempSync(join(tmpdir(), 'pi05-rclnodejs-'));
  try {
    const home = realpathSync(rclnodejs());
    for (const name of ['rclnodejs', 'node-addon-api']) {
      cpSync(name === 'rclnodejs' ? home : dependency(name, home), join(temporary, 'node_modules', name), {
        recursive: true,
        filter: (path) => !/\/rclnodejs\/(prebuilds|build|generated|node_modules)$/.test(path),
      });
    }
    const ros = join(temporary, 'ros');
    if (!sourcedRos()) symlinkSync(venv, ros);
    const gyp = join(dependency('node-gyp', home), 'bin', 'node-gyp.js');
    await run(log, process.execPath, [gyp, 'rebuild', '-j', '2', ...headerOptions()], {
      cwd: join(temporary, 'node_modules', 'rclnodejs'),
      env: { ...env, PATH: `${join(ros, 'bin')}:${env.PATH}`, NODE_PATH: dirname(home) },
    });
    mkdirSync(rclnodejs('build', 'Release'), { recursive: true });
    // Renamed into place, so that a kill leaves the old file or the new one.
    cpSync(join(temporary, 'node_modules', 'rclnodejs', 'build', 'Release', 'rclnodejs.node'), `${builtAddon()}.new`);
    renameSync(`${builtAddon()}.new`, builtAddon());
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Whether rclnodejs contains a binary for this Ubuntu and the ROS 2 in use. */
function prebuiltFits() {
  const check = 'process.exit(require("./scripts/install.cjs").checkPrebuiltBinary() ? 0 : 1)';
  return output(process.execPath, ['-e', check], { cwd: rclnodejs(), env: rosEnvironment() }) !== undefined;
}

/** Builds rclnodejs for the ROS 2 in use and generates its message types. */
export const rclnodejsStep = {
  name: 'rclnodejs',
  title: 'rclnodejs for ROS 2',
  inputs() {
    return [manifest.optionalDependencies.rclnodejs, process.versions.modules, rosIdentity(sourcedRos())];
  },
  megabytes: 10,
  ready: () => existsSync(rclnodejs('generated', 'sensor_msgs')) && (existsSync(builtAddon()) || prebuiltFits()),
  async execute(log) {
    const env = rosEnvironment();
    if (!prebuiltFits()) await buildRclnodejs(log, env);
    await run(log, process.execPath, ['scripts/generate_messages.cjs'], { cwd: rclnodejs(), env });
    // The generator always exits with 0; importing a message shows whether it worked.
    const check = 'import r from "rclnodejs"; await r.init(); r.require("sensor_msgs/msg/Image"); r.shutdown();';
    await run(log, process.execPath, ['--input-type=module', '-e', check], { env });
    // bin/pi05 compares it with the ROS 2 that is sourced when it starts.
    writeFileSync(local('ros.distro'), `${env.ROS_DISTRO}\n`);
  },
};
