/** Nanoseconds as seconds with milliseconds. */
export function seconds(ns: bigint): string {
  return (Number(ns) / 1e9).toFixed(3);
}

/** A stamp, ns, as seconds with all its digits. */
export function timestamp(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const digits = String(size % 1_000_000_000n).padStart(9, '0');
  return `${ns < 0n ? '-' : ''}${size / 1_000_000_000n}.${digits}`;
}

/** The beginning of a text from outside, which may be of any length. */
export function excerpt(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 60)}… (${text.length} characters)`;
}
