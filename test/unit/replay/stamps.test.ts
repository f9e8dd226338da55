import { describe, expect, test } from '@jest/globals';
import { replayInputs } from '../../../src/replay/inputs.js';
import { parseOffset, withOffsets } from '../../../src/replay/stamps.js';
import { MS, SECOND, T0 } from '../pipeline/robot.js';
import { bagOf, config, type Entry, recording, run, type Run, ShadeEngine, stringMessage } from './harness.js';

const HOUR = 3600n * SECOND;

/** The same messages, recorded `delay` later; by topic. */
function recordedLater(entries: readonly Entry[], delay: (topic: string, i: number) => bigint): Entry[] {
  return entries
    .map(([topic, time, data], i): Entry => [topic, time + delay(topic, i), data])
    .sort(([, a], [, b]) => (a < b ? -1 : a > b ? 1 : 0));
}

const onlyJoints = (delay: bigint) => (topic: string) => (topic === '/joint_states' ? delay : 0n);
const engine = (): ShadeEngine => new ShadeEngine(() => 0);
const stampsOf = ({ chunks }: Run): bigint[] => chunks.map(({ stamp }) => stamp);

function withOffset(entries: readonly Entry[], offset: bigint): Promise<Run> {
  const inputs = replayInputs(config, false, bagOf(entries), 'the bag');
  return run(entries, engine(), { inputs: withOffsets(inputs, new Map([['/joint_states', offset]])) });
}

describe('stamps that are far from the times of recording', () => {
  test.each([300n * MS, -300n * MS, HOUR, -HOUR])(
    'of one topic by %s ns are reported with the options that help',
    async (delay) => {
      const entries = recordedLater(recording(50), onlyJoints(delay));
      const { outcome, chunks } = await run(entries, engine());
      expect(chunks).toEqual([]);
      const seconds = (Math.abs(Number(delay + 3n * MS)) / 1e9).toFixed(3);
      expect(outcome.notes[0]).toBe(
        `the stamps of /joint_states are ${seconds} s ${delay > 0n ? 'before' : 'after'} the time of recording (median): ` +
          `--stamp-offset /joint_states:=${delay > 0n ? '' : '-'}${seconds} moves them, or --by-stamps replays by the stamps`,
      );
      expect(outcome.notes[1]).toMatch(
        /^no chunk was made of the messages that were read: 50 on \/exterior, 50 on \/wrist, 50 on \/joint_states$/,
      );
      const offset = parseOffset(/\S+:=\S+/.exec(outcome.notes[0]!)![0])!;
      const moved = await withOffset(entries, offset.offset);
      expect(moved.chunks.length).toBeGreaterThan(delay === HOUR || delay === -HOUR ? -1 : 1);
      expect(moved.outcome.notes.filter((note) => note.includes('stamps'))).toEqual([]);
    },
  );

  test('are replayed in the order and at the times of the stamps: a bag that was played and recorded again', async () => {
    const original = await run(recording(50), engine(), { byStamps: true });
    // At half the speed, with an hour between, and with a pause.
    const again = recordedLater(recording(50), (_, i) => HOUR + BigInt(i) * 7n * MS + (i < 70 ? 0n : 60n * SECOND));
    const replayed = await run(again, engine(), { byStamps: true });
    expect(original.chunks.length).toBeGreaterThan(2);
    expect(replayed.chunks).toEqual(original.chunks);
    expect(replayed.commands).toEqual(original.commands);
    expect(replayed.outcome.notes).toEqual([]);
    expect((await run(again, engine())).outcome.notes[0]).toContain('--by-stamps');
  });

  test('one wrong stamp does not move the time of the messages after it', async () => {
    const entries = recording(50);
    const [topic, time] = entries[33]!;
    const wrong = recording(1, T0 + 500n * HOUR).find(([other]) => other === topic)!;
    const { chunks, outcome } = await run(entries.with(33, [topic, time, wrong[2]]), engine(), { byStamps: true });
    expect(chunks.length).toBeGreaterThan(2);
    expect(Number(outcome.seconds)).toBeLessThan(2);
  });

  test('of clocks that are hours apart are named in a replay by stamps that gives no chunk', async () => {
    const { outcome } = await run(shiftedStamps(HOUR), engine(), { byStamps: true });
    expect(outcome.notes[0]).toMatch(
      /^the stamps of \/joint_states are (3600\.00\d|3599\.99\d) s after those of the other topics \(median\): --stamp-offset \/joint_states:=-(3600\.00\d|3599\.99\d) moves them$/,
    );
  });

  test('a_bag_in_order_has_no_notes', async () => {
    const { outcome } = await run(recording(50), engine());
    expect(outcome.notes).toEqual([]);
  });
});

/** The joint states' clock is `by` later than the cameras'. */
function shiftedStamps(by: bigint): Entry[] {
  const shifted = recording(50, T0 + by);
  return recording(50).map(([topic, time, data], i): Entry => {
    return [topic, time, topic === '/joint_states' ? shifted[i]![2] : data];
  });
}

describe('messages recorded at time 0', () => {
  const early = recording(5, T0 - SECOND).map(([topic, , data]): Entry => [topic, 0n, data]);

  test.each([false, true])('are left out with a note, by stamps: %s', async (byStamps) => {
    const plain = await run(recording(50), engine(), { byStamps });
    const { outcome, chunks, commands } = await run([...early, ...recording(50)], engine(), { byStamps });
    expect(chunks).toEqual(plain.chunks);
    expect(commands).toEqual(plain.commands);
    expect(outcome.seconds).toBe(plain.outcome.seconds);
    expect(outcome.statistics.refusals).toEqual({});
    expect(outcome.notes).toEqual([
      '15 messages recorded at time 0 left out, before the first /clock of the recorder; a prompt counts from the start',
    ]);
  });

  test('a_prompt_among_them_counts_from_the_start', async () => {
    const entries: Entry[] = [['/prompt', 0n, stringMessage('pick')], ...recording(50)];
    const { chunks } = await run(entries, engine(), { config: { ...config, prompt: '' } });
    expect(chunks.length).toBeGreaterThan(2);
  });

  test('a_bag_whose_messages_all_have_time_0_is_replayed_by_stamps', async () => {
    const entries = recording(50).map(([topic, , data]): Entry => [topic, 0n, data]);
    expect(stampsOf(await run(entries, engine(), { byStamps: true })).length).toBeGreaterThan(2);
  });
});

test.each([
  ['joint_states:=0.3', { topic: 'joint_states', offset: 300n * MS }],
  ['/a/b:=-3600', { topic: '/a/b', offset: -HOUR }],
  ['joint_states', undefined],
  ['joint_states:=', undefined],
  ['joint_states:=soon', undefined],
  [':=1', undefined],
])('an offset of %s', (text, expected) => {
  expect(parseOffset(text)).toEqual(expected);
});
