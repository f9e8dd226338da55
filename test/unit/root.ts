import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

export { packageRoot };

/** A path under test/fixtures. */
export function fixture(...parts: string[]): string {
  return join(packageRoot, 'test', 'fixtures', ...parts);
}
