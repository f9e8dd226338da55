/** Resolves `import './x.js'` in a TypeScript source to `./x.ts`, for eslint-plugin-boundaries. */
const { existsSync } = require('node:fs');
const { dirname, resolve } = require('node:path');

exports.interfaceVersion = 2;
exports.resolve = (source, importer) => {
  if (!source.startsWith('.')) return { found: false };
  const path = resolve(dirname(importer), source.replace(/\.js$/, '.ts'));
  return existsSync(path) ? { found: true, path } : { found: false };
};
