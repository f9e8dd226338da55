import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { inRoot, venv } from './paths.mjs';
import { rosEnvironment, sourcedRos } from './ros.mjs';
import { output, run } from './run.mjs';

const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Whether node_modules holds exactly what package-lock.json names (packages for other platforms may be absent). */
function matchesLock() {
  const installed = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(installed)) return false;
  const present = json(installed).packages;
  return Object.entries(json(inRoot('package-lock.json')).packages).every(([path, wanted]) => {
    if (path === '' || wanted.link) return true;
    return present[path] ? present[path].version === wanted.version : wanted.optional === true;
  });
}

/** node_modules, without running any package's install script: what must be built is a step of its own. */
export const modulesStep = {
  name: 'node_modules',
  title: 'Node packages',
  inputs: () => [readFileSync(inRoot('package-lock.json'), 'utf8'), process.arch],
  ready: matchesLock,
  async work(log) {
    if (!matchesLock())
      await run(log, 'npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']);
    await run(log, process.execPath, ['-e', 'require("sharp")']);
  },
};

const rclnodejs = (...parts) => inRoot('node_modules', 'rclnodejs', ...parts);

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
    for (const name of ['rclnodejs', 'node-addon-api']) {
      cpSync(inRoot('node_modules', name), join(scratch, 'node_modules', name), {
        recursive: true,
        filter: (path) => !/\/rclnodejs\/(prebuilds|build|generated)$/.test(path),
      });
    }
    const ros = join(scratch, 'ros');
    if (!sourcedRos()) symlinkSync(venv, ros);
    const gyp = inRoot('node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    await run(log, process.execPath, [gyp, 'rebuild', '-j', '2', ...headerOptions()], {
      cwd: join(scratch, 'node_modules', 'rclnodejs'),
      env: { ...env, PATH: `${join(ros, 'bin')}:${env.PATH}`, NODE_PATH: inRoot('node_modules') },
    });
    mkdirSync(rclnodejs('build', 'Release'), { recursive: true });
    const built = ['build', 'Release', 'rclnodejs.node'];
    cpSync(join(scratch, 'node_modules', 'rclnodejs', ...built), rclnodejs(...built));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** rclnodejs against the ROS 2 in use, and its message types. */
export const rclnodejsStep = {
  name: 'rclnodejs',
  title: 'rclnodejs against ROS 2',
  inputs() {
    const ros = sourcedRos();
    const version = json(inRoot('package-lock.json')).packages['node_modules/rclnodejs'].version;
    return [version, process.versions.modules, ros ? `${ros.distro} ${ros.prefixes}` : 'wheels'];
  },
  ready: () => existsSync(rclnodejs('generated', 'sensor_msgs')),
  async work(log) {
    const env = rosEnvironment();
    const here = { cwd: rclnodejs(), env };
    const prebuilt = 'process.exit(require("./scripts/install.cjs").checkPrebuiltBinary() ? 0 : 1)';
    if (output(process.execPath, ['-e', prebuilt], here) === undefined) await build(log, env);
    await run(log, process.execPath, ['scripts/generate_messages.cjs'], here);
    // The generator exits with 0 whatever happened; importing a message shows whether it worked.
    const check = 'import r from "rclnodejs"; await r.init(); r.require("sensor_msgs/msg/Image"); r.shutdown();';
    await run(log, process.execPath, ['--input-type=module', '-e', check], { env });
  },
};
