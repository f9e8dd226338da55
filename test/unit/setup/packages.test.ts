/** The files of the npm package and the node_modules of the ROS package. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import { expect, test } from '@jest/globals';

import { packageRoot } from '../root.js';

/** Evaluates an expression with a module of scripts/, which is plain Node, in a separate process. */
function evaluate(expression: string): unknown {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `console.log(JSON.stringify(${expression}))`],
    {
      cwd: packageRoot,
      encoding: 'utf8',
    },
  );
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

function packed(): string[] {
  const { stdout, status } = spawnSync('npm', ['pack', '--dry-run', '--json', '--offline'], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  const parsed = JSON.parse(stdout) as { files: { path: string }[] }[] | Record<string, { files: { path: string }[] }>;
  const [entry] = Object.values(parsed);
  return entry?.files.map(({ path }) => path) ?? [];
}

test('the_npm_package_contains_what_setup_needs_and_no_sources', () => {
  const files = packed();
  const needed = [
    'bin/pi05',
    'scripts/node.sh',
    'scripts/setup.mjs',
    'scripts/requirements/ros-jazzy.txt',
    'scripts/requirements/ros-kilted.txt',
    'native/package.json',
    'native/CMakeLists.txt',
    'native/addon/CMakeLists.txt',
    'native/include/pi05/pi05.h',
    'dist/cli/main.js',
    'configs/fastdds.xml',
    'configs/fastdds3.xml',
    'configs/gz_bridge.yaml',
    'launch/policy.launch.py',
    'launch/gazebo.launch.py',
    'sim/arm.xml',
    'sim/gazebo/world.sdf',
    'sim/gazebo/pi05_arm/model.config',
  ];
  expect(files).toEqual(expect.arrayContaining(needed));
  expect(files.filter((file) => /^(src|test|build|\.pi05|node_modules)\/|__pycache__|\.tgz$/.test(file))).toEqual([]);
});

test('the_npm_package_contains_every_shipped_checkpoint', () => {
  const directory = join(packageRoot, 'checkpoints');
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(packageRoot, join(parentPath, name)));
  expect(files).toContain('checkpoints/demo/model.safetensors');
  expect(packed()).toEqual(expect.arrayContaining(files));
});

test('the_ros_package_contains_the_runtime_dependencies_and_no_build_or_test_dependencies', () => {
  const modules = evaluate('(await import("./scripts/lib/modules.mjs")).runtimeModules()') as string[];
  const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  const buildOnly = ['cmake-js', 'node-addon-api', 'node-api-headers'];
  const wanted = [...Object.keys(manifest.dependencies).filter((name) => !buildOnly.includes(name)), 'rclnodejs'];
  expect(modules).toEqual(expect.arrayContaining(wanted.map((name) => `node_modules/${name}`)));
  const unwanted = [
    ...buildOnly,
    'node-gyp',
    ...Object.keys(manifest.devDependencies).filter((name) => !name.startsWith('@types/')),
  ];
  expect(modules.filter((path) => unwanted.includes(path.replace('node_modules/', '')))).toEqual([]);
  expect(modules.filter((path) => !existsSync(join(packageRoot, path)))).toEqual([]);
});
