/**
 * Noise as a pure function of seed and stamp: the counter-based generator Philox4x32-10 (Salmon et al., "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011) and the Box–Muller transform.
 */

const ROUNDS = 10;
/** The multipliers and the key's Weyl increments of the paper. */
const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;

export type Block = readonly [number, number, number, number];

/** Four random u32, from a counter of four u32 and a key of two. */
export function philox4x32(counter: Block, key: readonly [number, number]): Block {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < ROUNDS; round += 1) {
    const [high0, low0] = multiply(MULTIPLIER_0, c0);
    const [high1, low1] = multiply(MULTIPLIER_1, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** High and low half of a u32 product. Computed from 16-bit halves, so that every step is exact in a double. */
function multiply(a: number, b: number): readonly [number, number] {
  const low = (a & 0xffff) * b;
  const high = (a >>> 16) * b + Math.floor(low / 0x10000);
  return [Math.floor(high / 0x10000), Math.imul(a, b) >>> 0];
}

/**
 * `count` standard normal values. The key is the seed; the counter is the block index and the stamp (ns). The noise of an
 * observation therefore does not depend on the inferences before it.
 */
export function noise(seed: bigint, stamp: bigint, count: number): Float32Array {
  const key = halves(seed);
  const [stampLow, stampHigh] = halves(stamp);
  const values = new Float32Array(count);
  for (let start = 0, block = 0; start < count; start += 4, block += 1) {
    const [a, b, c, d] = philox4x32([block, 0, stampLow, stampHigh], key);
    values.set([...normalPair(a, b), ...normalPair(c, d)].slice(0, count - start), start);
  }
  return values;
}

/** Box–Muller transform of two u32. The first uniform number is in (0, 1], so that its logarithm is finite. */
function normalPair(a: number, b: number): readonly [number, number] {
  const radius = Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32));
  const angle = (2 * Math.PI * b) / 2 ** 32;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** Low and high u32 of a 64-bit integer. */
function halves(value: bigint): readonly [number, number] {
  const bits = BigInt.asUintN(64, value);
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)];
}
