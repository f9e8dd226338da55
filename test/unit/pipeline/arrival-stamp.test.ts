import { expect, test } from '@jest/globals';
import { stampOnArrival } from '../../../src/pipeline/arrival-stamp.js';
import { image, T0 } from './robot.js';

test('only_a_stamp_of_0_is_replaced_and_only_where_zero_stamp_is_arrival', () => {
  expect(stampOnArrival(image(0n), { zeroStamp: 'arrival' }, T0)).toEqual(image(T0));
  expect(stampOnArrival(image(0n), { zeroStamp: 'refuse' }, T0).stamp).toBe(0n);
  expect(stampOnArrival(image(1n), { zeroStamp: 'arrival' }, T0).stamp).toBe(1n);
});
