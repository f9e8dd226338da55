import type { PolicyConfig } from '../config/config.js';
import { Pi05Error, Refusal } from '../errors.js';
import type { ActionChunk } from '../frame/frame.js';
import { decodeJointTrajectory } from '../messages/decode.js';
import { policyOutputs, type PolicyOutputs } from '../messages/outputs.js';
import type { JointTrajectory } from '../messages/types.js';
import { formatTimestamp, fromRosTime } from '../time.js';
import { type Bag, openBag } from './bag/bag.js';
import type { ReplayListener } from './listener.js';

/** The result of a comparison, as `--json` contains it. */
export interface ComparisonResult {
  readonly baseline: string;
  /** In the unit of each joint. */
  readonly tolerance: number;
  /** Number of chunks that are in both runs. */
  readonly compared: number;
  /** The largest difference of two values, also within the tolerance. */
  readonly largest: number;
  /** Number of chunks that differ, are missing or are additional. */
  readonly different: number;
  /** One sentence about the first of them; null where the runs agree. */
  readonly difference: string | null;
}

/**
 * Compares the chunks of this run with those of an earlier one by their stamps, in the order of publication. NaN differs from
 * every value. The earlier run is read in step with this one, so memory does not grow with its length.
 */
export class Comparison implements ReplayListener {
  readonly #path: string;
  readonly #bag: Bag;
  readonly #expected: AsyncIterator<JointTrajectory, void>;
  readonly #tolerance: number;
  readonly #output: PolicyOutputs['chunk'];
  #next: JointTrajectory | undefined;
  #received: ActionChunk[] = [];
  #compared = 0;
  #largest = 0;
  #different = 0;
  #difference: string | undefined;

  private constructor(path: string, bag: Bag, config: PolicyConfig, tolerance: number) {
    this.#path = path;
    this.#bag = bag;
    this.#output = policyOutputs(config).chunk;
    this.#expected = chunks(bag, this.#output.topic, path);
    this.#tolerance = tolerance;
  }

  /**
   * @param config with resolved topics. @param tolerance in the unit of each joint.
   * @throws Pi05Error BAG_DATA where the bag is damaged, BAG_TOPIC where it has no chunk.
   */
  static async open(path: string, config: PolicyConfig, tolerance: number): Promise<Comparison> {
    const bag = await openBag(path);
    if (bag.damage !== undefined) {
      await bag.close();
      throw new Pi05Error('BAG_DATA', bag.damage, path);
    }
    const comparison = new Comparison(path, bag, config, tolerance);
    const { topic, type } = comparison.#output;
    if (bag.topics.get(topic)?.type === type) await comparison.#advance();
    if (comparison.#next === undefined) {
      await bag.close();
      const has = [...bag.topics].map(([other, about]) => `${other} (${about.type})`).join(', ') || 'no topics';
      throw new Pi05Error(
        'BAG_TOPIC',
        `Expected chunks (${type}) on ${topic} in ${path}, received none; it has ${has}`,
        topic,
      );
    }
    return comparison;
  }

  chunk(chunk: ActionChunk): void {
    this.#received.push(chunk);
  }

  drain(): Promise<void> | undefined {
    return this.#received.length > 0 ? this.#compareReceived() : undefined;
  }

  /** Call after the last chunk: further chunks of the earlier run count as missing. */
  async finish(): Promise<ComparisonResult> {
    await this.drain();
    while (this.#next !== undefined) await this.#addMissing(this.#next);
    return {
      baseline: this.#path,
      tolerance: this.#tolerance,
      compared: this.#compared,
      largest: this.#largest,
      different: this.#different,
      difference: this.#difference ?? null,
    };
  }

  close(): Promise<void> {
    return this.#bag.close();
  }

  async #compareReceived(): Promise<void> {
    for (const chunk of this.#received.splice(0)) {
      while (this.#next !== undefined && stampOf(this.#next) < chunk.stamp) await this.#addMissing(this.#next);
      if (this.#next === undefined || stampOf(this.#next) !== chunk.stamp) {
        this.#addDifference(
          `Expected no chunk stamped ${formatTimestamp(chunk.stamp)} as in ${this.#path}, received one`,
        );
        continue;
      }
      this.#compared++;
      const difference = this.#differenceOf(this.#next, this.#output.build(chunk));
      if (difference !== undefined) this.#addDifference(difference);
      await this.#advance();
    }
  }

