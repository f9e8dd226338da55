import type { PolicyConfig } from '../../../src/config/config.js';
import { decodeRawFrame } from '../../../src/decode/image.js';
import { withFingerprintSync } from '../../../src/engine/fingerprint.js';
import type { Refusal } from '../../../src/errors.js';
import type { CameraFrame, JointReading, Observation, RawImage } from '../../../src/frame/frame.js';
import { Observer } from '../../../src/observation/observer.js';
import type { OfferResult } from '../../../src/observation/observer.js';
import { robot, T0 } from '../pipeline/robot.js';

/** An observer, and the refusals that its calls returned. */
export class Harness {
  readonly observer: Observer;
  readonly refusals: Refusal[] = [];
  readonly #config: PolicyConfig;

  constructor(config: PolicyConfig = robot()) {
    this.#config = config;
    this.observer = new Observer(config);
    this.observer.reset(T0);
  }

  /** The codes of the refusals since the last call. */
  takeCodes(): string[] {
    return this.refusals.splice(0).map(({ code }) => code);
  }

  /** Whether the image passed its checks and the frame was accepted. */
  offerImage(camera: string, image: RawImage, now: bigint): boolean {
    const topic = this.#config.cameras.find(({ name }) => name === camera)?.topic ?? '';
    const decoded = decodeRawFrame(image, topic, { ...this.#config.image, maxAspectRatio: 8 });
    return this.offerFrame(camera, withFingerprintSync(decoded), now);
  }

  offerFrame(camera: string, frame: CameraFrame | Refusal, now: bigint): boolean {
    return this.#collect(this.observer.offerFrame(camera, frame, now));
  }

  offerJoints(reading: JointReading, now: bigint, topic?: string): boolean {
    return this.#collect(this.observer.offerJoints(reading, now, topic));
  }

  takeObservation(now: bigint): Observation | undefined {
    const { observation, refusals } = this.observer.takeObservation(now);
    this.refusals.push(...refusals);
    return observation;
  }

  checkConditions(now: bigint): void {
    this.refusals.push(...this.observer.checkConditions(now));
  }

  #collect({ outcome, refusals }: OfferResult): boolean {
    this.refusals.push(...refusals);
    return outcome === 'accepted';
  }
}
