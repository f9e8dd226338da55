import eslint from '@eslint/js';
import boundaries from 'eslint-plugin-boundaries';
import tseslint from 'typescript-eslint';

/**
 * The dependency rules of src/: each module with the modules that it may import. Modules of one group do not import each other.
 * leaves (LEAVES) ← frame ← config ← robot ← {observation, policy, engine, schedule, messages, decode, report} ← pipeline ← {ros, replay} ← cli
 * The guard imports the least that it needs. `decode` imports the engine's check of image files.
 */
const LEAVES = ['errors', 'format', 'package-root', 'report-throttle', 'safetensors', 'statistics', 'time']; // files of src/, the others are directories
const FOUNDATION = [...LEAVES, 'frame', 'config', 'robot'];
const FUNCTIONS = ['observation', 'policy', 'engine', 'schedule', 'messages', 'decode', 'report'];
const FRONTENDS = ['ros', 'replay'];
/** A single file of the engine that `decode` imports. */
const DECODE_IMPORTS = { 'image-file': 'src/engine/image-file.ts' };
/** Single files of these modules that the guard imports. */
const GUARD_IMPORTS = {
  limits: 'src/schedule/limits.ts',
  trajectory: 'src/schedule/trajectory.ts',
  'tool-guard': 'src/schedule/tool-guard.ts',
};
export const DEPENDENCY_RULES = {
  errors: [],
  safetensors: ['errors', 'format'],
  format: [],
  time: [],
  statistics: [],
  'report-throttle': ['time'],
  'package-root': [],
  frame: LEAVES,
  config: [...LEAVES, 'frame'],
  robot: [...LEAVES, 'frame', 'config'],
  ...Object.fromEntries(FUNCTIONS.map((module) => [module, FOUNDATION])),
  decode: [...FOUNDATION, ...Object.keys(DECODE_IMPORTS)],
  guard: [...FOUNDATION, 'messages', ...Object.keys(GUARD_IMPORTS)],
  pipeline: [...FOUNDATION, ...FUNCTIONS],
  ...Object.fromEntries(
    FRONTENDS.map((module) => [
      module,
      [...FOUNDATION, ...FUNCTIONS, 'pipeline', ...(module === 'ros' ? ['guard'] : [])],
    ]),
  ),
  cli: [...FOUNDATION, ...FUNCTIONS, 'guard', 'pipeline', ...FRONTENDS],
};

const modules = [
  ...Object.keys(DEPENDENCY_RULES).map((module) => ({
    category: module,
    pattern: LEAVES.includes(module) ? `src/${module}.ts` : `src/${module}/**`,
  })),
  ...Object.entries({ ...DECODE_IMPORTS, ...GUARD_IMPORTS }).map(([category, pattern]) => ({ category, pattern })),
];

const NODE_GLOBALS = [
  'Buffer',
  'URL',
  'clearInterval',
  'clearTimeout',
  'console',
  'exports',
  'performance',
  'process',
  'require',
  'setInterval',
  'setTimeout',
];

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', 'build/', '.pi05/'] },
  eslint.configs.recommended,
  {
    files: ['src/**/*.ts', 'test/**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: ['./tsconfig.json', './test/tsconfig.json'], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { boundaries },
    settings: {
      'boundaries/files': modules,
      'import/resolver': { [`${import.meta.dirname}/scripts/lib/import-resolver.cjs`]: {} },
    },
    rules: {
      'boundaries/no-unknown-dependencies': 'error',
      'boundaries/no-unknown-files': 'error',
      'boundaries/dependencies': [
        'error',
        {
          default: 'disallow',
          checkAllOrigins: true,
          policies: [
            { allow: { to: { module: { origin: ['external', 'core'] } } } },
            ...Object.entries(DEPENDENCY_RULES).map(([module, allowed]) => ({
              from: { file: { categories: module } },
              allow: { to: { file: { categories: { anyOf: [module, ...allowed] } } } },
            })),
            {
              from: { file: { categories: { noneOf: ['ros'] } } },
              disallow: { to: { module: { source: 'rclnodejs' } } },
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: Object.fromEntries(NODE_GLOBALS.map((name) => [name, 'readonly'])) },
  },
);