  async #addMissing(chunk: JointTrajectory): Promise<void> {
    this.#addDifference(
      `Expected a chunk stamped ${formatTimestamp(stampOf(chunk))} as in ${this.#path}, received none`,
    );
    await this.#advance();
  }

  #addDifference(difference: string): void {
    this.#different++;
    this.#difference ??= difference;
  }

  async #advance(): Promise<void> {
    const { value, done } = await this.#expected.next();
    this.#next = done === true ? undefined : value;
  }

  #differenceOf(expected: JointTrajectory, { joint_names: names, points }: JointTrajectory): string | undefined {
    const chunk = `the chunk stamped ${formatTimestamp(stampOf(expected))}`;
    if (expected.joint_names.join() !== names.join()) {
      return `Expected the joints ${expected.joint_names.join(', ')} in ${chunk}, received ${names.join(', ')}`;
    }
    if (expected.points.length !== points.length) {
      return `Expected ${expected.points.length} steps in ${chunk}, received ${points.length}`;
    }
    let first: string | undefined;
    for (const [step, expectedPoint] of expected.points.entries()) {
      const receivedPoint = points[step]!;
      const [expectedTime, receivedTime] = [
        fromRosTime(expectedPoint.time_from_start),
        fromRosTime(receivedPoint.time_from_start),
      ];
      if (expectedTime !== receivedTime) {
        return `Expected step ${step} of ${chunk} ${formatTimestamp(expectedTime)} s after its stamp, received ${formatTimestamp(receivedTime)} s`;
      }
      for (const [column, joint] of names.entries()) {
        const sentence = this.#valueDifference(expectedPoint, receivedPoint, column);
        if (sentence !== undefined) first ??= `${sentence} for ${joint} in step ${step} of ${chunk}`;
      }
    }
    return first;
  }

  /** A joint has a position or a velocity; the other field is NaN or empty in the messages. */
  #valueDifference(expectedPoint: Values, receivedPoint: Values, column: number): string | undefined {
    let hasNumber = false;
    for (const [field, unit] of FIELDS) {
      const [expected, received] = [expectedPoint[field][column] ?? NaN, receivedPoint[field][column] ?? NaN];
      if (Number.isNaN(expected) && Number.isNaN(received)) continue;
      hasNumber = true;
      const difference = Math.abs(received - expected);
      if (difference > this.#largest) this.#largest = difference;
      if (difference <= this.#tolerance) continue;
      const within = this.#tolerance > 0 ? ` within ${this.#tolerance}` : '';
      return `Expected a ${unit} of ${expected}${within}, received ${received}`;
    }
    return hasNumber ? undefined : 'Expected a number, received NaN in both runs';
  }
}

interface Values {
  readonly positions: Float64Array;
  readonly velocities: Float64Array;
}

const FIELDS = [
  ['positions', 'position'],
  ['velocities', 'velocity'],
] as const;

function stampOf({ header }: JointTrajectory): bigint {
  return fromRosTime(header.stamp);
}

async function* chunks(bag: Bag, topic: string, path: string): AsyncGenerator<JointTrajectory, void, void> {
  for await (const { data } of bag.messages(new Set([topic]))) {
    try {
      yield decodeJointTrajectory(data, topic);
    } catch (error) {
      throw error instanceof Refusal ? new Pi05Error('BAG_DATA', `${error.message} in ${path}`, path) : error;
    }
  }
}
