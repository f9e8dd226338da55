import type { ZeroStamp } from '../config/config.js';

/** The same image, stamped `now` where its stamp is 0 and `zero_stamp` is `arrival`. @param now time of arrival, ns. */
export function stampOnArrival<T extends { readonly stamp: bigint }>(
  image: T,
  { zeroStamp }: { readonly zeroStamp: ZeroStamp },
  now: bigint,
): T {
  return image.stamp === 0n && zeroStamp === 'arrival' ? { ...image, stamp: now } : image;
}
