import { describe, expect, test } from '@jest/globals';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

import { Child } from '../../../src/cli/child.js';
import { describeEpisode, describeProgress, report, type Episode } from '../../../src/cli/demo-output.js';
import { reserveDomain } from '../../../src/cli/domain.js';
import { Progress } from '../../../src/cli/progress.js';
import { pi05 } from './pi05.js';

describe('Progress', () => {
  function shown(isTTY: boolean, times: readonly number[]) {
    let text = '';
    const write = (more: string) => (text += more);
    const clock = times.values();
    const progress = new Progress({ isTTY, write }, () => clock.next().value ?? NaN);
    return { progress, text: () => text };
  }

  test('rewrites_one_line_on_a_terminal', () => {
    const { progress, text } = shown(true, []);
    progress.show('1 of 2');
    progress.show('2 of 2');
    progress.end();
    progress.end();
    expect(text()).toBe('\r\x1b[K1 of 2\r\x1b[K2 of 2\n');
  });

  test('replaces_the_progress_line_by_a_line_that_stays', () => {
    const { progress, text } = shown(true, []);
    progress.show('1 of 2');
    progress.print('done');
    progress.end();
    expect(text()).toBe('\r\x1b[K1 of 2\r\x1b[Kdone\n');
  });

  test('writes_a_line_every_five_seconds_elsewhere', () => {
    const { progress, text } = shown(false, [0, 1000, 4999, 5000, 6000]);
    for (const line of ['a', 'b', 'c', 'd', 'e']) progress.show(line);
    progress.end();
    expect(text()).toBe('a\nd\n');
  });
});

describe('reserveDomain', () => {
  test('never_reserves_one_domain_twice_at_a_time', async () => {
    const held = await Promise.all([0, 0, 0].map((first) => reserveDomain(() => first)));
    expect(new Set(held.map((reservation) => reservation?.domain)).size).toBe(3);
    const [first] = held;
    first?.release();
    for (const reservation of held) reservation?.release();
  });

  test('skips_a_domain_that_has_a_participant', async () => {
    const free = await reserveDomain(() => 0.5);
    expect(free).toBeDefined();
    free?.release();
    const socket = createSocket('udp4');
    socket.bind(7410 + 250 * (free?.domain ?? 0));
    await once(socket, 'listening');
    const other = await reserveDomain(() => ((free?.domain ?? 0) - 1) / 101 + 1e-9);
    socket.close();
    other?.release();
    expect(other?.domain).not.toBe(free?.domain);
  });
});

describe('Child', () => {
  const options = { cwd: '/', env: process.env };

  test('has_lines_of_stdout_last_lines_of_stderr_and_a_status', async () => {
    const lines: string[] = [];
    const script = 'echo one; echo two; for i in 1 2 3 4 5 6; do echo "word $i" >&2; done; exit 3';
    const child = new Child('a child', 'sh', ['-c', script], options, (line) => lines.push(line));
    expect(await child.ended).toEqual({ status: 3, signal: undefined });
    expect(lines).toEqual(['one', 'two']);
    expect(child.lastLines).toBe('word 2\nword 3\nword 4\nword 5\nword 6');
  });

  test('gets_sigint_and_then_sigkill', async () => {
    const started = (script: string) =>
      new Promise<Child>((resolve) => {
        const child: Child = new Child('a child', 'sh', ['-c', script], options, () => resolve(child));
      });
    const obedient = await started('trap "exit 7" INT; echo ready; while :; do sleep 0.01; done');
    expect(await obedient.end()).toEqual({ status: 7, signal: undefined });
    const stubborn = await started('trap "" INT; echo ready; while :; do sleep 0.01; done');
    expect(await stubborn.end(50)).toEqual({ status: undefined, signal: 'SIGKILL' });
  });

  test('that_cannot_be_started_reports_why', async () => {
    const child = new Child('a child', '/no/such/program', [], options);
    expect(await child.ended).toEqual({ status: undefined, signal: undefined });
    expect(child.lastLines).toContain('/no/such/program');
  });
});

