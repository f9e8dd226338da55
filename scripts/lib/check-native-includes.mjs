import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * The dependency rules of native/: each directory with the directories whose headers it may include, in addition to its own
 * and the public header (native/include).
 * backend ← {model, checkpoint} ← session, image ← session ← {addon, stream}, which use the public header only
 */
const DEPENDENCY_RULES = {
  include: [],
  backend: [],
  checkpoint: ['backend'],
  image: [],
  model: ['backend'],
  session: ['backend', 'checkpoint', 'image', 'model'],
  addon: [],
  stream: [],
  bench: ['backend', 'checkpoint', 'model', 'session'],
};

/** Headers that may be included in one directory only. */
const RESTRICTED_HEADERS = [
  { pattern: /^(napi|node_api|js_native_api)\.h$/, directory: 'addon/' },
  { pattern: /^(cuda|cublas|cudnn|nvrtc|nccl)[a-zA-Z_]*\.h$/, directory: 'backend/cuda/' },
];

function* sourceFiles(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* sourceFiles(path);
    else if (/\.(h|hpp|cc|cpp|cu|cuh)$/.test(entry.name)) yield path;
  }
}

/**
 * The violations in one file, a sentence each.
 * @param {string} file path relative to native/
 * @param {string} text the file's content
 * @returns {string[]}
 */
export function violations(file, text) {
  const module = file.includes('/') ? file.split('/')[0] : undefined;
  const found = [];
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)/.exec(line);
    if (!match) continue;
    const header = match[1] ?? match[2];
    for (const { pattern, directory } of RESTRICTED_HEADERS) {
      if (pattern.test(header) && !file.startsWith(directory)) {
        found.push(`native/${file}:${index + 1}: ${header} may be included only under native/${directory}`);
      }
    }
    if (match[1] === undefined || module === undefined) continue;
    const target = header.startsWith('.') ? relative('/', resolve('/', dirname(file), header)) : header;
    const targetModule = target.split('/')[0];
    if (
      target.includes('/') &&
      targetModule in DEPENDENCY_RULES &&
      targetModule !== module &&
      targetModule !== 'include' &&
      !DEPENDENCY_RULES[module]?.includes(targetModule)
    ) {
      found.push(`native/${file}:${index + 1}: ${module} may not include from ${targetModule}`);
    }
  }
  return found;
}

/** The violations in all source files under a native/ directory. */
export function allViolations(native) {
  return [...sourceFiles(native)].flatMap((path) => violations(relative(native, path), readFileSync(path, 'utf8')));
}
