import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../root.js';
import { pi05, pi05In, sources } from './pi05.js';

jest.setTimeout(120_000);

test('lists_the_commands_for_an_unknown_one', async () => {
  const { code, stdout, stderr } = await pi05('fly');
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(
    /^USAGE: Expected one of the commands infer, .*make-checkpoint, bench, setup, received fly \(see pi05 --help\)\n$/,
  );
});

test.each([[[]], [['--verbose']], [['constructor']]])('refuses_%j', async (argv) => {
  const { code, stderr } = await pi05(...argv);
  expect(code).toBe(2);
  expect(stderr).toMatch(/^USAGE: /);
});

test('prints_the_package_version', async () => {
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string };
  expect(await pi05('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each(['', 'infer', 'make-checkpoint', 'bench'])('has_help_for_%s', async (command) => {
  const { code, stdout, stderr } = await pi05(...[command, '--help'].filter(Boolean));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`^Usage: pi05 ${command === '' ? '<command>' : command} `));
});

test.each(['node', 'demo', 'infer', 'make-checkpoint', 'bench'])(
  'help_for_%s_names_only_files_that_are_there',
  async (command) => {
    const { stdout } = await pi05(command, '--help');
    const named = stdout.match(/\b(docs|configs|sim|test)\/[\w./-]*/g) ?? [];
    expect(named.filter((file) => !existsSync(join(packageRoot, file.replace(/\.$/, ''))))).toEqual([]);
  },
);

describe('an engine that is not built', () => {
  const [temporaryDirectory, argv] = [mkdtempSync(join(tmpdir(), 'pi05-unbuilt-')), ['bench']];
  afterAll(() => rmSync(temporaryDirectory, { recursive: true }));
  const remedy = 'run `colcon build`, which builds it'; // neither sources nor scripts: a ROS package
  const addon = join(temporaryDirectory, 'build', 'native', 'Release', 'pi05.node');
  beforeAll(() => {
    cpSync(sources, join(temporaryDirectory, 'dist'), { recursive: true });
    writeFileSync(join(temporaryDirectory, 'package.json'), '{ "type": "module" }');
  });

  test('is_one_sentence_with_the_remedy', async () => {
    const { code, stderr } = await pi05In(join(temporaryDirectory, 'dist'), argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ENVIRONMENT: .*\n$/);
    expect(stderr).toContain(`Expected the native engine at ${addon}, received none: ${remedy}`);
  });

  test('reports_why_a_file_does_not_load', async () => {
    mkdirSync(join(temporaryDirectory, 'build', 'native', 'Release'), { recursive: true });
    writeFileSync(addon, 'not a library');
    const { code, stderr } = await pi05In(join(temporaryDirectory, 'dist'), argv);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^ENVIRONMENT: .*received one that does not load \(.*\): run `colcon build`.*\n$/);
  });
});