describe('report', () => {
  test('has_a_line_for_each_value_and_marks_unknown_ones', () => {
    const text = report({
      observations: 40,
      refused: { CAMERA_STALE: 2, IMAGE_SIZE: 1 },
      chunks: 5,
      inference_ms_p50: 61.26,
      inference_ms_p99: null,
      tick_lateness_ms_p99: 0.31,
      picture: '/somewhere/demo.png',
      episodes: [],
    });
    expect(text.split('\n').map((line) => line.replace(/ {2,}/, '|'))).toEqual([
      'observations built|40',
      'refused|2 CAMERA_STALE, 1 IMAGE_SIZE',
      'chunks|5',
      'inference|p50 61.3 ms, p99 unknown ms',
      'control-tick lateness|p99 0.3 ms',
      'chart|/somewhere/demo.png',
      '',
    ]);
  });
});

const episode = (changes: Partial<Episode> = {}): Episode => ({
  index: 1,
  count: 4,
  prompt: 'touch the blue block',
  seconds: 2.4,
  success: true,
  reason: 'done',
  ...changes,
});

/** With runs of spaces as one |, since columns are aligned with them. */
const columns = (line: string): string => line.replaceAll(/ {2,}/g, '|');

describe('the line about an episode', () => {
  test.each([
    [{}, '2 of 4|touch the blue block|success in 2.4 s'],
    [
      { success: false, reason: 'not within 6.4 s', seconds: 6.4 },
      '2 of 4|touch the blue block|failure: not within 6.4 s',
    ],
    [
      { success: false, reason: 'moved green block' },
      '2 of 4|touch the blue block|failure: moved green block after 2.4 s',
    ],
    [{ prompt: ' wave\nat  me', success: null, reason: '', seconds: 10 }, '2 of 4|wave at me|10.0 s, not judged'],
  ])('%j is %s', (changes, line) => {
    expect(columns(describeEpisode(episode(changes)))).toBe(line);
  });

  test('shows_the_progress_of_the_present_episode', () => {
    const running = episode({ seconds: null, success: null });
    expect(columns(describeProgress({ t: 3, chunks: 9 }, running))).toBe('2 of 4|touch the blue block|3 s, 9 chunks');
    expect(describeProgress({ t: -2, chunks: 0 }, undefined)).toBe('Waiting for the first chunk, 2 s …');
    expect(describeProgress({ t: 3, chunks: 9 }, { ...running, prompt: 'please '.repeat(20) }).length).toBeLessThan(80);
  });
});

test('the_report_counts_the_prompts_that_were_judged_and_names_the_film', () => {
  const unknown = { observations: 1, refused: {}, chunks: 1, picture: '/demo.png' };
  const times = { inference_ms_p50: 1, inference_ms_p99: 1, tick_lateness_ms_p99: 1 };
  const episodes = [episode(), episode({ success: false }), episode({ success: null })];
  const lines = report({ ...unknown, ...times, episodes }, '/demo.gif').split('\n');
  expect(columns(lines[0] ?? '')).toBe('prompts|1 of 2 succeeded');
  expect(columns(lines.at(-2) ?? '')).toBe('GIF|/demo.gif');
});

describe('pi05 demo rejects', () => {
  test.each([
    [['--prompt', ' '], 'Expected --prompt with a text, received " "'],
    [['--prompt'], "Option '--prompt <value>' argument missing"],
    [['--seed', '100'], 'Expected --seed as an integer from 0 to 99, received 100'],
    [['--duration', '0'], 'Expected --duration of more than 0 seconds, received 0'],
    [['--gif', 'film.png'], 'Expected --gif with a file name that ends in .gif, received film.png'],
    [['--gif', '/nowhere/film.gif'], 'Expected --gif where a file can be written, received /nowhere/film.gif'],
  ])('%j', async (argv, sentence) => {
    const { code, stderr } = await pi05('demo', ...argv);
    expect([code, stderr]).toEqual([2, expect.stringContaining(`USAGE: ${sentence}`)]);
  });
});
