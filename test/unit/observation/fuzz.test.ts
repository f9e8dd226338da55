import { CdrWriter } from '@foxglove/cdr';
import { beforeEach, describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeCompressedImage, decodeImage, decodeJointState } from '../../../src/messages/decode.js';
import { decodeCompressedFrame } from '../../../src/decode/image.js';
import { withFingerprintSync } from '../../../src/engine/fingerprint.js';
import { Refusal } from '../../../src/errors.js';
import { MS, random, robot, SECOND, stateJoint, T0 } from '../pipeline/robot.js';
import { Harness } from './harness.js';

/**
 * Valid messages with their bytes changed at random: each is accepted or refused, and the valid message after it is
 * accepted.
 */
let harness: Harness;
let now: bigint;

beforeEach(() => {
  now = T0;
  const joints = [stateJoint('a', { lower: -3, upper: 3 }), stateJoint('b')];
  harness = new Harness(robot({ state: { ...robot().state, joints } }));
});

function header(): CdrWriter {
  const writer = new CdrWriter();
  return writer
    .int32(Number(now / SECOND))
    .uint32(Number(now % SECOND))
    .string('frame');
}

function image(): Uint8Array {
  const data = Uint8Array.from({ length: 48 }, (_, i) => i * 5);
  return header().uint32(4).uint32(4).string('rgb8').uint8(0).uint32(12).sequenceLength(48).uint8Array(data).data;
}

function joints(): Uint8Array {
  const writer = header().sequenceLength(2).string('a').string('b').sequenceLength(2);
  return writer.float64Array([1, 2]).sequenceLength(0).sequenceLength(0).data;
}

const next = random(20260101);
const below = (limit: number): number => Math.floor(next() * limit);

/** Changes the bytes after the stamp: flips bits, writes absurd lengths, cuts the end off, or copies a part over another. */
function changed(good: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(good);
  const words = [0xffffffff, 0x7fffffff, 0x80000000, 0, 1, bytes.length];
  for (let i = 0; i <= below(3); i++) {
    const offset = 12 + below(bytes.length - 12);
    switch (below(4)) {
      case 0:
        bytes[offset]! ^= 1 << below(8);
        break;
      case 1:
        new DataView(bytes.buffer).setUint32(
          Math.min(offset & ~3, bytes.length - 4),
          words[below(words.length)]!,
          true,
        );
        break;
      case 2:
        return bytes.subarray(0, offset);
      default:
        bytes.copyWithin(offset, 12 + below(bytes.length - 12));
    }
  }
  return bytes;
}

const OFFERS: Record<string, { good: () => Uint8Array; offer: (cdr: Uint8Array) => boolean }> = {
  image: { good: image, offer: (cdr) => harness.offerImage('wrist', decodeImage(cdr, 'wrist/image_raw'), now) },
  'joint state': { good: joints, offer: (cdr) => harness.offerJoints(decodeJointState(cdr, 'joint_states'), now) },
};

describe.each(Object.entries(OFFERS))('%s', (_, { good, offer }) => {
  test('a_changed_message_is_accepted_or_refused_in_a_short_sentence_and_the_next_valid_one_is_accepted', () => {
    const codes = new Set<string>();
    for (let i = 0; i < 4000; i++) {
      now += 10n * MS;
      try {
        offer(changed(good()));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        harness.refusals.push(error);
      }
      now += 10n * MS;
      expect(offer(good())).toBe(true);
    }
    for (const { code, message } of harness.refusals) {
      codes.add(code);
      if (!/^Expected .+, received .+/.test(message) || message.length > 400) expect(message).toBe('a short sentence');
    }
    expect(harness.refusals.length).toBeGreaterThan(1000);
    expect(codes.size).toBeGreaterThan(2);
  });
});

test('a_changed_file_is_decoded_or_refused_and_the_next_valid_one_is_accepted', async () => {
  const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
  const noiseImage = sharp({ create: { width: 16, height: 16, channels: 3, background: 'red', noise } });
  const files = [await noiseImage.jpeg().toBuffer(), await noiseImage.png().toBuffer()];
  const message = (data: Uint8Array): Uint8Array =>
    header().string('jpeg').sequenceLength(data.length).uint8Array(data).data;
  const offerFile = async (data: Uint8Array): Promise<boolean> => {
    const image = decodeCompressedImage(message(data), 'wrist/image_raw');
    const limits = { ...robot().image, maxAspectRatio: 8 };
    const decoded = await decodeCompressedFrame(image, 'wrist/image_raw', limits);
    return harness.offerFrame('wrist', withFingerprintSync(decoded), now);
  };
  for (let i = 0; i < 400; i++) {
    const file = files[i % 2]!;
    now += 10n * MS;
    await offerFile(changed(file));
    now += 10n * MS;
    expect(await offerFile(file)).toBe(true);
  }
  expect(harness.refusals.length).toBeGreaterThan(200);
  for (const { code, message } of harness.refusals) {
    expect(code).toMatch(/^IMAGE_(DECODE|SIZE|ENCODING)$/);
    expect(message.length).toBeLessThan(400);
  }
});
