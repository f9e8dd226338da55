import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { guardSocketPath } from '../../../src/guard/socket.js';

let runtime: string;
beforeEach(() => {
  runtime = mkdtempSync(join(tmpdir(), 'pi05-socket-'));
});
afterEach(() => rmSync(runtime, { recursive: true }));

function pathFor(node: string, environment: NodeJS.ProcessEnv = {}): string {
  return guardSocketPath(node, { XDG_RUNTIME_DIR: runtime, ...environment });
}

describe('guardSocketPath', () => {
  test('is_in_a_directory_that_only_the_user_may_enter', () => {
    const directory = dirname(pathFor('/policy_node'));
    expect(dirname(directory)).toBe(runtime);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  test('differs_by_name_namespace_and_domain', () => {
    const paths = [
      pathFor('/policy_node'),
      pathFor('/left/policy_node'),
      pathFor('/left_policy_node'),
      pathFor('/policy_node', { ROS_DOMAIN_ID: '1' }),
      pathFor('/1/policy_node'),
    ];
    expect(new Set(paths).size).toBe(paths.length);
    expect(pathFor('/policy_node', { ROS_DOMAIN_ID: '0' })).toBe(paths[0]);
  });

  test('of_a_long_name_can_be_listened_on_and_differs_by_the_last_character', async () => {
    const name = `/${'n'.repeat(255)}/${'m'.repeat(255)}`;
    const path = pathFor(name);
    expect(path).not.toBe(pathFor(`${name}x`));
    await expect(listen(path)).resolves.toBe(true);
  });

  test('is_elsewhere_if_the_runtime_directory_does_not_exist_or_is_too_long', async () => {
    const long = join(runtime, 'd'.repeat(90));
    mkdirSync(long);
    for (const XDG_RUNTIME_DIR of [join(runtime, 'missing'), 'relative', '', long]) {
      const path = pathFor('/policy_node', { XDG_RUNTIME_DIR });
      expect(dirname(dirname(path))).toBe(tmpdir());
      await expect(listen(`${path}${process.pid}`)).resolves.toBe(true);
    }
  });

  test('refuses_a_directory_that_others_may_enter_and_a_link', () => {
    const directory = dirname(pathFor('/policy_node'));
    chmodSync(directory, 0o750);
    expect(() => pathFor('/policy_node')).toThrow(/mode 700, received mode 750/);
    rmSync(directory, { recursive: true });
    symlinkSync(tmpdir(), directory);
    expect(() => pathFor('/policy_node')).toThrow(/Expected .* as a directory of user/);
  });
});

function listen(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(path, () => server.close(() => resolve(true)));
  });
}
