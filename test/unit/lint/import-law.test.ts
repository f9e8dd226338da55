import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { packageRoot } from '../root.js';

/** Asks in a process of its own: eslint loads its configuration in ways that jest's module registry does not follow. */
function ask<T>(script: string, input: unknown): T {
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: packageRoot,
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  return JSON.parse(text) as T;
}

const READ = "const input = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));";

const LINT = `${READ}
import { ESLint } from 'eslint';
const eslint = new ESLint({
  ruleFilter: ({ ruleId }) => ruleId.startsWith('boundaries/'),
  overrideConfig: { languageOptions: { parserOptions: { project: null } } },
});
const refused = [];
for (const { file, source } of input) {
  const [{ messages }] = await eslint.lintText(source, { filePath: file });
  refused.push(messages.length > 0);
}
process.stdout.write(JSON.stringify(refused));`;

const TYPESCRIPT = [
  { file: 'src/frame/frame.ts', source: "import { Pi05Error } from '../errors.js';", refused: false },
  { file: 'src/frame/frame.ts', source: "import { x } from '../config/config.js';", refused: true },
  { file: 'src/frame/frame.ts', source: "export { x } from '../config/config.js';", refused: true },
  { file: 'src/errors.ts', source: "import type { CameraFrame } from './frame/frame.js';", refused: true },
  { file: 'src/engine/engine.ts', source: "import type { x } from '../config/config.js';", refused: false },
  { file: 'src/config/config.ts', source: "const x = await import('../engine/engine.js');", refused: true },
  { file: 'src/engine/engine.ts', source: "import fs from 'node:fs'; import yaml from 'yaml';", refused: false },
  { file: 'src/engine/engine.ts', source: "const r = await import('rclnodejs');", refused: true },
  { file: 'src/engine/engine.ts', source: "import type { Node } from 'rclnodejs';", refused: true },
  { file: 'src/ros/environment.ts', source: "const r = await import('rclnodejs');", refused: false },
  { file: 'src/elsewhere/a.ts', source: 'export const x = 1;', refused: true },
];

const NATIVE = [
  { file: 'model/a.cc', source: '#include "backend/ops.h"', refused: false },
  { file: 'backend/a.cc', source: '#include "model/dims.h"', refused: true },
  { file: 'backend/cpu/a.cc', source: '#include "../../session/session.h"', refused: true },
  { file: 'model/a.cc', source: '#include "session/session.h"', refused: true },
  { file: 'session/a.cc', source: '#include <napi.h>', refused: true },
  { file: 'addon/a.cc', source: '#include <napi.h>\n#include "pi05/pi05.h"', refused: false },
  { file: 'backend/ops.h', source: '#include <cuda_runtime.h>', refused: true },
  { file: 'backend/cuda/a.cu', source: '#include <cuda_runtime.h>', refused: false },
];

describe('the import law', () => {
  test('holds_for_typescript_rooms_and_rclnodejs', () => {
    expect(ask<boolean[]>(LINT, TYPESCRIPT)).toEqual(TYPESCRIPT.map((one) => one.refused));
  });

  test('holds_for_native_rooms_and_their_headers', () => {
    const law = JSON.stringify(join(packageRoot, 'scripts', 'lib', 'native-law.mjs'));
    const script = `${READ}
import { breaches } from ${law};
process.stdout.write(JSON.stringify(input.map(({ file, source }) => breaches(file, source).length > 0)));`;
    expect(ask<boolean[]>(script, NATIVE)).toEqual(NATIVE.map((one) => one.refused));
  });
});
