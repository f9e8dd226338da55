import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { packageRoot } from '../root.js';

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');
const { version } = JSON.parse(read('package.json')) as { version: string };

test('every_file_that_states_the_version_states_the_same_one', () => {
  const lock = JSON.parse(read('package-lock.json')) as {
    version: string;
    packages: Record<string, { version: string }>;
  };
  expect([lock.version, lock.packages['']?.version]).toEqual([version, version]);
  expect(/<version>(.*)<\/version>/.exec(read('package.xml'))?.[1]).toBe(version);
  expect(/^## (\S+)/m.exec(read('CHANGELOG.md'))?.[1]).toBe(version);
  for (const [, tarball] of read('README.md').matchAll(/pi05-ros-(\d\S*?)\.tgz/g)) expect(tarball).toBe(version);
});
