import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { packageRoot } from '../root.js';

/** Runs a script in a separate process: eslint loads its configuration in ways that jest's module registry does not support. */
function runScript<T>(script: string, input: unknown): T {
  const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: packageRoot,
    input: JSON.stringify(input),
    encoding: 'utf8',
  });
  return JSON.parse(text) as T;
}

/** Reads the JSON that `runScript` writes to stdin. */
const READ = "const input = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));";

const LINT = `${READ}
import { ESLint } from 'eslint';
const eslint = new ESLint({
  ruleFilter: ({ ruleId }) => ruleId.startsWith('boundaries/'),
  overrideConfig: { languageOptions: { parserOptions: { project: null } } },
});
const rejected = [];
for (const { file, source } of input) {
  const [{ messages }] = await eslint.lintText(source, { filePath: file });
  rejected.push(messages.length > 0);
}
process.stdout.write(JSON.stringify(rejected));`;

/** One file each with the path and the source that are checked, and whether the rules reject it. */
const TYPESCRIPT = [
  { file: 'src/frame/frame.ts', source: "import { Pi05Error } from '../errors.js';", rejected: false },
  { file: 'src/frame/frame.ts', source: "import { x } from '../config/config.js';", rejected: true },
  { file: 'src/frame/frame.ts', source: "export { x } from '../config/config.js';", rejected: true },
  { file: 'src/errors.ts', source: "import type { CameraFrame } from './frame/frame.js';", rejected: true },
  { file: 'src/time.ts', source: "import { Pi05Error } from './errors.js';", rejected: true },
  { file: 'src/schedule/latency.ts', source: "import { percentile } from '../statistics.js';", rejected: false },
  { file: 'src/engine/engine.ts', source: "import type { x } from '../config/config.js';", rejected: false },
  { file: 'src/config/config.ts', source: "const x = await import('../engine/engine.js');", rejected: true },
  { file: 'src/engine/engine.ts', source: "import fs from 'node:fs'; import yaml from 'yaml';", rejected: false },
  { file: 'src/engine/engine.ts', source: "const r = await import('rclnodejs');", rejected: true },
  { file: 'src/engine/engine.ts', source: "import type { Node } from 'rclnodejs';", rejected: true },
  { file: 'src/ros/environment.ts', source: "const r = await import('rclnodejs');", rejected: false },
  { file: 'src/report/data.ts', source: "import { x } from '../config/config.js';", rejected: false },
  { file: 'src/report/data.ts', source: "import type { x } from '../replay/runner.js';", rejected: true },
  { file: 'src/guard/guard.ts', source: "import { x } from '../schedule/limits.js';", rejected: false },
  { file: 'src/guard/guard.ts', source: "import { x } from '../observation/joints.js';", rejected: true },
  { file: 'src/guard/guard.ts', source: "import { x } from '../messages/outputs.js';", rejected: false },
  { file: 'src/guard/guard.ts', source: "import { x } from '../schedule/schedule.js';", rejected: true },
  { file: 'src/guard/guard.ts', source: "import { x } from '../observation/observer.js';", rejected: true },
  { file: 'src/guard/guard.ts', source: "import { x } from '../pipeline/pipeline.js';", rejected: true },
  { file: 'src/guard/guard.ts', source: "import type { x } from '../ros/rcl.js';", rejected: true },
  { file: 'src/pipeline/pipeline.ts', source: "import { x } from '../guard/guard.js';", rejected: true },
  { file: 'src/ros/run.ts', source: "import { x } from '../guard/protocol.js';", rejected: false },
  { file: 'src/schedule/schedule.ts', source: "import { x } from '../observation/joints.js';", rejected: true },
  { file: 'src/elsewhere/a.ts', source: 'export const x = 1;', rejected: true },
];

const NATIVE = [
  { file: 'model/a.cc', source: '#include "backend/ops.h"', rejected: false },
  { file: 'backend/a.cc', source: '#include "model/dims.h"', rejected: true },
  { file: 'backend/cpu/a.cc', source: '#include "../../session/session.h"', rejected: true },
  { file: 'model/a.cc', source: '#include "session/session.h"', rejected: true },
  { file: 'session/a.cc', source: '#include <napi.h>', rejected: true },
  { file: 'addon/a.cc', source: '#include <napi.h>\n#include "pi05/pi05.h"', rejected: false },
  { file: 'backend/ops.h', source: '#include <cuda_runtime.h>', rejected: true },
  { file: 'backend/cuda/a.cu', source: '#include <cuda_runtime.h>', rejected: false },
];

describe('dependency rules', () => {
  test('apply_to_typescript_modules_and_rclnodejs', () => {
    const results = runScript<boolean[]>(LINT, TYPESCRIPT);
    expect(TYPESCRIPT.map((example, i) => ({ ...example, rejected: results[i] }))).toEqual(TYPESCRIPT);
  });

  test('apply_to_native_directories_and_restricted_headers', () => {
    const checker = JSON.stringify(join(packageRoot, 'scripts', 'lib', 'check-native-includes.mjs'));
    const script = `${READ}
import { violations } from ${checker};
process.stdout.write(JSON.stringify(input.map(({ file, source }) => violations(file, source).length > 0)));`;
    const results = runScript<boolean[]>(script, NATIVE);
    expect(NATIVE.map((example, i) => ({ ...example, rejected: results[i] }))).toEqual(NATIVE);
  });
});
