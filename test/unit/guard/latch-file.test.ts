import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LatchFile } from '../../../src/guard/latch-file.js';

let directory: string;
let file: LatchFile;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pi05-latch-'));
  file = new LatchFile(join(directory, '0.policy_node.sock'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const STOP = { code: 'EMERGENCY_STOP', message: 'a "quoted" sentence\nof two lines' };

describe('LatchFile', () => {
  test('keeps_the_newest_latch_until_it_is_removed_and_nothing_else_in_the_directory', () => {
    expect(file.read()).toBeUndefined();
    file.write({ code: 'POLICY_LOST', message: 'm' });
    file.write(STOP);
    expect(new LatchFile(join(directory, '0.policy_node.sock')).read()).toEqual(STOP);
    expect(readdirSync(directory)).toEqual(['0.policy_node.latch']);
    file.remove();
    expect([file.read(), existsSync(file.path)]).toEqual([undefined, false]);
    file.remove();
  });

  test.each(['', 'null', '{"code":1,"message":"m"}', '{"code":"A"', '[]', '\0'.repeat(100), ' '.repeat(70_000)])(
    'is_a_latch_where_its_contents_are_not_one: %#',
    (contents) => {
      writeFileSync(file.path, contents);
      expect(file.read()).toMatchObject({ code: 'LATCH_FILE', message: expect.stringContaining(file.path) });
    },
  );

  test('is_a_latch_where_it_is_not_a_file', () => {
    mkdirSync(file.path);
    expect(file.read()?.code).toBe('LATCH_FILE');
    rmSync(file.path, { recursive: true });
    execFileSync('mkfifo', [file.path]);
    expect(file.read()?.code).toBe('LATCH_FILE');
    rmSync(file.path);
    symlinkSync('/nowhere', file.path);
    expect(file.read()?.code).toBe('LATCH_FILE');
  });

  test('that_cannot_be_written_is_an_error', () => {
    rmSync(directory, { recursive: true });
    expect(() => file.write(STOP)).toThrow('ENOENT');
    mkdirSync(directory);
  });
});
