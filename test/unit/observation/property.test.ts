import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { REFUSAL_CODES } from '../../../src/errors.js';
import type { Observation } from '../../../src/frame/frame.js';
import { exterior, image, joints, MS, robot, SECOND, T0, wrist } from '../pipeline/robot.js';
import { Harness } from './harness.js';

/**
 * Any order of messages, control ticks and waiting, with stamps that are late, early, repeated or back in time. fast-check reduces a
 * sequence that breaks a rule to a short one and prints its seed.
 */

const CAMERAS = [exterior, wrist];
const RUNS = { seed: 20261129, numRuns: 200 };

/** ms from the stamp to the clock. */
const lag = fc.oneof(fc.constantFrom(0, 0, 0, 40, 60, -1), fc.integer({ min: -300, max: 600 }));
const skew = fc.constantFrom(0, 0, 20, 50, 51, 90);
const step = fc.oneof(
  fc.record({
    kind: fc.constant('frame' as const),
    camera: fc.constantFrom(0, 1),
    lag,
    shade: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({
    kind: fc.constant('joints' as const),
    names: fc.constantFrom<readonly string[]>(
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
      ['a'],
      ['b'],
      ['b', 'a'],
      ['foreign'],
      ['a', 'a', 'b'],
    ),
    lag,
    bad: fc.constantFrom(undefined, undefined, undefined, NaN, -Infinity),
  }),
  // All inputs, one after the other, with stamps that may be too far apart.
  fc.record({ kind: fc.constant('set' as const), lags: fc.tuple(skew, skew, skew), shade: fc.constantFrom(0, 1, 2) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1, 10, 33, 100, 400) }),
  fc.record({ kind: fc.constant('observe' as const) }),
  fc.record({ kind: fc.constant('tick' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** An observer and what it was given. */
class Run {
  readonly config = robot();
  readonly harness = new Harness(this.config);
  now = T0;
  observations = 0;
  #serial = 0;
  /** By the pixels of a frame: the camera that sent it, and its stamp where it was accepted. */
  readonly #frames = new Map<Uint8Array, { camera: string; stamp: bigint; accepted: boolean }>();
  readonly #values: { joint: string; value: number; stamp: bigint }[] = [];
  /** When a code was reported of a topic. */
  readonly #reports = new Map<string, bigint>();
  #last: bigint | undefined;

  do(next: Step): void {
    if (next.kind === 'wait') this.now += BigInt(next.ms) * MS;
    else if (next.kind === 'tick') this.harness.checkConditions(this.now);
    else if (next.kind === 'observe') this.observe();
    else if (next.kind === 'set') this.#offerSet(next.lags, next.shade);
    else if (next.kind === 'frame') this.frame(next.camera, this.now - BigInt(next.lag) * MS, next.shade);
    else this.joints(next.names, this.now - BigInt(next.lag) * MS, next.bad);
    this.#noteReports();
  }

  /** @param shade of the second camera; the first one's is 0, and the same pixels are refused. */
  #offerSet([first, second, third]: readonly number[], shade: number): void {
    this.now += 100n * MS;
    this.frame(0, this.now - BigInt(first!) * MS, 0);
    this.frame(1, this.now - BigInt(second!) * MS, shade);
    this.joints(['a', 'b'], this.now - BigInt(third!) * MS);
    this.observe();
  }

  frame(index: number, stamp: bigint, shade: number): void {
    const { name, topic, maxAge } = CAMERAS[index]!;
    const sent = image(stamp, shade);
    const isRepeated = [...this.#frames.values()].some((frame) => frame.camera === name && frame.stamp === stamp);
    const before = this.harness.refusals.length;
    const accepted = this.harness.offerImage(name, sent, this.now);
    this.#frames.set(sent.data, { camera: name, stamp, accepted });
    const age = this.now - stamp;
    if (accepted) expect([age <= maxAge, -age <= maxAge]).toEqual([true, true]);
    else if (this.harness.refusals.length === before)
      expect(isRepeated || this.#reported('CAMERA_STALE', topic)).toBe(true);
  }

  joints(names: readonly string[], stamp: bigint, bad?: number): void {
    const before = this.harness.refusals.length;
    // A value of its own in each message, so that the state tells where it comes from.
    const values = names.map((joint) => ({ joint, value: bad ?? ++this.#serial / 1024, stamp }));
    const reading = { ...joints(stamp), name: names, position: Float64Array.from(values, ({ value }) => value) };
    const accepted = this.harness.offerJoints(reading, this.now);
    if (accepted) {
      expect([new Set(names).size, bad]).toEqual([names.length, undefined]);
      this.#values.push(...values);
    } else if (this.harness.refusals.length === before) {
      expect(names.includes('foreign') || this.#reported('STATE_STALE', this.config.state.topic)).toBe(true);
    }
  }

  observe(): void {
    const observation = this.harness.takeObservation(this.now);
    if (observation === undefined) return;
    this.observations++;
    this.#check(observation);
  }

  #check({ stamp, views, state }: Observation): void {
    // Time is monotone.
    expect(this.#last === undefined || stamp > this.#last).toBe(true);
    this.#last = stamp;
    expect(views.map(({ camera, slot }) => [camera, slot])).toEqual(CAMERAS.map(({ name, slot }) => [name, slot]));
    const { maxSkew } = this.config.sync;
    const stamps = views.map(({ frame }) => frame.stamp);
    for (const [i, { frame }] of views.entries()) {
      expect(this.#frames.get(frame.data)).toEqual({ camera: CAMERAS[i]!.name, stamp: frame.stamp, accepted: true });
      expect(this.now - frame.stamp <= CAMERAS[i]!.maxAge).toBe(true);
    }
    for (const [i, value] of state.entries()) {
      const source = this.#values.find((one) => one.value === value && one.joint === ['a', 'b'][i]);
      expect(source).toBeDefined();
      expect(this.now - source!.stamp <= this.config.state.maxAge).toBe(true);
      stamps.push(source!.stamp);
    }
    const ordered = stamps.toSorted((a, b) => Number(a - b));
    expect(ordered.at(-1)! - ordered[0]! <= maxSkew).toBe(true);
    expect(ordered.at(-1)).toBe(stamp);
  }

  #reported(code: string, topic: string): boolean {
    const time = this.#reports.get(`${code} ${topic}`);
    return time !== undefined && this.now - time < SECOND;
  }

  #noteReports(): void {
    for (const { code, source, message } of this.harness.refusals.splice(0)) {
      expect(REFUSAL_CODES).toContain(code);
      expect(message).toMatch(/^Expected .+, received .+/);
      expect(source).toBeDefined();
      this.#reports.set(`${code} ${source}`, this.now);
    }
  }
}

test('whatever_arrives_an_observation_has_accepted_inputs_of_one_time_each_in_its_slot_and_nothing_is_refused_silently', () => {
  let observations = 0;
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
      const run = new Run();
      for (const next of steps) run.do(next);
      observations += run.observations;
      // Valid inputs give an observation again.
      run.now += SECOND;
      const before = run.observations;
      for (let tick = 0; tick < 2; tick++) {
        run.now += 100n * MS;
        run.frame(0, run.now, 0);
        run.frame(1, run.now, 1);
        run.joints(['a', 'b'], run.now);
        run.observe();
      }
      expect(run.observations).toBeGreaterThan(before);
    }),
    RUNS,
  );
  expect(observations).toBeGreaterThan(RUNS.numRuns / 4);
});
