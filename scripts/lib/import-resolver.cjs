/** Finds what `import './x.js'` in a TypeScript source means, for eslint-plugin-boundaries: `./x.ts` beside it. */
const { existsSync } = require('node:fs');
const { dirname, resolve } = require('node:path');

exports.interfaceVersion = 2;
exports.resolve = (source, importer) => {
  if (!source.startsWith('.')) return { found: false };
  const path = resolve(dirname(importer), source.replace(/\.js$/, '.ts'));
  return existsSync(path) ? { found: true, path } : { found: false };
};
