/** @typedef {import('./suites.mjs').Result} Result */

/** The line of one suite. @param {Result} result @param {number} seconds how long the suite ran */
export function suiteLine(name, { passed, failed, skips, unstable = [], problem }, seconds) {
  const again = unstable.length > 0 ? `, ${unstable.length} of them only when run again` : '';
  const counts = `${passed} ok${again}, ${failed} failed, ${skips.length} skipped in ${seconds.toFixed(1)} s`;
  return `${name}: ${counts}${problem ? ` (${problem})` : ''}`;
}

/**
 * The end of the output of `npm test`: what was not done on this machine, which tests are unstable, then the totals. The
 * totals are alone on the last line, for scripts that read it.
 * @param {Record<string, Result>} results by suite
 * @returns {string[]} lines
 */
export function closingLines(results) {
  const notDone = Object.entries(results).flatMap(([suite, { skips, omissions = [] }]) => [
    ...omissions.map((omission) => `${suite}: ${omission}`),
    ...[...namesByReason(skips)].map(([reason, names]) => `${suite}: skipped ${names.join(', ')}: ${reason}`),
  ]);
  const unstable = Object.values(results).flatMap(({ unstable = [] }) => unstable);
  const sum = (count) => Object.values(results).reduce((total, result) => total + count(result), 0);
  const [passed, failed, skipped] = [(r) => r.passed, (r) => r.failed, (r) => r.skips.length].map(sum);
  return [
    ...(notDone.length > 0 ? ['Not done on this machine:', ...notDone.map((line) => `  ${line}`), ''] : []),
    ...(unstable.length > 0
      ? ['Failed, and passed when run again alone:', ...unstable.map((id) => `  ${id}`), '']
      : []),
    `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`,
  ];
}

function namesByReason(skips) {
  const names = new Map();
  for (const { name, reason } of skips) names.set(reason, [...(names.get(reason) ?? []), name]);
  return names;
}
