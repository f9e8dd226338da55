import { expect, test } from '@jest/globals';
import type { CameraFrame } from '../../../src/frame/frame.js';
import { joints, robot, T0 } from '../pipeline/robot.js';
import { Harness } from './harness.js';

/** A 4K frame whose pixels cannot be read. Every access fails, except to the size, which the history counts. */
function unreadable(stamp: bigint, hash: bigint, uniform = false): CameraFrame {
  const [width, height] = [3840, 2160];
  const data = new Proxy(new Uint8Array(0), {
    get(_, property) {
      if (property === 'byteLength') return width * height * 3;
      throw new Error(`read ${String(property)} of the pixels`);
    },
  });
  return { stamp, width, height, step: width * 3, encoding: 'rgb8', data, fingerprint: { hash, uniform } };
}

function codesFor(exterior: CameraFrame, wrist: CameraFrame): string[] {
  const harness = new Harness(robot());
  expect(harness.offerFrame('exterior', exterior, T0)).toBe(true);
  expect(harness.offerFrame('wrist', wrist, T0)).toBe(true);
  harness.offerJoints(joints(T0), T0);
  harness.checkConditions(T0);
  const observation = harness.takeObservation(T0);
  const codes = harness.takeCodes();
  expect(observation === undefined).toBe(codes.includes('CAMERA_DUPLICATE'));
  return codes;
}

test('images_are_compared_without_reading_their_pixels', () => {
  expect(codesFor(unreadable(T0, 1n), unreadable(T0, 1n))).toEqual(['CAMERA_DUPLICATE']);
  expect(codesFor(unreadable(T0, 1n), unreadable(T0, 2n))).toEqual([]);
  expect(codesFor(unreadable(T0, 1n, true), unreadable(T0, 1n, true))).toEqual([]);
});

test('a_second_delivery_is_recognised_without_reading_its_pixels', () => {
  const harness = new Harness(robot());
  harness.offerFrame('exterior', unreadable(T0, 1n), T0);
  expect(harness.offerFrame('exterior', unreadable(T0, 1n), T0)).toBe(false);
  expect(harness.takeCodes()).toEqual([]);
  harness.offerFrame('exterior', unreadable(T0, 2n), T0);
  expect(harness.takeCodes()).toEqual(['CAMERA_FROZEN']);
});
