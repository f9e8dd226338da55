import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { checkpointDirectory } from '../../../src/config/checkpoint-directory.js';

let directory: string;
let working: string;
let root: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-checkpoint-'));
  [working, root] = [join(directory, 'working'), join(directory, 'package')];
  for (const path of ['working/checkpoints/mine', 'package/checkpoints/demo', 'package/docs']) {
    mkdirSync(join(directory, path), { recursive: true });
  }
});

afterEach(() => rmSync(directory, { recursive: true }));

describe('the checkpoint of a parameter file', () => {
  test.each<[string, string, () => string]>([
    ['is_in_the_working_directory_if_it_exists_there', 'checkpoints/mine', () => join(working, 'checkpoints/mine')],
    ['else_it_is_the_one_that_the_package_ships', 'checkpoints/demo', () => join(root, 'checkpoints/demo')],
    ['which_may_be_written_in_another_way', './checkpoints//demo/', () => join(root, 'checkpoints/demo/')],
    ['else_it_is_the_missing_one_in_the_working_directory', 'checkpoints/dmo', () => join(working, 'checkpoints/dmo')],
    ['is_no_other_directory_of_the_package', 'docs', () => join(working, 'docs')],
    ['is_not_outside_the_packages_checkpoints', 'checkpoints/../docs', () => join(working, 'docs')],
    ['stays_as_it_is_if_it_is_absolute', '/nowhere/checkpoints/demo', () => '/nowhere/checkpoints/demo'],
  ])('%s', (_, path, expected) => {
    expect(checkpointDirectory(path, working, root)).toBe(expected());
  });

  test('in_the_working_directory_comes_before_the_one_that_the_package_ships', () => {
    mkdirSync(join(working, 'checkpoints/demo'));
    expect(checkpointDirectory('checkpoints/demo', working, root)).toBe(join(working, 'checkpoints/demo'));
  });
});
