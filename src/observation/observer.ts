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
import { oldestStamp, type Stamped } from './history.js';
import { JointTracker, type JointSample } from './joint-tracker.js';
import { StampChecker } from './stamp-checker.js';

const FRAME_HISTORY_BYTES = 128 * 1024 * 1024;
const JOINT_HISTORY_ITEMS = 4096;
const DAY = 86_400n * SECOND;
/** Any character but white space, control and format characters. */
const VISIBLE = /[^\s\p{C}]/u;

/** The result of offering an input. */
export interface OfferResult {
  /** `ignored`: it was received before, or it has nothing that is needed. */
  readonly outcome: 'accepted' | 'ignored' | 'refused';
  /** Those to report. A condition that was reported recently is not reported again. */
  readonly refusals: readonly Refusal[];
}

/** The observation, where there is a new one, and the refusals to report. */
export interface ObservationResult {
  readonly observation: Observation | undefined;
  readonly refusals: readonly Refusal[];
}

const IGNORED: OfferResult = { outcome: 'ignored', refusals: [] };
const ACCEPTED: OfferResult = { outcome: 'accepted', refusals: [] };
const NO_OBSERVATION: ObservationResult = { observation: undefined, refusals: [] };

type Item = CameraFrame | JointSample;

/** One camera and its state. */
interface CameraStream {
  readonly camera: CameraConfig;
  /** The content of the newest frame, and the stamp of the first of the consecutive frames that have it, ns. */
  content: { readonly hash: bigint; readonly since: bigint } | undefined;
  readonly history: History<CameraFrame>;
  readonly stampChecker: StampChecker;
  /** Whether any message arrived since the reset. */
  received: boolean;
  /** Time of the newest valid data, ns: its stamp, or its arrival where the stamp is ahead; before that the reset. */
  lastData: bigint;
}

