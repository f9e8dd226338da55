import type { CameraConfig, PolicyConfig } from '../config/config.js';
import { Refusal } from '../errors.js';
import type { RefusalCode } from '../errors.js';
import { excerpt } from '../format.js';
import type { CameraFrame, JointReading, MeasuredPositions, Observation, View } from '../frame/frame.js';
import { ReportThrottle } from '../report-throttle.js';
import { formatSeconds, SECOND, tickPeriod } from '../time.js';
import { approximateTimeSync, newestStamp } from './approximate-time-sync.js';
import { isDuplicate } from './duplicate.js';
import { History } from './history.js';
import type { Stamped } from './history.js';
import { JointReader } from './joints.js';
import type { JointSample } from './joints.js';
import { StampChecker } from './stamp-checker.js';

const FRAME_HISTORY_BYTES = 128 * 1024 * 1024;
const JOINT_HISTORY_ITEMS = 4096;
const DAY = 86_400n * SECOND;
/** Any character but white space, control and format characters. */
const VISIBLE = /[^\s\p{C}]/u;

/** The result of offering an input. Not accepted and without refusals: it was ignored, or its refusal was reported recently. */
export interface OfferResult {
  readonly accepted: boolean;
  readonly refusals: readonly Refusal[];
}

/** The observation, where there is a new one, and the refusals to report. */
export interface ObservationResult {
  readonly observation: Observation | undefined;
  readonly refusals: readonly Refusal[];
}

const IGNORED: OfferResult = { accepted: false, refusals: [] };
const ACCEPTED: OfferResult = { accepted: true, refusals: [] };
const NO_OBSERVATION: ObservationResult = { observation: undefined, refusals: [] };

type Item = CameraFrame | JointSample;

/** One input and its state. */
interface Stream<T extends Item> {
  readonly topic: string;
  readonly maxAge: bigint;
  readonly history: History<T>;
  readonly missingCode: RefusalCode;
  readonly staleCode: RefusalCode;
  readonly stampChecker: StampChecker;
  /** Whether any message arrived since the reset. */
  received: boolean;
  /** Time of the newest valid data, ns: its stamp, or its arrival where the stamp is ahead; before that the reset. */
  lastData: bigint;
}

interface CameraStream extends Stream<CameraFrame> {
  readonly camera: CameraConfig;
}

/** The newest set whose frames were compared with each other. */
interface CheckedSet {
  readonly stamp: bigint;
  readonly views: readonly View[];
  /** Two views with the same pixels. */
  readonly duplicates: readonly View[] | undefined;
}

/**
 * Builds observations from frames and joint readings. Inputs that pass their checks enter a short history per stream. The
 * newest set of them whose stamps agree becomes an observation on request. A refused input changes nothing else.
 *
 * Synchronous: every call returns the refusals that it led to. What is wrong with a single message is returned for each
 * message; conditions that last (missing, stale, skewed …) are returned on onset, then at most once per second until
 * cleared.
 */
export class Observer {
  readonly #config: PolicyConfig;
  readonly #cameras: ReadonlyMap<string, CameraStream>;
  readonly #joints: Stream<JointSample> | undefined;
  /** The cameras in the order of the configuration, then the joints. */
  readonly #streams: readonly Stream<Item>[];
  readonly #jointReader: JointReader;
  readonly #throttle = new ReportThrottle();
  /** The stamps of the last observation's inputs. */
  #lastSet: readonly Stamped[] | undefined;
  #checked: CheckedSet | undefined;
  #prompt: string;
  /** How far ahead of the clock a valid stamp may be, beyond the maximum age: in lock-step messages precede their tick. */
  readonly #maxLead: bigint;

