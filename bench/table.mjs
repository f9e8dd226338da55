/**
 * Writes the tables of docs/performance.md from docs/performance.json, a list of files that `pi05_bench --json` wrote.
 *
 *   node bench/table.mjs [--check]     --check: exit with 1 if the page differs from the figures
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
const figures = fileURLToPath(new URL('../docs/performance.json', import.meta.url));
const BEGIN = '<!-- figures: node bench/table.mjs -->\n<!-- prettier-ignore-start -->';
const END = '<!-- prettier-ignore-end -->';
const STAGES = ['upload', 'resize', 'siglip', 'prefix', 'expert', 'download'];

const ms = (value) => value.toFixed(2);
const gigabytes = (bytes) => (bytes / 1e9).toFixed(1);

function table({ cases }) {
  const head = ['cameras', 'tokens', 'horizon', 'mean', 'p50', 'p95', 'p99', ...STAGES];
  const rows = cases.map((entry) => {
    const { mean, p50, p95, p99 } = entry.inference_ms;
    const stages = STAGES.map((stage) => ms(entry.stages_ms[stage].p50));
    return [entry.cameras, entry.tokens, entry.horizon, ...[mean, p50, p95, p99].map(ms), ...stages];
  });
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** A summary, then a table for each run. @param {Record<string, any>[]} runs files of pi05_bench; the first has the ceilings */
export function tables(runs) {
  const [first] = runs;
  const different = runs.flatMap(({ cases }) => cases).reduce((sum, entry) => sum + entry.different, 0);
  const summary = [
    `${first.device}, commit ${first.commit}, 10 steps, bf16. Times in milliseconds; stages are the p50 of separate inferences.`,
    `Ceilings in the same run: ${first.ceilings.bf16_tflops.toFixed(0)} TFLOP/s (bf16 8192³) and ${first.ceilings.copy_tb_per_s.toFixed(2)} TB/s (copy). Loading takes ${(first.load_ms / 1000).toFixed(1)} s from the page cache and`,
    `${gigabytes(first.gpu_bytes)} GB of GPU memory; preparing every prompt length takes ${(first.prepare_ms / 1000).toFixed(1)} s and ${(first.prepare_gpu_bytes / 1e6).toFixed(0)} MB more. Repeated inferences with other bits: ${different}.`,
  ];
  const sections = runs.map((run) => {
    const settled = run.settle_s > 0 ? ` and at least ${run.settle_s} s` : '';
    return `${run.requests} requests after a warm-up of ${run.warmup}${settled}:\n\n${table(run)}`;
  });
  return [summary.join('\n'), ...sections].join('\n\n');
}

function main(check) {
  const before = readFileSync(page, 'utf8');
  const [first, last] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (first < 0 || last < first) throw new Error(`Expected ${BEGIN} and ${END} in docs/performance.md`);
  const runs = JSON.parse(readFileSync(figures, 'utf8'));
  const after = `${before.slice(0, first)}${BEGIN}\n\n${tables(runs)}\n\n${before.slice(last)}`;
  if (!check) writeFileSync(page, after);
  else if (after !== before) {
    process.stderr.write('docs/performance.md differs from docs/performance.json: run node bench/table.mjs\n');
    process.exitCode = 1;
  }
}

main(process.argv.includes('--check'));
