/** Round numbers for axes; used where the page is written and inside it. */

/** Multiples of a round step within [low, high], about `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  return multiples(
    low,
    high,
    [1, 2, 5, 10].map((step) => step * power).find((step) => step >= rough * 0.999)!,
  );
}

/** As `ticks`, in steps that are round in seconds, minutes and hours. */
export function timeTicks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  const step = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].find((step) => step >= rough);
  return rough <= 5 || step === undefined ? ticks(low, high, count) : multiples(low, high, step);
}

function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * step);
}

/** Three significant formatNumber and no more zeros than it takes. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(2);
  return String(Number(value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))))));
}

/** Seconds as 12.3 s or, where `long`, as 0:12.3, 4:05, 1:04:05; `step` is the distance of what is told apart. */
export function formatTime(seconds: number, step: number, long = Math.abs(seconds) >= 60): string {
  const decimals = Math.min(3, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const size = Number(Math.abs(seconds).toFixed(decimals));
  const sign = seconds < 0 && size > 0 ? '-' : '';
  if (!long) return `${sign}${size.toFixed(decimals)} s`;
  const rest = (size % 60).toFixed(decimals).padStart(decimals > 0 ? decimals + 3 : 2, '0');
  const minutes = Math.floor(size / 60);
  const head = minutes < 60 ? minutes : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
  return `${sign}${head}:${rest}`;
}
