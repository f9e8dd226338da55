/** Jest runs what tsc wrote (`tsc -p test/tsconfig.json`), so that tests and product share one compiler. */
export default {
  rootDir: '.',
  roots: ['<rootDir>/build/test/test/unit'],
  testMatch: ['**/*.test.js'],
  testEnvironment: 'node',
  transform: {},
};