  constructor(config: PolicyConfig) {
    this.#config = config;
    this.#prompt = config.prompt;
    const period = tickPeriod(config.controlRate);
    this.#maxLead = config.schedule.lockstep ? period : 0n;
    this.#jointReader = new JointReader(config);
    const cameras = config.cameras.map((camera): CameraStream => ({
      ...createStream<CameraFrame>(camera, 'CAMERA_MISSING', 'CAMERA_STALE', FRAME_HISTORY_BYTES, period),
      camera,
    }));
    this.#cameras = new Map(cameras.map((stream) => [stream.camera.name, stream]));
    this.#joints =
      config.state.mode === 'joints'
        ? createStream<JointSample>(config.state, 'STATE_STALE', 'STATE_STALE', JOINT_HISTORY_ITEMS, period)
        : undefined;
    this.#streams = [...cameras, ...(this.#joints ? [this.#joints] : [])];
  }

  get prompt(): string {
    return this.#prompt;
  }

  /** Each new prompt that is empty is reported at once, even if another one was reported recently. */
  set prompt(text: string) {
    this.#prompt = text;
    this.#throttle.clear(`PROMPT_EMPTY ${this.#config.promptTopic}`);
  }

  /** Forgets all inputs; ages count from `now`. */
  reset(now: bigint): void {
    this.#lastSet = undefined;
    this.#checked = undefined;
    this.#throttle.clearAll();
    for (const stream of this.#streams) {
      stream.history.clear();
      stream.received = false;
      stream.lastData = now;
      stream.stampChecker.reset();
    }
  }

  /** A message of this camera arrived and is being decoded: the camera is not missing. */
  announceFrame(camera: string): void {
    this.#camera(camera).received = true;
  }

