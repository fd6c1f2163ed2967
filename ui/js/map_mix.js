/**
 * The mix that lies at a point of the map of voices: of the triangle of near voices around it, by barycentric
 * coordinates; outside of all of them, of the two voices whose line passes nearest.
 */

/** @typedef {{ x: number, y: number }} Point */
/** @typedef {{ name: string, language: string, x: number, y: number }} MappedVoice */
/** @typedef {{ voice: string, weight: number }} Part */

const NEAR = 8; // voices of which triangles are made
const INSIDE = -1e-9;

/**
 * The parts of the mix at a point, the largest first; their weights add up to 100.
 * @param {readonly MappedVoice[]} voices
 * @param {Point} point
 * @returns {Part[]}
 */
export function mixAt(voices, point) {
  const near = [...voices].sort((a, b) => distance(a, point) - distance(b, point)).slice(0, NEAR);
  const shares = insideTriangle(near, point) ?? onNearestLine(near, point);
  return percentParts(shares);
}

/**
 * Where a mix lies.
 * @param {readonly MappedVoice[]} voices
 * @param {readonly Part[]} parts
 * @returns {Point | null} null if it has no weight, or a voice that is not on the map
 */
export function pointOf(voices, parts) {
  const whole = parts.reduce((sum, { weight }) => sum + weight, 0);
  if (!whole) return null;
  const point = { x: 0, y: 0 };
  for (const { voice, weight } of parts) {
    const at = voices.find(({ name }) => name === voice);
    if (!at) return null;
    point.x += (at.x * weight) / whole;
    point.y += (at.y * weight) / whole;
  }
  return point;
}

/** @typedef {[voice: MappedVoice, share: number][]} Shares */

/**
 * The shares of the smallest triangle around a point.
 * @param {readonly MappedVoice[]} voices
 * @param {Point} point
 * @returns {Shares | null}
 */
function insideTriangle(voices, point) {
  /** @type {Shares | null} */
  let best = null;
  let smallest = Number.POSITIVE_INFINITY;
  for (const [a, b, c] of triples(voices)) {
    const size = distance(a, b) + distance(b, c) + distance(c, a);
    if (size >= smallest) continue;
    const shares = barycentric(a, b, c, point);
    if (!shares?.every((share) => share >= INSIDE)) continue;
    smallest = size;
    best = [
      [a, shares[0]],
      [b, shares[1]],
      [c, shares[2]],
    ];
  }
  return best;
}

/**
 * @template Item
 * @param {readonly Item[]} items
 * @returns {Iterable<[Item, Item, Item]>}
 */
function* triples(items) {
  for (let i = 0; i < items.length; i++)
    for (let j = i + 1; j < items.length; j++)
      for (let k = j + 1; k < items.length; k++) yield [items[i], items[j], items[k]];
}

/**
 * @param {Point} a
 * @param {Point} b
 * @param {Point} c
 * @param {Point} point
 * @returns {[number, number, number] | null} null for a triangle without an area
 */
function barycentric(a, b, c, point) {
  const area = (b.y - c.y) * (a.x - c.x) + (c.x - b.x) * (a.y - c.y);
  if (Math.abs(area) < 1e-12) return null;
  const first = ((b.y - c.y) * (point.x - c.x) + (c.x - b.x) * (point.y - c.y)) / area;
  const second = ((c.y - a.y) * (point.x - c.x) + (a.x - c.x) * (point.y - c.y)) / area;
  return [first, second, 1 - first - second];
}

/**
 * The shares of the two voices whose line passes nearest to a point.
 * @param {readonly MappedVoice[]} voices
 * @param {Point} point
 * @returns {Shares}
 */
function onNearestLine(voices, point) {
  /** @type {Shares} */
  let best = voices.length ? [[voices[0], 1]] : [];
  let nearest = Number.POSITIVE_INFINITY;
  for (const [i, a] of voices.entries()) {
    for (const b of voices.slice(i + 1)) {
      const share = shareAlong(a, b, point);
      const on = { x: a.x + share * (b.x - a.x), y: a.y + share * (b.y - a.y) };
      if (distance(on, point) >= nearest) continue;
      nearest = distance(on, point);
      best = [
        [a, 1 - share],
        [b, share],
      ];
    }
  }
  return best;
}

/**
 * How far along a line the point nearest to another lies, from 0 to 1.
 * @param {Point} a
 * @param {Point} b
 * @param {Point} point
 */
function shareAlong(a, b, point) {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const along = ((point.x - a.x) * dx + (point.y - a.y) * dy) / (dx * dx + dy * dy || 1);
  return Math.min(1, Math.max(0, along));
}

/**
 * Whole percentages; what is less than one is left out.
 * @param {Shares} shares
 * @returns {Part[]}
 */
function percentParts(shares) {
  const parts = shares
    .map(([{ name }, share]) => ({ voice: name, weight: Math.round(100 * share) }))
    .filter(({ weight }) => weight > 0)
    .sort((one, other) => other.weight - one.weight);
  const missing = 100 - parts.reduce((sum, { weight }) => sum + weight, 0);
  if (parts[0]) parts[0].weight += missing;
  return parts;
}

/**
 * @param {Point} a
 * @param {Point} b
 */
const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
