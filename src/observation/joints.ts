import type { PolicyConfig, StateJoint } from '../config/config.js';
import { fieldOf, type JointField, type NeededJoint } from '../config/needed-joints.js';
import { Refusal } from '../errors.js';
import { excerpt } from '../format.js';
import type { JointReading } from '../frame/frame.js';

const PLURAL = { position: 'positions', velocity: 'velocities', effort: 'efforts' } as const;

/** The fields of one joint in one message; NaN where the field is not read. */
export type JointValue = Readonly<Record<JointField, number>>;

/** The values of one message by the index of the needed joint; undefined for those that are not in the message. */
export type JointValues = readonly (JointValue | undefined)[];

/** Reads the needed joints from joint messages by name and checks them. Other joints in a message are ignored. */
export class JointReader {
  readonly #needed: readonly NeededJoint[];
  /** State joints with limits, and their indices among the needed ones. */
  readonly #limited: readonly { readonly joint: StateJoint; readonly index: number }[];

  /** @param needed from `neededJoints`. */
  constructor(config: PolicyConfig, needed: readonly NeededJoint[]) {
    this.#needed = needed;
    this.#limited = config.state.joints
      .filter(({ lower, upper }) => lower > -Infinity || upper < Infinity)
      .map((joint) => ({ joint, index: needed.findIndex(({ name }) => name === joint.name) }));
  }

  /** The needed joints that are in a message on `topic`. */
  present({ name }: JointReading, topic: string): NeededJoint[] {
    const names = new Set(name);
    return this.#needed.filter((joint) => joint.topic === topic && names.has(joint.name));
  }

  /**
   * @returns undefined where the message has no needed joint.
   * @throws Refusal JOINT_COUNT where a needed array does not have one value per name, JOINT_DUPLICATE where a needed joint
   * appears twice, JOINT_NOT_FINITE, JOINT_RANGE where a value of the state is beyond its configured limits; each names the
   * joints.
   */
  read(reading: JointReading, topic: string): JointValues | undefined {
    const present = this.present(reading, topic);
    if (present.length === 0) return undefined;
    checkCounts(present, reading, topic);
    const indices = indicesByName(present, reading, topic);
    const values = this.#needed.map(({ name, fields }, n): JointValue | undefined => {
      const index = present.includes(this.#needed[n]!) ? indices.get(name) : undefined;
      if (index === undefined) return undefined;
      const value = (field: JointField): number => (fields.includes(field) ? reading[field][index]! : NaN);
      return { position: value('position'), velocity: value('velocity'), effort: value('effort') };
    });
    this.#checkFinite(values, topic);
    this.#checkRanges(values, topic);
    return values;
  }

  #checkFinite(values: JointValues, topic: string): void {
    for (const field of Object.keys(PLURAL) as JointField[]) {
      const bad = this.#needed.flatMap(({ name, fields }, n) => {
        const value = values[n]?.[field];
        return value === undefined || !fields.includes(field) || Number.isFinite(value) ? [] : [`${value} for ${name}`];
      });
      if (bad.length === 0) continue;
      throw new Refusal(
        'JOINT_NOT_FINITE',
        `Expected finite ${PLURAL[field]}, received ${bad.join(', ')} from ${topic}`,
        topic,
      );
    }
  }

  #checkRanges(values: JointValues, topic: string): void {
    const outOfRange = this.#limited.filter(({ joint, index }) => {
      const value = values[index]?.[fieldOf(joint.source)];
      return value !== undefined && (value < joint.lower || value > joint.upper);
    });
    if (outOfRange.length === 0) return;
    const limits = outOfRange
      .map(({ joint: { name, lower, upper } }) => `${name} from ${lower} to ${upper}`)
      .join(', ');
    const received = outOfRange
      .map(({ joint: { name, source }, index }) => `${values[index]![fieldOf(source)]} for ${name}`)
      .join(', ');
    throw new Refusal('JOINT_RANGE', `Expected ${limits}, received ${received} from ${topic}`, topic);
  }
}

function checkCounts(present: readonly NeededJoint[], { name, ...arrays }: JointReading, topic: string): void {
  for (const field of new Set(present.flatMap(({ fields }) => fields))) {
    const received = arrays[field].length;
    if (received === name.length) continue;
    const withoutValue = name.slice(received);
    const missing = withoutValue.length > 0 ? ` (no value for: ${excerpt(withoutValue.join(', '))})` : '';
    const values = PLURAL[field];
    throw new Refusal(
      'JOINT_COUNT',
      `Expected ${name.length} ${values} for ${name.length} names, received ${received} from ${topic}${missing}`,
      topic,
    );
  }
}

function indicesByName(
  present: readonly NeededJoint[],
  { name }: JointReading,
  topic: string,
): ReadonlyMap<string, number> {
  const needed = new Set(present.map((joint) => joint.name));
  const indices = new Map<string, number>();
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
  return indices;
}
