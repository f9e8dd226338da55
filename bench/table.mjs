/**
 * Writes the tables of docs/performance.md from docs/performance.json, which `pi05_bench --json` made (see there).
 *
 *   node bench/table.mjs [--check]     --check: exit 1 where the page is not what the figures say
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

/** @param {Record<string, any>} run what pi05_bench wrote */
export function tables(run) {
  const rows = run.cases.map((one) => {
    const { mean, p50, p95, p99 } = one.inference_ms;
    const stages = STAGES.map((stage) => (one.stages_ms[stage] ? ms(one.stages_ms[stage].p50) : '–'));
    return [one.cameras, one.tokens, one.horizon, ...[mean, p50, p95, p99].map(ms), ...stages];
  });
  const table = (head, body) =>
    [head, head.map(() => '---'), ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  return `${run.device}, commit ${run.commit}: ${run.requests} requests after ${run.warmup}, milliseconds; stages are p50 of further
inferences. In the same run: ${run.ceilings.bf16_tflops.toFixed(0)} TFLOP/s (bf16 8192³), ${run.ceilings.copy_tb_per_s.toFixed(2)} TB/s (copy). Load ${(run.load_ms / 1000).toFixed(1)} s from the page cache,
${gigabytes(run.gpu_bytes)} GB of GPU memory; ready for every prompt length after ${(run.prepare_ms / 1000).toFixed(1)} s and ${(run.prepare_gpu_bytes / 1e6).toFixed(0)} MB more. Results that were
not the same bits: ${run.cases.reduce((sum, one) => sum + one.different, 0)}.

${table(['cameras', 'tokens', 'horizon', 'mean', 'p50', 'p95', 'p99', ...STAGES], rows)}`;
}

function main(check) {
  const before = readFileSync(page, 'utf8');
  const [first, last] = [before.indexOf(BEGIN), before.indexOf(END)];
  if (first < 0 || last < first) throw new Error(`Expected ${BEGIN} and ${END} in docs/performance.md`);
  const run = JSON.parse(readFileSync(figures, 'utf8'));
  const after = `${before.slice(0, first)}${BEGIN}\n\n${tables(run)}\n\n${before.slice(last)}`;
  if (!check) writeFileSync(page, after);
  else if (after !== before) {
    process.stderr.write('docs/performance.md is not what docs/performance.json says: run node bench/table.mjs\n');
    process.exitCode = 1;
  }
}

main(process.argv.includes('--check'));
