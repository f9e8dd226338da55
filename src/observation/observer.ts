import type { CameraConfig, PolicyConfig } from '../config/config.js';
import { Refusal } from '../errors.js';
import type { RefusalCode } from '../errors.js';
import type { CameraFrame, CompressedImage, JointReading, Observation, RawImage, View } from '../frame/frame.js';
import { ReportThrottle } from '../report-throttle.js';
import { formatSeconds, SECOND, tickPeriod } from '../time.js';
import { newestSet, stampOf } from './align.js';
import { History, type Stamped } from './history.js';
import { checkImage, decodeCompressed, isDuplicate } from './image.js';
import { JointReader } from './joints.js';
import type { JointSample } from './joints.js';
import { Order } from './order.js';
import { excerpt } from './words.js';

const FRAME_HISTORY_BYTES = 128 * 1024 * 1024;
const JOINT_HISTORY_ITEMS = 4096;
const A_DAY = 86_400n * SECOND;
/** Neither white space nor a control or format character. */
const VISIBLE = /[^\s\p{C}]/u;

type Input = CameraFrame | JointSample;

/** One input and what is known of it. */
interface Stream<T extends Input> {
  readonly topic: string;
  readonly maxAge: bigint;
  readonly history: History<T>;
  readonly missing: RefusalCode;
  readonly stale: RefusalCode;
  /** Whether any message came since the start. */
  seen: boolean;
  /** When it last gave something new: the newest stamp, or its arrival where the stamp is ahead; at first the start. */
  alive: bigint;
  readonly order: Order;
}

interface CameraStream extends Stream<CameraFrame> {
  readonly camera: CameraConfig;
  decoding: boolean;
  waiting: { readonly image: CompressedImage; readonly decoded: Promise<CameraFrame> | undefined } | undefined;
}

/**
 * Turns messages into observations, or into refusals. Messages that pass their checks enter a short history per stream;
 * the newest set of them whose stamps agree becomes an observation when one is asked for. A bad message is refused and
 * touches nothing else. What a single message is refused for is reported for each; conditions that last are reported
 * when they begin and once a second (`ReportThrottle`).
 */
export class Observer {
  readonly #config: PolicyConfig;
  readonly #report: (refusal: Refusal) => void;
  readonly #changed: () => void;
  readonly #clock: () => bigint;
  readonly #cameras: ReadonlyMap<string, CameraStream>;
  readonly #joints: Stream<JointSample> | undefined;
  readonly #streams: readonly Stream<Input>[];
  readonly #reader: JointReader;
  readonly #throttle = new ReportThrottle();
  readonly #decodes = new Set<Promise<void>>();
  /** Counts starts: what was decoded for an earlier one is dropped. */
  #start = 0;
  /** Stamp of the newest set that was handed out, and of the newest that was looked at. */
  #built: readonly Stamped[] | undefined;
  #judged:
    { readonly stamp: bigint; readonly views: readonly View[]; readonly pair: readonly View[] | undefined } | undefined;
  #prompt: string;
  /** How far ahead of the clock a good stamp may be: in lock-step messages come before the clock of their tick. */
  readonly #lead: bigint;

  /**
   * @param report gets each refusal. @param changed is called when a message was accepted outside a call of `offer…`,
   * that is when a decode is done. @param clock ROS time, ns.
   */
  constructor(config: PolicyConfig, report: (refusal: Refusal) => void, changed: () => void, clock: () => bigint) {
    this.#config = config;
    this.#report = report;
    this.#changed = changed;
    this.#clock = clock;
    this.#prompt = config.prompt;
    const period = tickPeriod(config.controlRate);
    this.#lead = config.schedule.lockstep ? period : 0n;
    this.#reader = new JointReader(config);
    const cameras = config.cameras.map((camera): CameraStream => ({
      ...stream<CameraFrame>(camera, 'CAMERA_MISSING', 'CAMERA_STALE', new History(FRAME_HISTORY_BYTES), period),
      camera,
      decoding: false,
      waiting: undefined,
    }));
    this.#cameras = new Map(cameras.map((c) => [c.camera.name, c]));
    this.#joints =
      config.state.mode === 'joints'
        ? stream<JointSample>(config.state, 'STATE_STALE', 'STATE_STALE', new History(JOINT_HISTORY_ITEMS), period)
        : undefined;
    this.#streams = [...cameras, ...(this.#joints ? [this.#joints] : [])];
  }

  get prompt(): string {
    return this.#prompt;
  }

  /** A prompt that is empty again is said again. */
  set prompt(text: string) {
    this.#prompt = text;
    this.#throttle.clear(`PROMPT_EMPTY ${this.#config.promptTopic}`);
  }

