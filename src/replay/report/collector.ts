import type { PolicyConfig } from '../../config/config.js';
import type { CompressedImage, RawImage } from '../../frame/frame.js';
import type { ReplayListener } from '../listener.js';

/** Gathers what the report shows while a bag is replayed, in memory that does not grow with its length. */
export class ReportCollector implements ReplayListener {
  constructor(readonly config: PolicyConfig) {}

  image(_camera: string, _image: RawImage | CompressedImage, _now: bigint): void {}
}
