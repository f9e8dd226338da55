import type { CameraConfig, OutputConfig, PolicyConfig } from '../config/config.js';
import { Pi05Error } from '../errors.js';
import { ARRAY, TRAJECTORY } from '../messages/builders.js';
import type { Bag } from './bag/bag.js';

/** What a topic of the bag is to the policy. */
export type Input =
  | { readonly kind: 'image' | 'compressed'; readonly camera: CameraConfig }
  | { readonly kind: 'joints' | 'prompt' | 'clock' }
  | { readonly kind: 'action'; readonly output: OutputConfig };

interface Wanted {
  readonly topic: string;
  readonly type: string;
  readonly input: Input;
  /** Whether a bag without it is refused, and one where it is of another type. */
  readonly need: 'always' | 'if there' | 'never';
}

/** Topics and types that the policy listens to, and those of its outputs, on which a bag may hold what was really done. */
function wanted(config: PolicyConfig, simulated: boolean): Wanted[] {
  const { cameras, state, outputs, promptTopic } = config;
  return [
    ...cameras.map((camera): Wanted => {
      const raw = camera.transport === 'raw';
      const type = raw ? 'sensor_msgs/msg/Image' : 'sensor_msgs/msg/CompressedImage';
      return { topic: camera.topic, type, input: { kind: raw ? 'image' : 'compressed', camera }, need: 'always' };
    }),
    ...(state.mode === 'none' ? [] : [listened(state.topic, 'sensor_msgs/msg/JointState', 'joints', 'always')]),
    ...(simulated ? [listened('/clock', 'rosgraph_msgs/msg/Clock', 'clock', 'always')] : []),
    listened(promptTopic, 'std_msgs/msg/String', 'prompt', 'if there'),
    ...outputs.map((output): Wanted => ({
      topic: output.topic,
      type: output.type === 'positions' ? TRAJECTORY : ARRAY,
      input: { kind: 'action', output },
      need: 'never',
    })),
  ];
}

function listened(topic: string, type: string, kind: 'joints' | 'prompt' | 'clock', need: Wanted['need']): Wanted {
  return { topic, type, input: { kind }, need };
}

/**
 * The bag's topics that a replay reads.
 * @param config with resolved topics. @param simulated whether time is `/clock`'s.
 * @throws Pi05Error BAG_TOPIC for what the bag lacks, all of it, in one sentence that names what it has.
 */
export function inputsOf(config: PolicyConfig, simulated: boolean, bag: Bag, name: string): Map<string, Input> {
  const inputs = new Map<string, Input>();
  const lacking: Wanted[] = [];
  for (const want of wanted(config, simulated)) {
    const type = bag.topics.get(want.topic)?.type;
    if (type === want.type) inputs.set(want.topic, want.input);
    else if (want.need === 'always' || (want.need === 'if there' && type !== undefined)) lacking.push(want);
  }
  if (lacking.length > 0) throw topicError(lacking, bag, name);
  if (config.prompt.trim() === '' && !bag.topics.has(config.promptTopic)) {
    throw new Pi05Error(
      'BAG_TOPIC',
      `Expected a prompt, but the parameter is empty and ${name} has no ${config.promptTopic} (-p prompt:='…' gives one)`,
      config.promptTopic,
    );
  }
  return inputs;
}

function topicError(lacking: readonly Wanted[], bag: Bag, name: string): Pi05Error {
  const expected = lacking.map(({ topic, type }) => {
    const other = bag.topics.get(topic)?.type;
    return `${type} on ${topic}${other === undefined ? '' : ` (not ${other})`}`;
  });
  const has = [...bag.topics].map(([topic, { type }]) => `${topic} (${type})`).sort();
  return new Pi05Error(
    'BAG_TOPIC',
    `Expected ${expected.join(' and ')} in ${name}, which has ${has.join(', ') || 'no topics'}${hint(lacking, bag)}`,
    lacking[0]?.topic,
  );
}

/** What was probably meant. */
function hint(lacking: readonly Wanted[], bag: Bag): string {
  const [first] = lacking;
  if (first === undefined) return '';
  if (first.input.kind === 'clock' && lacking.length === 1) {
    return ': -p use_sim_time:=false goes by the time of recording';
  }
  const prefixes = lacking.map(({ topic, type }) => {
    const found = [...bag.topics].find(([there, about]) => about.type === type && there.endsWith(topic));
    return found?.[0].slice(0, -topic.length);
  });
  if (prefixes[0] !== undefined && prefixes[0] !== '' && prefixes.every((prefix) => prefix === prefixes[0])) {
    return `: try --namespace ${prefixes[0]}`;
  }
  const camera = first.input.kind === 'image' ? first.input.camera : undefined;
  const compressed = `${first.topic}/compressed`;
  if (camera === undefined || bag.topics.get(compressed)?.type !== 'sensor_msgs/msg/CompressedImage') return '';
  const member = `cameras.${camera.name}`;
  return `: -p ${member}.topic:=${compressed} -p ${member}.transport:=compressed takes the compressed one`;
}
