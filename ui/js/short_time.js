/**
 * A short time: in milliseconds, from a second on in seconds.
 * @param {number} seconds
 * @param {(value: number, digits?: number) => string} number
 */
export function shortTime(seconds, number) {
  const milliseconds = Math.round(seconds * 1000);
  if (milliseconds < 1000) return `${number(milliseconds)} ms`;
  const tenths = Math.round(seconds * 10) / 10;
  return `${number(tenths, Number.isInteger(tenths) || tenths >= 100 ? 0 : 1)} s`;
}
