/** Jest runs the output of tsc (`tsc -p test/tsconfig.json`), so that tests and product are compiled the same way. */
export default {
  rootDir: '.',
  roots: ['<rootDir>/build/test/test/unit'],
  testMatch: ['**/*.test.js'],
  testEnvironment: 'node',
  // No test measures time: a busy machine only needs longer.
  testTimeout: 120_000,
  transform: {},
};
