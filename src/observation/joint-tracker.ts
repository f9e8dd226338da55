import type { PolicyConfig } from '../config/config.js';
import { fieldOf, type NeededJoint, neededJoints } from '../config/needed-joints.js';
import { toModel } from '../config/units.js';
import { Refusal, type RefusalCode } from '../errors.js';
import type { JointReading, MeasuredPositions } from '../frame/frame.js';
import { formatSeconds, tickPeriod } from '../time.js';
import { JointReader, type JointValue, type JointValues } from './joints.js';
import { AGREEMENT_TIME, type Jump, JumpCheck, STAMP_JITTER } from './jump-check.js';
import { StampChecker } from './stamp-checker.js';

/** The newest values of all joints at one time, in the order of the configuration. */
export interface JointSample {
  /** The newest stamp of a joint. */
  readonly stamp: bigint;
  /** The oldest stamp of a joint that is not `held`; `stamp` where all are. */
  readonly oldest: bigint;
  /** The topics of the joints with these stamps. */
  readonly topics: { readonly newest: string; readonly oldest: string };
  /** The first of its values is stale after this time. */
  readonly expires: bigint;
  /** [state joints] the model's units before normalisation (`config/units.ts`). */
  readonly state: Float64Array;
}

/** What a message led to. */
export type JointUpdate =
  /** It has none of the needed joints. */
  | { readonly outcome: 'ignored' }
  /** Joints of it are in doubt after a jump. The values of the others are the newest. */
  | { readonly outcome: 'in_doubt' }
  /** Its stamp is further from the clock than any of its joints allows. */
  | { readonly outcome: 'outdated'; readonly maxAge: bigint }
  /** Its values are the newest. Without a sample, a joint is not known yet or the rest of the same time is expected. */
  | { readonly outcome: 'accepted'; readonly sample: JointSample | undefined };

/** Something that is or is not wrong with the joints of a topic at present. */
export interface JointCondition {
  readonly code: Extract<RefusalCode, 'JOINT_MISSING' | 'JOINT_JUMP' | 'STATE_STALE'>;
  readonly topic: string;
  /** Undefined where nothing is wrong. */
  readonly sentence: string | undefined;
}

interface Newest {
  readonly stamp: bigint;
  /** As given to `update`. */
  readonly arrival: bigint;
  readonly value: JointValue;
}

/** How old the newest values are, ns. */
export interface JointAges {
  /** The largest age of a measured joint that is not a gripper. */
  readonly age: bigint;
  /** How far the age of a joint is beyond its maximum, of the joint with the most; negative where none is. */
  readonly overdue: bigint;
}

interface TrackedJoint {
  readonly joint: NeededJoint;
  readonly stampChecker: StampChecker;
  readonly jumpCheck: JumpCheck;
  newest: Newest | undefined;
  /** The stamp before the newest one. */
  previousStamp: bigint | undefined;
  /** Time of the newest valid value, ns: its stamp, or its arrival where the stamp is ahead; before that the reset. */
  lastData: bigint;
  /** Whether a message had it since the reset. */
  seen: boolean;
}

/** `unread`: messages arrived since the reset, but none could be decoded. */
type TopicState = 'silent' | 'unread' | 'read';

/**
 * The newest value of each needed joint. A message may have any of them: an arm and a gripper may be in messages of their own,
 * on one topic or on several. Each joint has an age of its own, and its stamps must advance.
 *
 * A message gives a sample of all joints, once all are known. If a joint that is not in the message came with the very stamp
 * of the last message of the joints in it, it is expected to come with this stamp too, and there is no sample until it does or
 * until the next message shows that it does not. So messages with parts of one time give the same samples as complete ones.
 */
export class JointTracker {
  readonly #config: PolicyConfig;
  readonly #reader: JointReader;
  readonly #joints: readonly TrackedJoint[];
  readonly #byName: ReadonlyMap<string, TrackedJoint>;
  readonly #topics: Map<string, TopicState>;
  /** The joints whose ages count as the age of the measured positions: those that are no grippers, where there are any. */
  readonly #arm: readonly TrackedJoint[];
  /** How far a stamp may be ahead of the clock, beyond the maximum age: in lock-step messages precede their tick. */
  readonly #maxLead: bigint;

