/**
 * Label placement: each point of a map gets the nearest free place for its label, or none.
 *
 * Greedy, in the order of the points: the places tried lie around a point in rings. What is placed never moves again,
 * so the same points give the same picture.
 */

/** @typedef {{ x: number, y: number }} Point */
/** @typedef {{ left: number, top: number, right: number, bottom: number }} Box */
/** @typedef {{ width: number, height: number }} Size */
/** @typedef {Point & Size} Labelled a point, and the size of its label */

const RINGS = [0, 10, 22, 36, 52]; // pixels from the point's edge to its label
/** Right first, as people read on; above and below before corners. @type {[number, number][]} */
const DIRECTIONS = [
  [1, 0],
  [-1, 0],
  [0, -1],
  [0, 1],
  [1, -0.7],
  [1, 0.7],
  [-1, -0.7],
  [-1, 0.7],
  [0.5, -1],
  [0.5, 1],
  [-0.5, -1],
  [-0.5, 1],
];

/**
 * @param {readonly Labelled[]} points
 * @param {Size} map
 * @param {number} radius of a point, with the space around it
 * @returns {(Box | null)[]} null where there is no room
 */
export function placeLabels(points, map, radius) {
  const dots = points.map(({ x, y }) => around({ x, y }, { width: 2 * radius - 2, height: 2 * radius - 2 }));
  /** @type {Box[]} */
  const taken = [];
  return points.map((point) => {
    const isFree = (/** @type {Box} */ box) =>
      isWithin(box, map) && ![...taken, ...dots].some((other) => areTouching(box, other));
    const box = placesOf(point, radius).find(isFree) ?? null;
    if (box) taken.push(box);
    return box;
  });
}

/**
 * Whether a box lies wholly on the map.
 * @param {Box} box
 * @param {Size} map
 */
export const isWithin = ({ left, top, right, bottom }, { width, height }) =>
  left >= 0 && top >= 0 && right <= width && bottom <= height;

/**
 * @param {Box} one
 * @param {Box} other
 */
export const areTouching = (one, other) =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/**
 * The places for a label, the nearest first.
 * @param {Labelled} point
 * @param {number} radius
 */
function placesOf({ x, y, width, height }, radius) {
  return RINGS.flatMap((ring) =>
    DIRECTIONS.map(([dx, dy]) => {
      const [reachX, reachY] = [radius + ring + width / 2, radius + ring + height / 2];
      return around({ x: x + dx * reachX, y: y + dy * reachY }, { width, height });
    }),
  );
}

/**
 * @param {Point} middle
 * @param {Size} size
 * @returns {Box}
 */
const around = ({ x, y }, { width, height }) => ({
  left: x - width / 2,
  top: y - height / 2,
  right: x + width / 2,
  bottom: y + height / 2,
});
