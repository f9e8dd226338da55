import eslint from '@eslint/js';
import boundaries from 'eslint-plugin-boundaries';
import tseslint from 'typescript-eslint';

/**
 * The import law: each room of src/ with the rooms it may import from besides itself.
 * errors, safetensors, format ← frame ← config ← {observation, policy, engine, schedule, messages, decode} ← pipeline ← {ros, replay} ← cli
 */
const LEAVES = ['errors', 'safetensors', 'format'];
const DATA = [...LEAVES, 'frame', 'config'];
const WORKERS = ['observation', 'policy', 'engine', 'schedule', 'messages', 'decode'];
const EDGES = ['ros', 'replay'];
export const LAW = {
  errors: [],
  safetensors: ['errors'],
  format: [],
  frame: LEAVES,
  config: [...LEAVES, 'frame'],
  ...Object.fromEntries(WORKERS.map((room) => [room, DATA])),
  pipeline: [...DATA, ...WORKERS],
  ...Object.fromEntries(EDGES.map((room) => [room, [...DATA, ...WORKERS, 'pipeline']])),
  cli: [...DATA, ...WORKERS, 'pipeline', ...EDGES],
};

const rooms = Object.keys(LAW).map((room) => ({
  category: room,
  pattern: LEAVES.includes(room) ? `src/${room}.ts` : `src/${room}/**`,
}));

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
      'boundaries/files': rooms,
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
            ...Object.entries(LAW).map(([room, may]) => ({
              from: { file: { categories: room } },
              allow: { to: { file: { categories: { anyOf: [room, ...may] } } } },
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
