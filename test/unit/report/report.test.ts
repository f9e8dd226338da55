import { describe, expect, test } from '@jest/globals';
import { Script } from 'node:vm';
import type { PolicyConfig } from '../../../src/config/config.js';
import { Refusal } from '../../../src/errors.js';
import { OpenLoopEvaluation } from '../../../src/replay/evaluation.js';
import { formatNumber, formatTime } from '../../../src/report/format.js';
import { ReportCollector } from '../../../src/report/collector.js';
import type { PageData, SeamResult } from '../../../src/report/data.js';
import { histogram } from '../../../src/report/histogram.js';
import { renderReport, type ReportSummary } from '../../../src/report/report.js';
import { percentile } from '../../../src/statistics.js';
import { exterior, image, joints, MS, robot, SECOND, T0 } from '../pipeline/robot.js';

const EVIL = `</script><script>alert('x')</script><img src="http://evil.example/x" onerror=alert(1)>&\`"`;
const SUMMARY: ReportSummary = { bag: 'bag.mcap', params: 'p.yaml', checkpoint: 'checkpoint', observations: 2 };

/** The report of a short replay. */
async function report(
  changes: Partial<PolicyConfig> = {},
  summary: Partial<ReportSummary> = {},
  sentence = 'Expected an image',
): Promise<{ text: string; data: PageData; collector: ReportCollector }> {
  const outputs = [
    {
      name: 'arm',
      topic: 'arm/commands',
      type: 'joint_trajectory' as const,
      stamp: 'zero' as const,
      joints: ['a', 'b'],
    },
  ];
  const config = robot({ cameras: [exterior], outputs, ...changes });
  const collector = new ReportCollector(config);
  const evaluation = new OpenLoopEvaluation(config);
  const values = Float64Array.of(1, 2, 1.25, Math.PI);
  for (const listener of [collector, evaluation]) {
    listener.image(config.cameras[0]!.name, image(T0), T0);
    listener.joints(joints(T0, { a: 1 / 3, b: 2 }), T0);
    listener.action({ joints: ['a', 'b'], values: Float64Array.of(0.5, 2), time: T0 }, T0);
    listener.chunk(
      { stamp: T0, joints: ['a', 'b'], rows: 2, values, period: 0.1 },
      { inferenceMs: 12.5, latencyMs: 40 },
      T0,
    );
    listener.joints(joints(T0 + SECOND, { a: 0, b: 2 }), T0 + SECOND);
  }
  collector.refusal(new Refusal('IMAGE_DATA', sentence, 'camera'), T0 + 300n * MS);
  const text = renderReport(config, await collector.data(), evaluation.result(), SEAMS, { ...SUMMARY, ...summary });
  return { text, data: JSON.parse(embedded(text)) as PageData, collector };
}

const SEAMS: SeamResult = {
  count: 7,
  jump: { p50: 0.5, p95: 1.1, p99: 1.5, max: 1.5 },
  largest: { seconds: 3.25, joint: 'elbow' },
  disagreement: { p50: 0.1, p95: 0.2, p99: 0.3, max: 0.3 },
  jerk: { rms: 12.5, max: 70 },
  idle_steps: 2,
};
const NOTHING = { p50: null, p95: null, p99: null, max: null };
const NO_SEAMS: SeamResult = { ...SEAMS, count: 0, jump: NOTHING, largest: null, disagreement: NOTHING };

function embedded(text: string): string {
  return /<script type="application\/json" id="data">([^]*?)<\/script>/.exec(text)![1]!;
}

function inlined(text: string): string {
  return /<script type="module">([^]*?)<\/script>/.exec(text)![1]!;
}