  /** @param frame a frame, whose pixels are kept, not copied; or the refusal of the camera's message. */
  offerFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): OfferResult {
    const stream = this.#camera(camera);
    stream.received = true;
    if (frame instanceof Refusal) return { accepted: false, refusals: [frame] };
    return catchRefusal(() => this.#accept(stream, frame, now));
  }

  offerJoints(reading: JointReading, now: bigint): OfferResult {
    const stream = this.#joints;
    if (stream === undefined) return IGNORED;
    stream.received = true;
    return catchRefusal(() => this.#accept(stream, this.#jointReader.read(reading), now));
  }

  /** Whether a frame with these pixels is kept. */
  isInUse(data: Uint8Array): boolean {
    return [...this.#cameras.values()].some(({ history }) => history.items.some((frame) => frame.data === data));
  }

  /** Whether there is a set of inputs that are all stamped `since` or later. */
  isComplete(now: bigint, since: bigint): boolean {
    return this.#newestSet(now)?.every(({ stamp }) => stamp >= since) ?? false;
  }

  /**
   * The newest set as an observation, where it is newer than the last one returned and passes the checks.
   * @param requireAllNew whether each input has to be newer than in the last observation, not just one of them.
   */
  takeObservation(now: bigint, requireAllNew = false): ObservationResult {
    if (this.isPromptEmpty) return NO_OBSERVATION;
    const set = this.#newestSet(now);
    if (set === undefined) return NO_OBSERVATION;
    const stamp = newestStamp(set);
    const last = this.#lastSet;
    if (last !== undefined && stamp <= newestStamp(last)) return NO_OBSERVATION;
    if (requireAllNew && last !== undefined && !set.every((item, i) => item.stamp > last[i]!.stamp)) {
      return NO_OBSERVATION;
    }
    this.#lastSet = set.map(({ stamp }) => ({ stamp }));
    const refusals = this.#checkDuplicates(set, now);
    if (this.#checked?.duplicates !== undefined) return { observation: undefined, refusals };
    const state = this.#joints === undefined ? new Float64Array(0) : (set.at(-1) as JointSample).state;
    return { observation: { stamp, views: this.#views(set), state, prompt: this.prompt }, refusals };
  }

  /** The conditions to report at `now`. Call this once per control tick. */
  checkConditions(now: bigint): Refusal[] {
    return [
      ...this.#streams.flatMap((stream) => this.#checkAge(stream, now)),
      ...this.#checkPrompt(now),
      ...this.#checkNewestSet(now),
    ];
  }

  /** The newest measured positions; undefined when stale. Where the state is not in joint space they are NaN. */
  measuredPositions(now: bigint): MeasuredPositions | undefined {
    if (this.#joints === undefined) {
      return { stamp: now, positions: new Float64Array(this.#config.action.joints.length).fill(NaN) };
    }
    const newest = this.#joints.history.newest;
    if (newest === undefined || newest.stamp < now - this.#joints.maxAge) return undefined;
    return { stamp: newest.stamp, positions: newest.measured };
  }

  get isPromptEmpty(): boolean {
    return !VISIBLE.test(this.prompt);
  }

  #camera(name: string): CameraStream {
    const stream = this.#cameras.get(name);
    if (stream === undefined) throw new RangeError(`No camera ${name} is configured`);
    return stream;
  }

  /** @throws Refusal TIME_BACKWARDS, CAMERA_FROZEN. */
  #accept<T extends Item>(stream: Stream<T>, item: T, now: bigint): OfferResult {
    const { topic, maxAge, history, stampChecker } = stream;
    if (stampChecker.isDuplicate(item, history.items, now)) return IGNORED;
    const age = now - item.stamp;
    if (age > maxAge || -age > maxAge + this.#maxLead) {
      return {
        accepted: false,
        refusals: this.#condition(stream.staleCode, topic, true, now, () => badStamp(stream, item, now)),
      };
    }
    stampChecker.accept(item, now);
    history.add(item, 'data' in item ? item.data.byteLength : 1);
    const latest = now + this.#maxLead;
    const dataTime = item.stamp < latest ? item.stamp : latest;
    if (dataTime > stream.lastData) stream.lastData = dataTime;
    return ACCEPTED;
  }

  #newestSet(now: bigint): Item[] | undefined {
    for (const { history, maxAge } of this.#streams) history.removeBefore(now - maxAge);
    return approximateTimeSync(
      this.#streams.map(({ history }) => history.items),
      this.#config.sync.maxSkew,
    );
  }

  #views(set: readonly Item[]): View[] {
    return [...this.#cameras.values()].map(({ camera }, i) => ({
      camera: camera.name,
      slot: camera.slot,
      frame: set[i] as CameraFrame,
    }));
  }

  /** Compares the frames of a set with each other, unless these frames were compared before. */
  #checkDuplicates(set: readonly Item[], now: bigint): Refusal[] {
    const stamp = newestStamp(set);
    const previous = this.#checked;
    if (previous?.stamp === stamp) return [];
    const views = this.#views(set);
    const sameFrames = previous !== undefined && views.every(({ frame }, i) => frame === previous.views[i]!.frame);
    const duplicates = sameFrames ? previous.duplicates : findDuplicates(views);
    this.#checked = { stamp, views, duplicates };
    this.#throttle.clear('CAMERA_SKEW');
    const topics = (duplicates ?? []).map(({ camera }) => this.#camera(camera).topic);
    return this.#condition('CAMERA_DUPLICATE', topics.at(-1) ?? '', duplicates !== undefined, now, () => {
      const slots = duplicates!.map(({ slot }) => slot).join(' and ');
      return `Expected different views for ${slots}, received identical pixels from ${topics.join(' and ')}`;
    });
  }

  #checkAge(stream: Stream<Item>, now: bigint): Refusal[] {
    const { topic, maxAge, received } = stream;
    const age = now - stream.lastData;
    const code = received ? stream.staleCode : stream.missingCode;
    return this.#condition(code, topic, age > maxAge, now, () =>
      received
        ? `Expected valid data at most ${formatSeconds(maxAge)} s old on ${topic}, received the last ${formatSeconds(age)} s ago`
        : `Expected messages on ${topic}, received none in ${formatSeconds(age)} s`,
    );
  }

  #checkPrompt(now: bigint): Refusal[] {
    const { promptTopic } = this.#config;
    return this.#condition(
      'PROMPT_EMPTY',
      promptTopic,
      this.isPromptEmpty,
      now,
      () => `Expected a prompt, received ${JSON.stringify(excerpt(this.prompt))} from ${promptTopic}`,
    );
  }

  /** Checks the newest set if it is new. Where every stream has new items but no set agrees, that is skew. */
  #checkNewestSet(now: bigint): Refusal[] {
    const checkedStamp = this.#checked?.stamp;
    const isNew = (stamp: bigint): boolean => checkedStamp === undefined || stamp > checkedStamp;
    const set = this.#newestSet(now);
    if (set !== undefined && isNew(newestStamp(set))) return this.#checkDuplicates(set, now);
    const newest = this.#streams.map(({ history }) => history.newest?.stamp);
    return newest.every((stamp) => stamp !== undefined && isNew(stamp)) ? this.#checkSkew(now) : [];
  }

  /** Call this only where every stream has an item. */
  #checkSkew(now: bigint): Refusal[] {
    const stampOf = ({ history }: Stream<Item>): bigint => history.newest!.stamp;
    const byStamp = this.#streams.toSorted((a, b) => Number(stampOf(a) - stampOf(b)));
    const oldest = byStamp[0]!;
    const newest = byStamp.at(-1)!;
    return this.#condition('CAMERA_SKEW', oldest.topic, true, now, () => {
      const skew = formatSeconds(stampOf(newest) - stampOf(oldest));
      const received = `${skew} s between ${newest.topic} and ${oldest.topic}`;
      return `Expected stamps within ${formatSeconds(this.#config.sync.maxSkew)} s of each other, received ${received}`;
    });
  }

  /** The refusal of a condition where it is present and due to be reported. */
  #condition(code: RefusalCode, source: string, present: boolean, now: bigint, sentence: () => string): Refusal[] {
    const key = code === 'CAMERA_SKEW' || code === 'CAMERA_DUPLICATE' ? code : `${code} ${source}`;
    if (!present) this.#throttle.clear(key);
    else if (this.#throttle.shouldReport(key, now)) return [new Refusal(code, sentence(), source)];
    return [];
  }
}

