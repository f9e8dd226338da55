import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot, setupCommand } from '../../../src/package-root.js';

test('the_package_root_is_the_directory_of_this_packages_manifest', () => {
  const { name } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { name: string };
  expect(name).toBe('pi05-ros');
});

test('a_checkout_is_set_up_by_npm', () => {
  expect(setupCommand).toBe('npm run setup');
});
