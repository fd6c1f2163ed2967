/** A listener's buffer over time, from the moments at which something was added to it. */

/**
 * When a chunk arrived, and the seconds of audio that were buffered then; both in seconds.
 * @typedef {[at: number, left: number]} Level
 */

/**
 * Seconds of audio that are buffered now.
 * @param {readonly Level[]} levels
 * @param {number} now
 */
export function bufferedSeconds(levels, now) {
  const last = levels.at(-1);
  return last ? Math.max(0, last[1] - (now - last[0])) : 0;
}

/**
 * When a listener has heard all that came, in seconds; 0 if nothing came.
 * @param {readonly Level[]} levels
 */
export function playedUntil(levels) {
  const last = levels.at(-1);
  return last ? last[0] + last[1] : 0;
}

/**
 * The corners of the buffer's curve: it rises with a chunk, falls by a second each second, and stays at 0 when dry.
 * @param {readonly Level[]} levels
 * @param {number} now
 * @returns {Level[]}
 */
export function bufferCurve(levels, now) {
  return levels.flatMap(([at, left], index) => {
    const next = Math.min(levels[index + 1]?.[0] ?? now, Math.max(now, at));
    const dry = Math.min(at + left, next);
    const rest = left - (dry - at);
    return /** @type {Level[]} */ ([
      [at, left],
      [dry, rest],
      [next, rest],
    ]);
  });
}
