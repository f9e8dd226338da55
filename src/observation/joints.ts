import type { PolicyConfig, StateJoint } from '../config/config.js';
import { hasRobotDescription } from '../config/limits.js';
import { toModel } from '../config/units.js';
import { Refusal } from '../errors.js';
import { excerpt } from '../format.js';
import type { JointReading } from '../frame/frame.js';

/** The values of one joint message, in the order of the configuration. */
export interface JointSample {
  readonly stamp: bigint;
  /** [state joints] the model's units before normalisation (`config/units.ts`). */
  readonly state: Float64Array;
  /** [action joints] measured positions in the robot's units; NaN where the schedule needs none. */
  readonly measured: Float64Array;
}

type Source = 'position' | 'velocity' | 'effort';
const PLURAL = { position: 'positions', velocity: 'velocities', effort: 'efforts' } as const;

/** Reads the configured joints from joint messages by name and checks them. Other joints in a message are ignored. */
export class JointReader {
  readonly #config: PolicyConfig;
  /** Names of the joints whose value is needed, by source. */
  readonly #needed = new Map<Source, string[]>();
  /** The same names without their sources, each once. */
  readonly #neededNames: readonly string[];
  /** State joints with limits. */
  readonly #limited: readonly StateJoint[];
  /** Action joints whose measured position is needed. */
  readonly #measured: ReadonlySet<string>;

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#limited = config.state.joints.filter(({ lower, upper }) => lower > -Infinity || upper < Infinity);
    this.#measured = new Set(measuredJoints(config));
    for (const { name, source } of config.state.joints) this.#addNeeded(name, source);
    for (const name of this.#measured) this.#addNeeded(name, 'position');
    this.#neededNames = [...new Set([...this.#needed.values()].flat())];
  }

  /**
   * @throws Refusal JOINT_COUNT where a needed array does not have one value per name, JOINT_DUPLICATE where a needed joint
   * appears twice, JOINT_MISSING where needed joints are absent, JOINT_NOT_FINITE, JOINT_RANGE where a value of the state
   * is beyond its configured limits; each names the joints.
   */
  read(reading: JointReading): JointSample {
    const { topic } = this.#config.state;
    const indices = this.#indicesByName(reading, topic);
    for (const [source, names] of this.#needed) {
      const bad = names.filter((name) => !Number.isFinite(reading[source][indices.get(name)!]));
      if (bad.length > 0) {
        const received = bad.map((name) => `${reading[source][indices.get(name)!]} for ${name}`).join(', ');
        throw new Refusal(
          'JOINT_NOT_FINITE',
          `Expected finite ${PLURAL[source]}, received ${received} from ${topic}`,
          topic,
        );
      }
    }
    const value = (name: string, source: Source): number => reading[source][indices.get(name)!]!;
    const outOfRange = this.#limited.filter((joint) => {
      const measured = value(joint.name, joint.source);
      return measured < joint.lower || measured > joint.upper;
    });
    if (outOfRange.length > 0) {
      const limits = outOfRange.map(({ name, lower, upper }) => `${name} from ${lower} to ${upper}`).join(', ');
      const received = outOfRange.map(({ name, source }) => `${value(name, source)} for ${name}`).join(', ');
      throw new Refusal('JOINT_RANGE', `Expected ${limits}, received ${received} from ${topic}`, topic);
    }
    return {
      stamp: reading.stamp,
      state: Float64Array.from(this.#config.state.joints, (joint) => toModel(value(joint.name, joint.source), joint)),
      measured: Float64Array.from(this.#config.action.joints, ({ name }) =>
        this.#measured.has(name) ? value(name, 'position') : NaN,
      ),
    };
  }

  #addNeeded(name: string, source: Source): void {
    const names = this.#needed.get(source) ?? [];
    if (!names.includes(name)) names.push(name);
    this.#needed.set(source, names);
  }

  #indicesByName({ name, ...arrays }: JointReading, topic: string): ReadonlyMap<string, number> {
    for (const source of this.#needed.keys()) {
      const received = arrays[source].length;
      if (received !== name.length) {
        const withoutValue = name.slice(received);
        const missing = withoutValue.length > 0 ? ` (no value for: ${excerpt(withoutValue.join(', '))})` : '';
        const values = PLURAL[source];
        throw new Refusal(
          'JOINT_COUNT',
          `Expected ${name.length} ${values} for ${name.length} names, received ${received} from ${topic}${missing}`,
          topic,
        );
      }
    }
    const indices = new Map<string, number>();
    const needed = new Set(this.#neededNames);
    const duplicates = new Set<string>();
    name.forEach((joint, i) => {
      if (indices.has(joint) && needed.has(joint)) duplicates.add(joint);
      indices.set(joint, i);
    });
    if (duplicates.size > 0) {
      throw new Refusal(
        'JOINT_DUPLICATE',
        `Expected each joint once, received more than one value from ${topic} for: ${[...duplicates].join(', ')}`,
        topic,
      );
    }
    const missing = this.#neededNames.filter((joint) => !indices.has(joint));
    if (missing.length > 0) {
      const expected = this.#neededNames.length;
      throw new Refusal(
        'JOINT_MISSING',
        `Expected ${expected} values for state, received ${expected - missing.length} from ${topic} (missing: ${missing.join(', ')})`,
        topic,
      );
    }
    return indices;
  }
}

/**
 * Action joints whose measured position the schedule needs: to hold it, to start from it, for the distance to a limit, or to
 * check that the joint follows. Not needed for velocities that are sent as such, without position limits and without a
 * position in the state, for commands that are not joints, or where the state is not in joint space.
 */
export function measuredJoints(config: PolicyConfig): string[] {
  if (config.state.mode === 'none') return [];
  // A robot description adds position limits.
  const described = hasRobotDescription(config);
  return config.action.joints
    .filter(
      ({ name, isJoint, kind, integrated, lower, upper }) =>
        isJoint &&
        (kind !== 'velocity' ||
          integrated ||
          described ||
          Number.isFinite(lower) ||
          Number.isFinite(upper) ||
          config.state.joints.some((joint) => joint.name === name && joint.source === 'position')),
    )
    .map(({ name }) => name);
}
