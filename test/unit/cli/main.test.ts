import { expect, jest, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../root.js';
import { pi05 } from './pi05.js';

jest.setTimeout(60_000);

test('lists_the_verbs_for_an_unknown_one', async () => {
  const { code, stdout, stderr } = await pi05('fly');
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(
    /^USAGE: Expected a verb of infer, .*make-checkpoint, bench, received fly \(see pi05 --help\)\n$/,
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

test.each(['', 'infer', 'make-checkpoint', 'bench'])('has_help_for_%s', async (verb) => {
  const { code, stdout, stderr } = await pi05(...[verb, '--help'].filter(Boolean));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(new RegExp(`^Usage: pi05 ${verb === '' ? '<verb>' : verb} `));
});