  constructor(config: PolicyConfig) {
    const needed = neededJoints(config);
    const period = tickPeriod(config.controlRate);
    this.#config = config;
    this.#reader = new JointReader(config, needed);
    this.#maxLead = config.schedule.lockstep ? period : 0n;
    const grippers = new Set(config.action.joints.filter(({ gripper }) => gripper).map(({ name }) => name));
    this.#joints = needed.map((joint) => ({
      joint,
      jumpCheck: new JumpCheck(),
      stampChecker: new StampChecker(joint.topic, joint.maxAge, period),
      newest: undefined,
      previousStamp: undefined,
      lastData: 0n,
      seen: false,
    }));
    this.#byName = new Map(this.#joints.map((tracked) => [tracked.joint.name, tracked]));
    const measured = this.#joints.filter(({ joint }) => joint.measured);
    const arm = measured.filter(({ joint }) => !grippers.has(joint.name));
    this.#arm = [arm, measured].find((some) => some.length > 0) ?? this.#joints;
    this.#topics = new Map(needed.map(({ topic }) => [topic, 'silent']));
    this.setLimits(config);
  }

  /**
   * Grippers are not checked for jumps: their fingers snap to when what they hold slips.
   * @param config with the largest velocities of the joints: those of the robot description may come later.
   */
  setLimits({ action }: PolicyConfig): void {
    for (const { name, isJoint, gripper, maxVelocity } of action.joints) {
      const tracked = this.#byName.get(name);
      if (isJoint && !gripper && tracked?.joint.measured === true) tracked.jumpCheck.maxVelocity = maxVelocity;
    }
  }

  /** Whether values of a joint contradict each other (JOINT_JUMP): then no sample is to be used, not even an earlier one. */
  get inDoubt(): boolean {
    return this.#joints.some(({ jumpCheck }) => jumpCheck.inDoubt);
  }

  /** Forgets all values; ages count from `now`. */
  reset(now: bigint): void {
    for (const topic of this.#topics.keys()) this.#topics.set(topic, 'silent');
    for (const tracked of this.#joints) {
      tracked.stampChecker.reset();
      tracked.jumpCheck.reset();
      tracked.newest = undefined;
      tracked.previousStamp = undefined;
      tracked.lastData = now;
      tracked.seen = false;
    }
  }

  /** A message on `topic` could not be decoded. */
  announceUnread(topic: string): void {
    if (this.#topics.get(topic) === 'silent') this.#topics.set(topic, 'unread');
  }

  /**
   * @param topic full name. @param now ROS time, ns. @param arrival the present time on a clock that the caller chooses, for `ages`, ns.
   * @throws Refusal TIME_BACKWARDS, JOINT_JUMP and those of `JointReader.read`. A refused message changes no value, but after a jump
   * the values of its joint are not known.
   */
  update(reading: JointReading, topic: string, now: bigint, arrival = now): JointUpdate {
    this.#topics.set(topic, 'read');
    const present = this.#reader.present(reading, topic);
    for (const { name } of present) this.#byName.get(name)!.seen = true;
    const values = this.#reader.read(reading, topic);
    if (values === undefined) return { outcome: 'ignored' };
    const isStampedOnArrival = this.#isStampedOnArrival(reading, topic);
    const stamp = isStampedOnArrival ? now : reading.stamp;
    const named = this.#joints.filter((_, n) => values[n] !== undefined);
    const usable = named.filter(
      ({ joint: { maxAge } }) => now - stamp <= maxAge && stamp - now <= maxAge + this.#maxLead,
    );
    const backwards = checkOrder(named, stamp, now);
    // Also values whose stamp is refused: of two publishers that contradict each other, one may have a clock that is behind.
    this.#checkJumps(usable, stamp, values, topic, isStampedOnArrival);
    if (backwards !== undefined) throw backwards;
    if (usable.length === 0) {
      const ages = named.map(({ joint }) => joint.maxAge);
      return { outcome: 'outdated', maxAge: highest(ages) };
    }
    const trusted = usable.filter(({ jumpCheck }) => !jumpCheck.inDoubt);
    this.#accept(trusted, stamp, values, now, arrival);
    if (trusted.length < usable.length) return { outcome: 'in_doubt' };
    return { outcome: 'accepted', sample: this.#isPartExpected(trusted, stamp) ? undefined : this.#sample() };
  }

  /** The newest measured positions; undefined where a needed joint is unknown or stale. */
  measured(now: bigint): MeasuredPositions | undefined {
    if (this.#joints.some(({ newest, joint }) => newest === undefined || newest.stamp < now - joint.maxAge)) {
      return undefined;
    }
    return this.newestMeasured();
  }

  /** The newest measured positions, however old they are; undefined where a needed joint is unknown. */
  newestMeasured(): MeasuredPositions | undefined {
    if (this.#joints.some(({ newest }) => newest === undefined)) return undefined;
    const { joints } = this.#config.action;
    const positions = Float64Array.from(joints, ({ name }) => {
      const tracked = this.#byName.get(name);
      return tracked?.joint.measured === true ? tracked.newest!.value.position : NaN;
    });
    return { stamp: lowest(this.#arm.map(({ newest }) => newest!.stamp)), positions };
  }

  /**
   * The ages of the newest values; undefined where a needed joint is unknown.
   * @param ageOf the age of a value by its stamp and its arrival, ns.
   */
  ages(ageOf: (stamp: bigint, arrival: bigint) => bigint): JointAges | undefined {
    const age = ({ newest }: TrackedJoint): bigint => ageOf(newest!.stamp, newest!.arrival);
    if (this.#joints.length === 0 || this.#joints.some(({ newest }) => newest === undefined)) return undefined;
    return {
      age: highest(this.#arm.map(age)),
      overdue: highest(this.#joints.map((tracked) => age(tracked) - tracked.joint.maxAge)),
    };
  }

  /** Call this once per control tick: for each topic, whether its joints are absent or stale. */
  conditions(now: bigint): JointCondition[] {
    return [...this.#topics].flatMap(([topic, state]) => {
      const joints = this.#joints.filter(({ joint }) => joint.topic === topic);
      const late = joints.filter(({ joint, lastData }) => now - lastData > joint.maxAge);
      const absent = state === 'read' ? late.filter(({ seen }) => !seen) : [];
      const stale = late.filter((tracked) => !absent.includes(tracked));
      return [
        { code: 'JOINT_MISSING', topic, sentence: missingSentence(absent, joints, topic) },
        { code: 'JOINT_JUMP', topic, sentence: doubtSentence(joints, topic) },
        { code: 'STATE_STALE', topic, sentence: staleSentence(stale, joints, topic, state, now) },
      ];
    });
  }

  /** @throws Refusal JOINT_JUMP. Each joint has then been checked, and those that jumped are in doubt. */
  #checkJumps(
    joints: readonly TrackedJoint[],
    stamp: bigint,
    values: JointValues,
    topic: string,
    isStampedOnArrival: boolean,
  ): void {
    const jumps: string[] = [];
    for (const tracked of joints) {
      const { joint, jumpCheck } = tracked;
      if (!joint.measured) continue;
      // Messages that wait for a busy thread arrive together.
      const jitter = isStampedOnArrival && joint.maxAge > STAMP_JITTER ? joint.maxAge : STAMP_JITTER;
      const jump = jumpCheck.update(values[this.#joints.indexOf(tracked)]!.position, stamp, jitter);
      if (jump !== undefined) jumps.push(jumpText(joint.name, jump));
      if (jumpCheck.inDoubt) tracked.newest = undefined;
    }
    if (jumps.length === 0) return;
    const sentence = `Expected steps that the joints can make, received ${jumps.join(', ')} from ${topic}; not used`;
    throw new Refusal('JOINT_JUMP', sentence, topic);
  }

  #isStampedOnArrival({ stamp }: JointReading, topic: string): boolean {
    if (stamp === 0n && this.#config.state.zeroStamp === 'arrival') return true;
    return this.#joints.some(({ joint }) => joint.topic === topic && joint.isNumber);
  }

  #accept(joints: readonly TrackedJoint[], stamp: bigint, values: JointValues, now: bigint, arrival: bigint): void {
    const latest = now + this.#maxLead;
    const dataTime = stamp < latest ? stamp : latest;
    for (const tracked of joints) {
      tracked.stampChecker.accept({ stamp }, now);
      if (tracked.newest?.stamp !== stamp) tracked.previousStamp = tracked.newest?.stamp;
      tracked.newest = { stamp, arrival, value: values[this.#joints.indexOf(tracked)]! };
      if (dataTime > tracked.lastData) tracked.lastData = dataTime;
    }
  }

  /** Whether a joint that came with the last stamp of `joints` has not come with their newest stamp. */
  #isPartExpected(joints: readonly TrackedJoint[], stamp: bigint): boolean {
    const before = new Set(joints.map(({ previousStamp }) => previousStamp));
    return this.#joints.some(({ newest }) => newest !== undefined && newest.stamp < stamp && before.has(newest.stamp));
  }

  /** Undefined while a joint is not known. */
  #sample(): JointSample | undefined {
    let newest: TrackedJoint | undefined;
    let oldest: TrackedJoint | undefined;
    let expires: bigint | undefined;
    for (const tracked of this.#joints) {
      if (tracked.newest === undefined) return undefined;
      const { stamp } = tracked.newest;
      const { maxAge, held } = tracked.joint;
      if (newest === undefined || stamp > newest.newest!.stamp) newest = tracked;
      if (!held && (oldest === undefined || stamp < oldest.newest!.stamp)) oldest = tracked;
      if (expires === undefined || stamp + maxAge < expires) expires = stamp + maxAge;
    }
    if (newest === undefined || expires === undefined) return undefined;
    oldest ??= newest;
    return {
      stamp: newest.newest!.stamp,
      oldest: oldest.newest!.stamp,
      topics: { newest: newest.joint.topic, oldest: oldest.joint.topic },
      expires,
      state: Float64Array.from(this.#config.state.joints, (joint) => {
        return toModel(this.#byName.get(joint.name)!.newest!.value[fieldOf(joint.source)], joint);
      }),
    };
  }
}

/** @returns TIME_BACKWARDS of the first joint whose stamp does not advance. Each joint's checker has seen the stamp. */
function checkOrder(joints: readonly TrackedJoint[], stamp: bigint, now: bigint): Refusal | undefined {
  const refusals: Refusal[] = [];
  for (const { stampChecker } of joints) {
    try {
      stampChecker.isDuplicate({ stamp }, [], now);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
    }
  }
  return refusals[0];
}

function jumpText(name: string, { step, allowed, time }: Jump): string {
  return `${step.toPrecision(3)} in ${formatSeconds(time)} s (at most ${allowed.toPrecision(3)}) of ${name}`;
}

function doubtSentence(joints: readonly TrackedJoint[], topic: string): string | undefined {
  const doubtful = joints.filter(({ jumpCheck }) => jumpCheck.inDoubt);
  if (doubtful.length === 0) return undefined;
  const agreement = formatSeconds(
    doubtful.map(({ jumpCheck }) => jumpCheck.agreement).reduce((low, one) => (one < low ? one : low)),
  );
  const expected = `Expected values of ${names(doubtful)} that agree for ${formatSeconds(AGREEMENT_TIME)} s after a jump`;
  return `${expected}, received ${agreement} s of them from ${topic}; not used`;
}

function missingSentence(
  absent: readonly TrackedJoint[],
  joints: readonly TrackedJoint[],
  topic: string,
): string | undefined {
  if (absent.length === 0) return undefined;
  const received = joints.filter(({ seen }) => seen).length;
  return `Expected ${joints.length} values for state, received ${received} from ${topic} (missing: ${names(absent)})`;
}

function staleSentence(
  stale: readonly TrackedJoint[],
  joints: readonly TrackedJoint[],
  topic: string,
  state: TopicState,
  now: bigint,
): string | undefined {
  const [first] = stale;
  if (first === undefined) return undefined;
  const age = formatSeconds(now - lowest(stale.map(({ lastData }) => lastData)));
  if (state === 'silent') return `Expected messages on ${topic}, received none in ${age} s`;
  const which = stale.length === joints.length ? '' : ` for ${names(stale)}`;
  const expected = `Expected valid data at most ${formatSeconds(first.joint.maxAge)} s old${which} on ${topic}`;
  return `${expected}, received the last ${age} s ago`;
}

function names(joints: readonly TrackedJoint[]): string {
  return joints.map(({ joint }) => joint.name).join(', ');
}

function lowest(times: readonly bigint[]): bigint {
  return times.reduce((low, time) => (time < low ? time : low));
}

function highest(times: readonly bigint[]): bigint {
  return times.reduce((high, time) => (time > high ? time : high));
}