  /** Forgets all inputs; ages count from `now`. */
  reset(now: bigint): void {
    this.#start++;
    this.#built = undefined;
    this.#judged = undefined;
    this.#throttle.clearAll();
    for (const stream of this.#streams) {
      stream.history.clear();
      stream.seen = false;
      stream.alive = now;
      stream.order.reset();
    }
    for (const camera of this.#cameras.values()) camera.waiting = undefined;
  }

  /** Whether the image was accepted. `image.data` is kept, not copied. */
  offerImage(camera: string, image: RawImage, now: bigint): boolean {
    const stream = this.#camera(camera);
    return this.#attempt(() => this.#accept(stream, checkImage(image, stream.topic, this.#config.image), now), stream);
  }

  /**
   * Decodes off this thread, one image at a time per camera; while one is decoded only the newest other one waits.
   * @param decoded what `decodeCompressed` gives for it, where that was called ahead.
   */
  offerCompressed(camera: string, image: CompressedImage, decoded?: Promise<CameraFrame>): void {
    const stream = this.#camera(camera);
    stream.seen = true;
    stream.waiting = { image, decoded };
    if (stream.decoding) return;
    stream.decoding = true;
    const decode = this.#decode(stream).finally(() => {
      this.#decodes.delete(decode);
    });
    this.#decodes.add(decode);
  }

  /** Whether the reading was accepted. */
  offerJoints(reading: JointReading, now: bigint): boolean {
    const stream = this.#joints;
    if (stream === undefined) return false;
    return this.#attempt(() => this.#accept(stream, this.#reader.read(reading), now), stream);
  }

  /** Whether a frame with these bytes is kept. */
  holds(data: Uint8Array): boolean {
    return [...this.#cameras.values()].some(({ history }) => history.items.some((frame) => frame.data === data));
  }

  /** Whether there is a set of inputs that are all stamped `since` or later. */
  isComplete(now: bigint, since: bigint): boolean {
    return this.#align(now)?.every(({ stamp }) => stamp >= since) ?? false;
  }

  /**
   * The newest set that is newer than the last one given, as an observation; undefined where there is none or it was refused.
   * @param whole whether every one of its inputs has to be newer, not just one of them.
   */
  take(now: bigint, whole = false): Observation | undefined {
    if (this.#promptless) return undefined;
    const set = this.#align(now);
    if (set === undefined) return undefined;
    const stamp = stampOf(set);
    const last = this.#built;
    if (last !== undefined && stamp <= stampOf(last)) return undefined;
    if (whole && last !== undefined && !set.every((input, i) => input.stamp > last[i]!.stamp)) return undefined;
    this.#built = set.map(({ stamp }) => ({ stamp }));
    if (!this.#judge(set, stamp, now)) return undefined;
    return {
      stamp,
      views: this.#views(set),
      state: this.#sample(set)?.state ?? new Float64Array(0),
      prompt: this.prompt,
    };
  }

  /** Reports the conditions that hold at `now`; to be called once a control tick. */
  watch(now: bigint): void {
    for (const stream of this.#streams) this.#watchAge(stream, now);
    const { promptTopic } = this.#config;
    this.#condition(
      'PROMPT_EMPTY',
      promptTopic,
      this.#promptless,
      now,
      () => `Expected a prompt, received ${JSON.stringify(excerpt(this.prompt))} from ${promptTopic}`,
    );
    const previous = this.#judged?.stamp;
    const set = this.#align(now);
    if (set !== undefined && (previous === undefined || stampOf(set) > previous)) {
      this.#judge(set, stampOf(set), now);
      return;
    }
    const newest = this.#streams.map(({ history }) => history.newest?.stamp);
    if (newest.every((stamp) => stamp !== undefined && (previous === undefined || stamp > previous)))
      this.#reportSkew(now);
  }

  /** Newest measured positions, [action joints] in the robot's units, NaN where none is needed; undefined when stale. */
  measured(now: bigint): Float64Array | undefined {
    if (this.#joints === undefined) return new Float64Array(this.#config.action.joints.length).fill(NaN);
    const newest = this.#joints.history.newest;
    return newest !== undefined && newest.stamp >= now - this.#joints.maxAge ? newest.measured : undefined;
  }

  /** Resolves when no decode is in flight. */
  async idle(): Promise<void> {
    while (this.#decodes.size > 0) await Promise.all(this.#decodes);
  }

  get #promptless(): boolean {
    return !VISIBLE.test(this.prompt);
  }

  #camera(name: string): CameraStream {
    const stream = this.#cameras.get(name);
    if (stream === undefined) throw new RangeError(`No camera ${name} is configured`);
    return stream;
  }

  #attempt(accept: () => boolean, stream: { seen: boolean }): boolean {
    stream.seen = true;
    try {
      return accept();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#report(error);
      return false;
    }
  }

  async #decode(stream: CameraStream): Promise<void> {
    for (let next = stream.waiting; next !== undefined; next = stream.waiting) {
      stream.waiting = undefined;
      const start = this.#start;
      const decoded = next.decoded ?? decodeCompressed(next.image, stream.topic, this.#config.image);
      const result = await decoded.catch((error: unknown) => error as Refusal);
      if (start !== this.#start) continue;
      if (result instanceof Refusal) this.#report(result);
      else if (this.#attempt(() => this.#accept(stream, result, this.#clock()), stream)) this.#changed();
    }
    stream.decoding = false;
  }

  /** @throws Refusal TIME_BACKWARDS, CAMERA_FROZEN. */
  #accept<T extends Input>(stream: Stream<T>, item: T, now: bigint): boolean {
    if (stream.order.isRedelivery(item, stream.history.items, now)) return false;
    const age = now - item.stamp;
    if (age > stream.maxAge || -age > stream.maxAge + this.#lead) {
      const apart = age < 0n ? -age : age;
      const said = `${formatSeconds(apart)} s ${age < 0n ? 'ahead of' : 'behind'} the clock`;
      // Wall time and simulated time are years apart.
      const years = apart > A_DAY ? ' (does use_sim_time agree with the publisher?)' : '';
      const hint = item.stamp === 0n ? ' (its stamp is 0)' : years;
      this.#condition(
        stream.stale,
        stream.topic,
        true,
        now,
        () =>
          `Expected a stamp within ${formatSeconds(stream.maxAge)} s, received one ${said} from ${stream.topic}${hint}`,
      );
      return false;
    }
    stream.order.accept(item, now);
    stream.history.add(item, 'data' in item ? item.data.byteLength : 1);
    const latest = now + this.#lead;
    const alive = item.stamp < latest ? item.stamp : latest;
    if (alive > stream.alive) stream.alive = alive;
    return true;
  }

  #align(now: bigint): Input[] | undefined {
    for (const { history, maxAge } of this.#streams) history.expire(now - maxAge);
    return newestSet(
      this.#streams.map(({ history }) => history.items),
      this.#config.sync.maxSkew,
    );
  }

  #views(set: readonly Input[]): View[] {
    return [...this.#cameras.values()].map(({ camera }, i) => ({
      camera: camera.name,
      slot: camera.slot,
      frame: set[i] as CameraFrame,
    }));
  }

  #sample(set: readonly Input[]): JointSample | undefined {
    return this.#joints && (set.at(-1) as JointSample);
  }

  /** Whether the set is good as a whole; checked once for the same frames. */
  #judge(set: readonly Input[], stamp: bigint, now: bigint): boolean {
    if (this.#judged?.stamp !== stamp) {
      const views = this.#views(set);
      const before = this.#judged;
      const same = before !== undefined && views.every(({ frame }, i) => frame === before.views[i]!.frame);
      const pair = same ? before.pair : duplicates(views);
      const topics = (pair ?? []).map(({ camera }) => this.#camera(camera).topic);
      this.#condition('CAMERA_DUPLICATE', topics.at(-1) ?? '', pair !== undefined, now, () => {
        const slots = pair!.map(({ slot }) => slot).join(' and ');
        return `Expected different views for ${slots}, received identical pixels from ${topics.join(' and ')}`;
      });
      this.#throttle.clear('CAMERA_SKEW');
      this.#judged = { stamp, views, pair };
    }
    return this.#judged.pair === undefined;
  }

  #watchAge(stream: Stream<Input>, now: bigint): void {
    const { topic, maxAge, seen } = stream;
    const late = now - stream.alive > maxAge;
    const code = seen ? stream.stale : stream.missing;
    this.#condition(code, topic, late, now, () =>
      seen
        ? `Expected valid data at most ${formatSeconds(maxAge)} s old on ${topic}, received the last ${formatSeconds(now - stream.alive)} s ago`
        : `Expected messages on ${topic}, received none in ${formatSeconds(now - stream.alive)} s`,
    );
  }

  #reportSkew(now: bigint): void {
    const byAge = this.#streams.toSorted((a, b) => Number(a.history.newest!.stamp - b.history.newest!.stamp));
    const oldest = byAge[0]!;
    const newest = byAge.at(-1)!;
    const apart = newest.history.newest!.stamp - oldest.history.newest!.stamp;
    this.#condition('CAMERA_SKEW', oldest.topic, true, now, () => {
      const received = `${formatSeconds(apart)} s between ${newest.topic} and ${oldest.topic}`;
      return `Expected stamps within ${formatSeconds(this.#config.sync.maxSkew)} s of each other, received ${received}`;
    });
  }

  #condition(code: RefusalCode, source: string, holds: boolean, now: bigint, sentence: () => string): void {
    const key = code === 'CAMERA_SKEW' || code === 'CAMERA_DUPLICATE' ? code : `${code} ${source}`;
    if (!holds) this.#throttle.clear(key);
    else if (this.#throttle.shouldReport(key, now)) this.#report(new Refusal(code, sentence(), source));
  }
}

function stream<T extends Input>(
  { topic, maxAge }: { readonly topic: string; readonly maxAge: bigint },
  missing: RefusalCode,
  stale: RefusalCode,
  history: History<T>,
  period: bigint,
): Stream<T> {
  const order = new Order(topic, maxAge, period);
  return { topic, maxAge, history, order, missing, stale, seen: false, alive: 0n };
}

function duplicates(views: readonly View[]): readonly View[] | undefined {
  for (const [i, second] of views.entries()) {
    for (const first of views.slice(0, i)) if (isDuplicate(first.frame, second.frame)) return [first, second];
  }
  return undefined;
}