interface JointStream {
  readonly tracker: JointTracker;
  readonly history: History<JointSample>;
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
  readonly #joints: JointStream | undefined;
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
    const cameras = config.cameras.map((camera): CameraStream => ({
      camera,
      history: new History(FRAME_HISTORY_BYTES),
      stampChecker: new StampChecker(camera.topic, camera.maxAge, period),
      received: false,
      lastData: 0n,
      content: undefined,
    }));
    this.#cameras = new Map(cameras.map((stream) => [stream.camera.name, stream]));
    this.#joints =
      config.state.mode === 'joints'
        ? { tracker: new JointTracker(config), history: new History(JOINT_HISTORY_ITEMS) }
        : undefined;
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
    for (const stream of this.#cameras.values()) {
      stream.history.clear();
      stream.received = false;
      stream.lastData = now;
      stream.content = undefined;
      stream.stampChecker.reset();
    }
    this.#joints?.history.clear();
    this.#joints?.tracker.reset(now);
  }

  /** A message on `topic` could not be decoded: messages arrive, although none can be used. */
  announceUnread(topic: string): void {
    for (const stream of this.#cameras.values()) if (stream.camera.topic === topic) stream.received = true;
    this.#joints?.tracker.announceUnread(topic);
  }

  /** A message of this camera arrived and is being decoded: the camera is not missing. */
  announceFrame(camera: string): void {
    this.#camera(camera).received = true;
  }

  /** @param frame a frame, whose pixels are kept, not copied; or the refusal of the camera's message. */
  offerFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): OfferResult {
    const stream = this.#camera(camera);
    stream.received = true;
    if (frame instanceof Refusal) return refused([frame]);
    return catchRefusal(() => this.#acceptFrame(stream, frame, now));
  }

  /** @param reading values of any of the configured joints. @param topic full name. */
  offerJoints(reading: JointReading, now: bigint, topic = this.#config.state.topic): OfferResult {
    const joints = this.#joints;
    return joints === undefined ? IGNORED : catchRefusal(() => this.#acceptJoints(joints, reading, topic, now));
  }

  /** Whether a frame with these pixels is kept. */
  isInUse(data: Uint8Array): boolean {
    return [...this.#cameras.values()].some(({ history }) => history.items.some((frame) => frame.data === data));
  }

  /** Whether there is a set of inputs that are all stamped `since` or later. */
  isComplete(now: bigint, since: bigint): boolean {
    return this.#newestSet(now)?.every((item) => oldestStamp(item) >= since) ?? false;
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
      ...[...this.#cameras.values()].flatMap((stream) => this.#checkCameraAge(stream, now)),
      ...this.#checkJoints(now),
      ...this.#checkPrompt(now),
      ...this.#checkNewestSet(now),
    ];
  }

  /** The newest measured positions; undefined when stale. Where the state is not in joint space they are NaN. */
  measuredPositions(now: bigint): MeasuredPositions | undefined {
    if (this.#joints === undefined) {
      return { stamp: now, positions: new Float64Array(this.#config.action.joints.length).fill(NaN) };
    }
    return this.#joints.tracker.measured(now);
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
  #acceptFrame(stream: CameraStream, frame: CameraFrame, now: bigint): OfferResult {
    const { history, stampChecker } = stream;
    const { topic, maxAge } = stream.camera;
    if (stampChecker.isDuplicate(frame, history.items, now)) return IGNORED;
    const age = now - frame.stamp;
    if (age > maxAge || -age > maxAge + this.#maxLead) {
      const sentence = (): string =>
        badStamp(topic, maxAge, frame.stamp, now, `cameras.${stream.camera.name}.zero_stamp`);
      return refused(this.#condition('CAMERA_STALE', topic, true, now, sentence));
    }
    stampChecker.accept(frame, now);
    const still = this.#checkContent(stream, frame, now);
    if (still !== undefined) return refused(still);
    history.add(frame, frame.data.byteLength);
    const latest = now + this.#maxLead;
    const dataTime = frame.stamp < latest ? frame.stamp : latest;
    if (dataTime > stream.lastData) stream.lastData = dataTime;
    return ACCEPTED;
  }

  /** The refusals of a frame whose pixels have been the same for too long (none if they were reported lately); else undefined. */
  #checkContent(
    stream: CameraStream,
    { fingerprint: { hash }, stamp }: CameraFrame,
    now: bigint,
  ): Refusal[] | undefined {
    const { topic, maxStill } = stream.camera;
    if (stream.content?.hash !== hash) stream.content = { hash, since: stamp };
    const duration = stamp - stream.content.since;
    const isStill = maxStill > 0n && duration > maxStill;
    const refusals = this.#condition('CAMERA_STILL', topic, isStill, now, () => {
      const received = `the same pixels for ${formatSeconds(duration)} s`;
      return `Expected images that differ within ${formatSeconds(maxStill)} s, received ${received} from ${topic}`;
    });
    return isStill ? refusals : undefined;
  }

  /** @throws Refusal as `JointTracker.update`. */
  #acceptJoints({ tracker, history }: JointStream, reading: JointReading, topic: string, now: bigint): OfferResult {
    const update = tracker.update(reading, topic, now);
    if (update.outcome === 'ignored') return IGNORED;
    // `checkConditions` reports it.
    if (update.outcome === 'in_doubt') return refused([]);
    if (update.outcome === 'outdated') {
      const sentence = (): string => badStamp(topic, update.maxAge, reading.stamp, now, 'state.zero_stamp');
      return refused(this.#condition('STATE_STALE', topic, true, now, sentence));
    }
    if (update.sample !== undefined) history.add(update.sample, 1);
    return ACCEPTED;
  }

  /** The recent items of the cameras in the order of the configuration, then of the joints. */
  get #histories(): readonly History<Item>[] {
    const cameras = [...this.#cameras.values()].map(({ history }) => history);
    return this.#joints === undefined ? cameras : [...cameras, this.#joints.history];
  }

  #newestSet(now: bigint): Item[] | undefined {
    for (const { history, camera } of this.#cameras.values()) history.removeBefore(now - camera.maxAge);
    this.#joints?.history.removeWhile(({ expires }) => expires < now || this.#joints!.tracker.inDoubt);
    return approximateTimeSync<Item>(
      this.#histories.map(({ items }) => items),
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
    const topics = (duplicates ?? []).map(({ camera }) => this.#camera(camera).camera.topic);
    return this.#condition('CAMERA_DUPLICATE', topics.at(-1) ?? '', duplicates !== undefined, now, () => {
      const slots = duplicates!.map(({ slot }) => slot).join(' and ');
      return `Expected different views for ${slots}, received identical pixels from ${topics.join(' and ')}`;
    });
  }

  #checkCameraAge({ camera: { topic, maxAge }, received, lastData }: CameraStream, now: bigint): Refusal[] {
    const age = now - lastData;
    return this.#condition(received ? 'CAMERA_STALE' : 'CAMERA_MISSING', topic, age > maxAge, now, () =>
      received
        ? `Expected valid data at most ${formatSeconds(maxAge)} s old on ${topic}, received the last ${formatSeconds(age)} s ago`
        : `Expected messages on ${topic}, received none in ${formatSeconds(age)} s`,
    );
  }

  #checkJoints(now: bigint): Refusal[] {
    const conditions = this.#joints?.tracker.conditions(now) ?? [];
    return conditions.flatMap(({ code, topic, sentence }) =>
      this.#condition(code, topic, sentence !== undefined, now, () => sentence!),
    );
  }

  #checkPrompt(now: bigint): Refusal[] {
    const { promptTopic } = this.#config;
    return this.#condition(
      'PROMPT_EMPTY',
      promptTopic,
      this.isPromptEmpty,
      now,
      () =>
        `Expected a prompt in the parameter prompt or on ${promptTopic}, received ${JSON.stringify(excerpt(this.prompt))}`,
    );
  }

  /** Checks the newest set if it is new. Where every stream has new items but no set agrees, that is skew. */
  #checkNewestSet(now: bigint): Refusal[] {
    const checkedStamp = this.#checked?.stamp;
    const isNew = (stamp: bigint): boolean => checkedStamp === undefined || stamp > checkedStamp;
    const set = this.#newestSet(now);
    if (set !== undefined && isNew(newestStamp(set))) return this.#checkDuplicates(set, now);
    const newest = this.#histories.map((history) => history.newest);
    return newest.every((item) => item !== undefined && isNew(item.stamp)) ? this.#checkSkew(now) : [];
  }

  /** Call this only where every stream has an item. */
  #checkSkew(now: bigint): Refusal[] {
    const times = [...this.#cameras.values()].map(({ camera: { topic }, history }) => {
      return { topic, stamp: history.newest!.stamp };
    });
    const joints = this.#joints?.history.newest;
    if (joints !== undefined) {
      times.push({ topic: joints.topics.oldest, stamp: joints.oldest });
      times.push({ topic: joints.topics.newest, stamp: joints.stamp });
    }
    times.sort((a, b) => Number(a.stamp - b.stamp));
    const oldest = times[0]!;
    const newest = times.at(-1)!;
    return this.#condition('CAMERA_SKEW', oldest.topic, true, now, () => {
      const skew = formatSeconds(newest.stamp - oldest.stamp);
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