describe('the page', () => {
  test('holds_the_data_that_it_draws', async () => {
    const { data, collector } = await report();
    const { duration, cameras, joints: both, chunks, events } = await collector.data();
    expect(data).toEqual({
      duration,
      cameras,
      joints: expect.anything() as unknown,
      chunks: expect.anything() as unknown,
      events,
      histograms: [expect.objectContaining({ from: 12, to: 13 }), expect.objectContaining({ from: 39.5, to: 40.5 })],
    });
    expect(data.cameras[0]?.frames[0]?.source).toMatch(/^data:image\/jpeg;base64,/);
    // Seven digits are kept.
    expect(data.joints.map(({ name }) => name)).toEqual(both.map(({ name }) => name));
    expect(data.joints[0]?.measured).toEqual([
      [0, 0.3333333],
      [1, 0],
    ]);
    expect(data.joints.map(({ recorded }) => recorded)).toEqual(both.map(({ recorded }) => recorded));
    expect(chunks).toHaveLength(1);
    expect(data.chunks).toEqual([
      {
        stamp: 0,
        period: 0.1,
        values: [
          [1, 1.25],
          [2, 3.141593],
        ],
      },
    ]);
  });

  test('loads_nothing_from_outside', async () => {
    const { text } = await report();
    expect(text).toContain(
      `content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"`,
    );
    expect(text).not.toMatch(/https?:|\bsrc\s*=\s*["'](?!data:)|<link|@import|url\(|\bimport\b|sourceMappingURL/i);
  });

  test('has_a_complete_script', async () => {
    const { text } = await report();
    const script = inlined(text);
    expect(() => new Script(script)).not.toThrow();
    for (const name of ['formatTime', 'formatNumber', 'createPlot', 'addJointPlot'])
      expect(script).toContain(`function ${name}(`);
  });

  test('contains_the_licence_of_the_chart_library', async () => {
    const { text } = await report();
    expect(text).toContain('uPlot=function()');
    expect(inlined(text)).toMatch(
      /^\s*\/\* uPlot\. The MIT License \(MIT\)[^]*Copyright \(c\) \d+ Leon Sorokin[^]*AS IS/,
    );
  });

  test('escapes_every_text_from_a_bag_or_a_file', async () => {
    const evil = [{ ...exterior, name: EVIL, topic: EVIL }];
    const summary = { bag: EVIL, params: EVIL, checkpoint: EVIL, damage: EVIL, notes: [EVIL] };
    const { text, data } = await report({ prompt: EVIL, cameras: evil }, summary, EVIL);
    expect(text.match(/<script/g)).toHaveLength(2);
    expect(text.match(/<\/script/g)).toHaveLength(2);
    expect(text).not.toContain('<img');
    expect(text.split('&#60;/script&#62;').length).toBeGreaterThan(10);
    expect([data.cameras[0]?.name, data.events[0]?.marks[0]?.text]).toEqual([EVIL, EVIL]);
  });

  test('shows_how_large_the_errors_are', async () => {
    const { text } = await report();
    // a: 0.5, 0.75; b: 0, π − 2.
    expect(text).toContain('4 predicted values are compared with recorded ones; 0 have none');
    const [row] = text.split('<th scope="row">a</th>').slice(1);
    expect([...row!.matchAll(/<td class="n">([^<]*)<\/td>/g)].slice(0, 4).map(([, cell]) => cell)).toEqual([
      '0.625',
      '0.637',
      '0.75',
      '2',
    ]);
    expect(text).toContain('a, step 1: MAE 0.75, RMSE 0.75, max 0.75, – of the range, 1 values');
  });

  test('reports_that_there_is_nothing_to_compare_with', async () => {
    const { text } = await report({ outputs: [] });
    expect(text).toContain('4 predicted values');
    const config = robot({ cameras: [exterior] });
    const collector = new ReportCollector(config);
    const evaluation = new OpenLoopEvaluation(config).result();
    const empty = renderReport(config, await collector.data(), evaluation, NO_SEAMS, SUMMARY);
    expect(empty).toContain('Expected recorded actions on no output (a), no output (b), received none');
    expect(empty).toContain('No refusals and no faults.');
    expect(empty).toContain('recorded action (none in the bag)');
    expect(text).not.toContain('(none in the bag)');
    expect((JSON.parse(embedded(empty)) as PageData).duration).toBe(0);
  });

  test('shows_the_seams', async () => {
    const text = (await report()).text.replaceAll(/\s+/g, ' ');
    expect(text).toContain(`<th scope="row">jump</th> <td class="n">0.5</td><td class="n">1.1</td>`);
    expect(text).toContain('Largest: elbow at 3.25 s.');
    expect(text).toContain('root mean square 12.5, largest 70');
    expect(text).toContain('<li><b>1.5</b><span>largest jump at a seam</span></li>');
    const config = robot({ cameras: [exterior] });
    const evaluation = new OpenLoopEvaluation(config).result();
    const empty = renderReport(config, await new ReportCollector(config).data(), evaluation, NO_SEAMS, SUMMARY);
    expect(empty).toContain('No chunk continued another.');
  });

  test('lists_refusals_with_their_sentences', async () => {
    const { text } = await report({}, {}, 'Expected 12 bytes, received 3');
    expect(text.replaceAll(/\s+/g, ' ')).toMatch(
      /IMAGE_DATA<\/th> <td>refusal<\/td> <td class="n">1<\/td> <td class="n">0.30 s/,
    );
    expect(text).toContain('Expected 12 bytes, received 3</td>');
  });
});

describe('a histogram', () => {
  const bars = (sorted: readonly number[]): readonly number[] => histogram(sorted)!.counts;

  test('counts_every_sample', () => {
    const sorted = Array.from({ length: 1000 }, (_, index) => 10 + index / 100);
    expect(bars(sorted).reduce((a, b) => a + b)).toBe(1000);
    expect(Math.max(...bars(sorted))).toBe(25);
    expect(bars([5, 5, 5]).filter((count) => count > 0)).toEqual([3]);
    expect(histogram([])).toBeUndefined();
  });

  test('counts_outliers_in_its_last_bar_and_reports_them', async () => {
    const sorted = [...Array.from({ length: 999 }, (_, index) => 10 + index / 100), 5000];
    expect(bars(sorted).reduce((a, b) => a + b)).toBe(1000);
    expect(bars(sorted).filter((count) => count > 0).length).toBeGreaterThan(25);
    expect(histogram(sorted)!.overflow).toBe(true);
    const { collector } = await report();
    const data = { ...(await collector.data()), inferenceMs: sorted, latencyMs: [] };
    const evaluation = new OpenLoopEvaluation(collector.config).result();
    const text = renderReport(collector.config, data, evaluation, SEAMS, SUMMARY).replaceAll(/\s+/g, ' ');
    expect(text).toContain('<b>Inference</b> ms, 1000 chunks, up to 5000 ms in the last bar');
    expect(text).toContain('<b>From stamp to chunk, in the time of the bag</b> no chunks');
  });

  test('marks_its_percentiles', () => {
    const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(histogram(sorted)!.marks).toEqual([
      { value: 50, label: 'p50 50 ms' },
      { value: 95, label: 'p95 95 ms' },
      { value: 99, label: 'p99 99 ms' },
    ]);
  });

  test('has_percentiles_by_nearest_rank', () => {
    const sorted = Array.from({ length: 100 }, (_, index) => index + 1);
    expect([0.5, 0.95, 0.99].map((p) => percentile(sorted, p))).toEqual([50, 95, 99]);
    expect(percentile([7], 0.99)).toBe(7);
    expect(percentile([], 0.5)).toBeUndefined();
  });
});

describe('an axis', () => {
  test('writes_times_with_minutes_and_hours', () => {
    expect([
      formatTime(12.34, 0.1),
      formatTime(245, 1),
      formatTime(3845.5, 0.1),
      formatTime(5, 1, true),
      formatTime(-0.5, 0.1),
    ]).toEqual(['12.3 s', '4:05', '1:04:05.5', '0:05', '-0.5 s']);
    expect([formatTime(59.96, 0.1, true), formatTime(59.999, 0.01, true)]).toEqual(['1:00.0', '1:00.00']);
  });

  test('writes_numbers_with_three_digits', () => {
    expect([0, 0.12345, 123.456, 12345.6, -0.0001234, 2].map(formatNumber)).toEqual([
      '0',
      '0.123',
      '123',
      '12346',
      '-1.23e-4',
      '2',
    ]);
  });
});