function createStream<T extends Item>(
  { topic, maxAge }: { readonly topic: string; readonly maxAge: bigint },
  missingCode: RefusalCode,
  staleCode: RefusalCode,
  capacity: number,
  period: bigint,
): Stream<T> {
  const stampChecker = new StampChecker(topic, maxAge, period);
  return {
    topic,
    maxAge,
    history: new History(capacity),
    stampChecker,
    missingCode,
    staleCode,
    received: false,
    lastData: 0n,
  };
}

function catchRefusal(accept: () => OfferResult): OfferResult {
  try {
    return accept();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { accepted: false, refusals: [error] };
  }
}

/** The error sentence for an item whose stamp is too far from the clock. */
function badStamp({ topic, maxAge }: Stream<Item>, { stamp }: Item, now: bigint): string {
  const age = now - stamp;
  const distance = age < 0n ? -age : age;
  const received = `${formatSeconds(distance)} s ${age < 0n ? 'ahead of' : 'behind'} the clock`;
  // Wall time and simulated time are years apart.
  const clockHint = distance > DAY ? ' (does use_sim_time agree with the publisher?)' : '';
  const hint = stamp === 0n ? ' (its stamp is 0)' : clockHint;
  return `Expected a stamp within ${formatSeconds(maxAge)} s, received one ${received} from ${topic}${hint}`;
}

function findDuplicates(views: readonly View[]): readonly View[] | undefined {
  for (const [i, second] of views.entries()) {
    for (const first of views.slice(0, i)) if (isDuplicate(first.frame, second.frame)) return [first, second];
  }
  return undefined;
}