function refused(refusals: readonly Refusal[]): OfferResult {
  return { outcome: 'refused', refusals };
}

function catchRefusal(accept: () => OfferResult): OfferResult {
  try {
    return accept();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refused([error]);
  }
}

/** The error sentence for an item whose stamp is too far from the clock. @param zeroStamp the parameter for stamps of 0. */
function badStamp(topic: string, maxAge: bigint, stamp: bigint, now: bigint, zeroStamp: string): string {
  const age = now - stamp;
  const distance = age < 0n ? -age : age;
  const received = `${formatSeconds(distance)} s ${age < 0n ? 'ahead of' : 'behind'} the clock`;
  // Wall time and simulated time are years apart.
  const clockHint = distance > DAY ? ' (does use_sim_time agree with the publisher?)' : '';
  const hint = stamp === 0n ? ` (its stamp is 0; ${zeroStamp}: arrival takes the time of arrival instead)` : clockHint;
  return `Expected a stamp within ${formatSeconds(maxAge)} s, received one ${received} from ${topic}${hint}`;
}

function findDuplicates(views: readonly View[]): readonly View[] | undefined {
  for (const [i, second] of views.entries()) {
    for (const first of views.slice(0, i)) if (isDuplicate(first.frame, second.frame)) return [first, second];
  }
  return undefined;
}
