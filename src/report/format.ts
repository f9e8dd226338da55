/** Numbers and times as text. This file is used both where the page is written and in the page. */

/** Three significant digits, without trailing zeros. */
export function formatNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) return value.toExponential(2);
  return String(Number(value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))))));
}

/** Seconds as 12.3 s or, with minutes, as 0:12.3, 4:05, 1:04:05, with the decimals that steps of `step` seconds need. */
export function formatTime(seconds: number, step: number, withMinutes = Math.abs(seconds) >= 60): string {
  const decimals = Math.min(3, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
  const size = Number(Math.abs(seconds).toFixed(decimals));
  const sign = seconds < 0 && size > 0 ? '-' : '';
  if (!withMinutes) return `${sign}${size.toFixed(decimals)} s`;
  const rest = (size % 60).toFixed(decimals).padStart(decimals > 0 ? decimals + 3 : 2, '0');
  const minutes = Math.floor(size / 60);
  const head = minutes < 60 ? minutes : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
  return `${sign}${head}:${rest}`;
}
