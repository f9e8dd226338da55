import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import typescript from 'typescript';

import { packageRoot } from '../root.js';

type Imports = ReadonlyMap<string, readonly string[]>;

/** The files that each source file imports; `import type` counts. */
function importsOf(sources: ReadonlyMap<string, string>): Imports {
  const entries = [...sources].map(([file, text]): [string, string[]] => {
    const names = typescript.preProcessFile(text).importedFiles.map(({ fileName }) => fileName);
    const local = names.filter((name) => name.startsWith('.'));
    return [file, local.map((name) => join(dirname(file), name).replace(/\.js$/, '.ts'))];
  });
  return new Map(entries);
}

/** The first cycle found, as a path whose last file is its first; undefined where there is none. */
function findCycle(imports: Imports): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const imported of imports.get(file) ?? []) {
      const cycle = visit(imported, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const cycle = visit(file, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function sourcesOf(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return new Map(files.map((file) => [relative('.', file), readFileSync(join(directory, file), 'utf8')]));
}

test('src_has_no_import_cycle_and_type_imports_count', () => {
  const sources = sourcesOf(join(packageRoot, 'src'));
  expect(sources.size).toBeGreaterThan(50);
  expect(findCycle(importsOf(sources))).toBeUndefined();
});

test('a_cycle_of_type_imports_is_found', () => {
  const sources = new Map([
    ['a/main.ts', "import { one } from './one.js';"],
    ['a/one.ts', "import type { Two } from '../b/two.js'; export const one = 1;"],
    ['b/two.ts', "export type { One } from '../a/one.js'; export type Two = 2;"],
  ]);
  expect(findCycle(importsOf(sources))).toEqual(['a/one.ts', 'b/two.ts', 'a/one.ts']);
});
