/** What `colcon build` does before and after it builds: CMakeLists.txt and the output of setup. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { packageRoot } from '../root.js';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-colcon-'));
  mkdirSync(join(directory, 'install', 'share', 'pi05_ros'), { recursive: true });
  mkdirSync(join(directory, 'build'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('after_a_symlink_install', () => {
  /** What CMake prints on stderr. It ends there, or because it finds no ament_cmake. */
  function configure(...args: readonly string[]): string {
    const paths = ['-S', packageRoot, '-B', join(directory, 'build')];
    const prefix = `-DCMAKE_INSTALL_PREFIX=${join(directory, 'install')}`;
    const env = { PATH: process.env['PATH'] };
    const { stderr } = spawnSync('cmake', [...paths, prefix, ...args], { encoding: 'utf8', env });
    return stderr.replace(/\s+/g, ' ');
  }
  const colconArguments = (text: string): void => writeFileSync(join(directory, 'build', 'cmake_args.last'), text);
  const link = (): void =>
    symlinkSync(join(packageRoot, 'package.json'), join(directory, 'install', 'share', 'pi05_ros', 'package.json'));
  const sentence = 'Expected no files of an earlier colcon build --symlink-install';

  test('a_build_without_symlinks_says_what_to_delete', () => {
    link();
    colconArguments('None');
    const error = configure();
    expect(error).toContain(sentence);
    for (const part of ['build', 'install/share/pi05_ros', 'install/lib/pi05_ros']) {
      expect(error.replaceAll(' ', '')).toContain(join(directory, part));
    }
  });

  test('it_is_noticed_where_only_the_build_directory_remembers_it', () => {
    colconArguments('None');
    expect(configure('-DAMENT_CMAKE_SYMLINK_INSTALL=1')).toContain(sentence);
  });

  test('another_symlink_install_is_allowed', () => {
    link();
    colconArguments("['-DAMENT_CMAKE_SYMLINK_INSTALL=1']");
    expect(configure('-DAMENT_CMAKE_SYMLINK_INSTALL=1')).not.toContain(sentence);
  });

  test('a_first_build_is_allowed', () => {
    colconArguments('None');
    expect(configure()).not.toContain(sentence);
  });
});

test('progress_goes_to_stdout_where_stderr_is_reported_as_a_warning', () => {
  const script =
    'import { printProgress, printProgressOnStdout } from "./scripts/lib/steps.mjs"; printProgress("a"); printProgressOnStdout(); printProgress("b");';
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: packageRoot,
    encoding: 'utf8',
  });
  expect([stdout, stderr]).toEqual(['b\n', 'a\n']);
});
