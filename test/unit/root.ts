import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  return findRoot(dirname(directory));
}

/** The package's own folder, from the sources and from compiled output alike. */
export const packageRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

/** A path under test/fixtures. */
export function fixture(...parts: string[]): string {
  return join(packageRoot, 'test', 'fixtures', ...parts);
}
