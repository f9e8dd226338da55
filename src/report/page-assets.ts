import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Html } from './html.js';
import { STYLE } from './style.js';

/** The style sheet and the script of the page, which contains both. */

const require = createRequire(import.meta.url);

/** The compiled modules of the page, each after those that it imports. They share one scope, so top-level names must differ. */
const MODULES = [
  'format.js',
  ...['plot', 'time-axis', 'figure', 'camera-strip', 'event-row', 'chunk-fan', 'joint-plot', 'histogram', 'main'].map(
    (name) => `client/${name}.js`,
  ),
];

/** uPlot reads this name for the pixels of a canvas. Two per CSS pixel at least keep a printed chart sharp. */
const PIXEL_RATIO = 'const devicePixelRatio = Math.max(2, window.devicePixelRatio);';

/** uPlot's style sheet, then the page's. */
export function pageStyle(): Html {
  return new Html(`${uPlotFile('uPlot.min.css')} ${STYLE}`);
}

/** uPlot with its licence, then the compiled modules without imports and exports. */
export function pageScript(): Html {
  const license = readFileSync(require.resolve('uplot/LICENSE'), 'utf8').trim();
  const modules = MODULES.map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
    .join('\n')
    .replaceAll(/^import [^;]*;$|^export (?=function|const|class)|^\/\/# sourceMappingURL=.*$/gm, '');
  return new Html(`/* uPlot. ${license} */\n${PIXEL_RATIO}\n${uPlotFile('uPlot.iife.min.js')}\n${modules}`);
}

/** A file of uPlot, without the comment at its beginning: it contains a URL, and \`pageScript\` adds the licence. */
function uPlotFile(name: string): string {
  return readFileSync(require.resolve(`uplot/dist/${name}`), 'utf8').replace(/^\/\*![^]*?\*\//, '');
}
