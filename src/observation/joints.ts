import type { PolicyConfig, StateJoint } from '../config/config.js';
import { toModel } from '../config/units.js';
import { Refusal } from '../errors.js';
import type { JointReading } from '../frame/frame.js';
import { excerpt } from './words.js';

/** What one joint message says, in the orders of the configuration. */
export interface JointSample {
  readonly stamp: bigint;
  /** [state joints] the model's units before normalisation (`config/units.ts`). */
  readonly state: Float64Array;
  /** [action joints] measured positions in the robot's units; NaN where the schedule needs none. */
  readonly measured: Float64Array;
}

type Source = 'position' | 'velocity' | 'effort';
const PLURAL = { position: 'positions', velocity: 'velocities', effort: 'efforts' } as const;

/** Picks the configured joints out of joint messages, by name; whatever else a message holds is none of its business. */
export class JointReader {
  readonly #config: PolicyConfig;
  /** Joints whose value is needed, by source. */
  readonly #needed = new Map<Source, string[]>();
  readonly #limited: readonly StateJoint[];
  readonly #measured: ReadonlySet<string>;
  readonly #names: readonly string[];

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#limited = config.state.joints.filter(({ lower, upper }) => lower > -Infinity || upper < Infinity);
    this.#measured = new Set(measuredJoints(config));
    for (const { name, source } of config.state.joints) this.#need(name, source);
    for (const name of this.#measured) this.#need(name, 'position');
    this.#names = [...new Set([...this.#needed.values()].flat())];
  }

  /**
   * @throws Refusal JOINT_COUNT where a needed array has not one value per name, JOINT_DUPLICATE where a needed joint
   * comes twice, JOINT_MISSING where needed joints are absent, JOINT_NOT_FINITE, JOINT_RANGE where a value of the state is
   * beyond its configured limits; each names the joints.
   */
  read(reading: JointReading): JointSample {
    const { topic } = this.#config.state;
    const index = this.#index(reading, topic);
    for (const [source, names] of this.#needed) {
      const bad = names.filter((name) => !Number.isFinite(reading[source][index.get(name)!]));
      if (bad.length > 0) {
        const received = bad.map((name) => `${reading[source][index.get(name)!]} for ${name}`).join(', ');
        throw new Refusal(
          'JOINT_NOT_FINITE',
          `Expected finite ${PLURAL[source]}, received ${received} from ${topic}`,
          topic,
        );
      }
    }
    const value = (name: string, source: Source): number => reading[source][index.get(name)!]!;
    const beyond = this.#limited.filter((joint) => {
      const read = value(joint.name, joint.source);
      return read < joint.lower || read > joint.upper;
    });
    if (beyond.length > 0) {
      const limits = beyond.map(({ name, lower, upper }) => `${name} from ${lower} to ${upper}`).join(', ');
      const received = beyond.map(({ name, source }) => `${value(name, source)} for ${name}`).join(', ');
      throw new Refusal('JOINT_RANGE', `Expected ${limits}, received ${received} from ${topic}`, topic);
    }
    return {
      stamp: reading.stamp,
      state: Float64Array.from(this.#config.state.joints, (j) => toModel(value(j.name, j.source), j)),
      measured: Float64Array.from(this.#config.action.joints, ({ name }) =>
        this.#measured.has(name) ? value(name, 'position') : NaN,
      ),
    };
  }

  #need(name: string, source: Source): void {
    const names = this.#needed.get(source) ?? [];
    if (!names.includes(name)) names.push(name);
    this.#needed.set(source, names);
  }

  #index({ name, ...arrays }: JointReading, topic: string): ReadonlyMap<string, number> {
    for (const source of this.#needed.keys()) {
      const received = arrays[source].length;
      if (received !== name.length) {
        const without = name.slice(received);
        const missing = without.length > 0 ? ` (no value for: ${excerpt(without.join(', '))})` : '';
        const what = PLURAL[source];
        throw new Refusal(
          'JOINT_COUNT',
          `Expected ${name.length} ${what} for ${name.length} names, received ${received} from ${topic}${missing}`,
          topic,
        );
      }
    }
    const index = new Map<string, number>();
    const needed = new Set(this.#names);
    const twice = new Set<string>();
    name.forEach((joint, i) => {
      if (index.has(joint) && needed.has(joint)) twice.add(joint);
      index.set(joint, i);
    });
    if (twice.size > 0) {
      throw new Refusal(
        'JOINT_DUPLICATE',
        `Expected each joint once, received more than one value from ${topic} for: ${[...twice].join(', ')}`,
        topic,
      );
    }
    const missing = this.#names.filter((joint) => !index.has(joint));
    if (missing.length > 0) {
      const expected = this.#names.length;
      throw new Refusal(
        'JOINT_MISSING',
        `Expected ${expected} values for state, received ${expected - missing.length} from ${topic} (missing: ${missing.join(', ')})`,
        topic,
      );
    }
    return index;
  }
}

/**
 * Action joints whose measured position the schedule needs: where to hold, where to start from, how far to a limit.
 * Velocities that go out as such and have no position limits need none, nor does a robot whose state is not in joint space.
 */
function measuredJoints(config: PolicyConfig): string[] {
  if (config.state.mode === 'none') return [];
  return config.action.joints
    .filter(
      ({ kind, integrated, lower, upper }) =>
        kind !== 'velocity' || integrated || Number.isFinite(lower) || Number.isFinite(upper),
    )
    .map(({ name }) => name);
}
