import type { PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { decodeClock } from '../messages/decode.js';
import { type InputMessage, type PolicyInput, policyInputs } from '../messages/inputs.js';
import { type JointCommand, policyOutputs } from '../messages/outputs.js';
import { ROS_TYPE } from '../messages/types.js';
import type { Bag } from './bag/bag.js';

/** One decoded message of a bag: the policy's inputs, simulated time, and what was recorded on the policy's outputs. */
export type ReplayMessage =
  | InputMessage
  | { readonly kind: 'clock'; readonly time: bigint }
  | { readonly kind: 'action'; readonly action: JointCommand };

/** One topic that a replay reads. */
export interface ReplayInput {
  readonly kind: ReplayMessage['kind'];
  /** As the bag has it. */
  readonly topic: string;
  readonly type: string;
  /** Arrays may be views on `cdr`. Undefined for an action without usable values. @throws Refusal IMAGE_DATA, MESSAGE_DATA. */
  readonly decode: (cdr: Uint8Array) => ReplayMessage | undefined;
}

interface Candidate extends ReplayInput {
  /** Whether the bag must have it: always, only with the right type if at all, or never. */
  readonly required: 'always' | 'if present' | 'never';
  readonly camera?: PolicyInput['camera'];
}

function candidates(config: PolicyConfig, simulated: boolean): Candidate[] {
  return [
    ...policyInputs(config).map(({ kind, resolvedTopic: topic, type, camera, decode }): Candidate => {
      return { kind, topic, type, camera, decode, required: kind === 'prompt' ? 'if present' : 'always' };
    }),
    ...(simulated ? [CLOCK] : []),
    ...policyOutputs(config).commands.map(({ topic, type, decode }): Candidate => {
      return { kind: 'action', topic, type, required: 'never', decode: (cdr) => recordedAction(decode(cdr)) };
    }),
  ];
}

const CLOCK: Candidate = {
  kind: 'clock',
  topic: '/clock',
  type: ROS_TYPE.Clock,
  required: 'always',
  decode: (cdr) => ({ kind: 'clock', time: decodeClock(cdr, '/clock') }),
};

function recordedAction(action: JointCommand | undefined): ReplayMessage | undefined {
  return action && { kind: 'action', action };
}

/**
 * The topics of a bag that a replay reads.
 * @param config with resolved topics. @param simulated whether time comes from `/clock`.
 * @throws Pi05Error BAG_TOPIC with all missing topics in one sentence that lists those of the bag; BAG_DATA where one of
 * them has messages of several types.
 */
export function replayInputs(
  config: PolicyConfig,
  simulated: boolean,
  bag: Bag,
  bagName: string,
): Map<string, ReplayInput> {
  const inputs = new Map<string, ReplayInput>();
  const missing: Candidate[] = [];
  for (const candidate of candidates(config, simulated)) {
    const { type, conflict } = bag.topics.get(candidate.topic) ?? {};
    if (conflict !== undefined) throw new Pi05Error('BAG_DATA', conflict, candidate.topic);
    const { required } = candidate;
    if (type === candidate.type) inputs.set(candidate.topic, candidate);
    else if (required === 'always' || (required === 'if present' && type !== undefined)) missing.push(candidate);
  }
  if (missing.length > 0) throw topicError(missing, bag, bagName);
  if (config.prompt.trim() === '' && !bag.topics.has(config.promptTopic)) {
    throw new Pi05Error(
      'BAG_TOPIC',
      `Expected a prompt, but the parameter is empty and ${bagName} has no ${config.promptTopic} (-p prompt:='…' gives one)`,
      config.promptTopic,
    );
  }
  return inputs;
}

function topicError(missing: readonly Candidate[], bag: Bag, bagName: string): Pi05Error {
  const expected = missing.map(({ topic, type }) => {
    const other = bag.topics.get(topic)?.type;
    return `${type} on ${topic}${other === undefined ? '' : ` (not ${other})`}`;
  });
  const has = [...bag.topics].map(([topic, { type }]) => `${topic} (${type})`).sort();
  return new Pi05Error(
    'BAG_TOPIC',
    `Expected ${expected.join(' and ')} in ${bagName}, which has ${has.join(', ') || 'no topics'}${hint(missing, bag)}`,
    missing[0]?.topic,
  );
}

/** The option that probably solves it: another source of time, a namespace or the compressed topic. */
function hint(missing: readonly Candidate[], bag: Bag): string {
  const [first] = missing;
  if (first === undefined) return '';
  if (first.kind === 'clock' && missing.length === 1) {
    return ': -p use_sim_time:=false goes by the time of recording';
  }
  const prefixes = missing.map(({ topic, type }) => {
    const found = [...bag.topics].find(([other, { type: otherType }]) => otherType === type && other.endsWith(topic));
    return found?.[0].slice(0, -topic.length);
  });
  if (prefixes[0] !== undefined && prefixes[0] !== '' && prefixes.every((prefix) => prefix === prefixes[0])) {
    return `: try --namespace ${prefixes[0]}`;
  }
  const compressed = `${first.topic}/compressed`;
  if (first.kind !== 'image' || bag.topics.get(compressed)?.type !== ROS_TYPE.CompressedImage) return '';
  const parameter = `cameras.${first.camera?.name}`;
  return `: -p ${parameter}.topic:=${compressed} -p ${parameter}.transport:=compressed takes the compressed one`;
}
