/** Generates the pages of docs/ that are derived from the sources: `npm run docs`, after a build. */
import { writeFileSync } from 'node:fs';

import { inRoot } from './lib/paths.mjs';

const { parameterReference } = await import(inRoot('dist', 'config', 'reference.js'));
writeFileSync(inRoot('docs', 'parameters.md'), parameterReference());
