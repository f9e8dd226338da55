import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * The import law of native/: which rooms a room may include from besides itself and the public header.
 * backend ← {model, checkpoint} ← session ← addon, the last one through the public header only
 */
const LAW = {
  include: [],
  backend: [],
  checkpoint: ['backend'],
  model: ['backend'],
  session: ['backend', 'checkpoint', 'model'],
  addon: [],
  bench: ['backend', 'checkpoint', 'model', 'session'],
};

/** Headers that only one folder may include. */
const KEPT = [
  { header: /^(napi|node_api|js_native_api)\.h$/, folder: 'addon/' },
  { header: /^(cuda|cublas|cudnn|nvrtc|nccl)[a-zA-Z_]*\.h$/, folder: 'backend/cuda/' },
];

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (/\.(h|hpp|cc|cpp|cu|cuh)$/.test(entry.name)) yield path;
  }
}

/** Breaches of the law in one file: `file` is relative to native/. */
export function breaches(file, text) {
  const room = file.includes('/') ? file.split('/')[0] : undefined;
  const found = [];
  for (const [index, line] of text.split('\n').entries()) {
    const match = /^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)/.exec(line);
    if (!match) continue;
    const header = match[1] ?? match[2];
    for (const { header: pattern, folder } of KEPT) {
      if (pattern.test(header) && !file.startsWith(folder)) {
        found.push(`native/${file}:${index + 1}: ${header} may be included only under native/${folder}`);
      }
    }
    if (match[1] === undefined || room === undefined) continue;
    const target = header.startsWith('.') ? relative('/', resolve('/', dirname(file), header)) : header;
    const targetRoom = target.split('/')[0];
    if (
      target.includes('/') &&
      targetRoom in LAW &&
      targetRoom !== room &&
      targetRoom !== 'include' &&
      !LAW[room]?.includes(targetRoom)
    ) {
      found.push(`native/${file}:${index + 1}: ${room} may not include from ${targetRoom}`);
    }
  }
  return found;
}

/** All breaches under a native/ folder. */
export function allBreaches(native) {
  return [...sources(native)].flatMap((path) => breaches(relative(native, path), readFileSync(path, 'utf8')));
}
