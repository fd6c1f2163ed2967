/** Figures of several rounds: their median and spread, and whether two sides differ by more than chance explains. */

/** @typedef {{ median: number, least: number, most: number, count: number }} Spread */

/** Rounds of each side below which no difference can be told, however large it is: chance would order them so too often. */
export const LEAST_ROUNDS = 5;
const CHANCE = 0.01; // a table has a dozen figures, one of which would differ by chance too often at 1 in 20

/**
 * @param {readonly (number | null | undefined)[]} values what is missing does not count
 * @returns {Spread | null} null if there are none
 */
export function spreadOf(values) {
  const sorted = numbersOf(values).sort((one, other) => one - other);
  if (sorted.length === 0) return null;
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return {
    median: (low + high) / 2,
    least: sorted[0],
    most: sorted[sorted.length - 1],
    count: sorted.length,
  };
}

/**
 * Whether the values of one side are lower or higher than those of the other, more clearly than chance explains: the
 * exact rank-sum test, which supposes nothing of how they vary.
 * @param {readonly (number | null | undefined)[]} one
 * @param {readonly (number | null | undefined)[]} other
 */
export const canBeTold = (one, other) => chanceOf(numbersOf(one), numbersOf(other)) < CHANCE;

/**
 * The share of all ways to deal the values to two sides of these sizes that tell them apart at least as clearly.
 * @param {readonly number[]} one
 * @param {readonly number[]} other
 */
function chanceOf(one, other) {
  const all = [...one, ...other];
  const usual = one.length * (all.length + 1);
  const ways = [
    ...waysToDeal(
      all.map((value) => doubleRank(value, all)),
      one.length,
    ),
  ];
  const found = Math.abs(sum(one.map((value) => doubleRank(value, all))) - usual);
  const asClear = ways.filter(([total]) => Math.abs(total - usual) >= found);
  return sum(asClear.map(([, count]) => count)) / sum(ways.map(([, count]) => count));
}

/**
 * Twice the rank of a value, so that the middle of equal ones is whole.
 * @param {number} value
 * @param {readonly number[]} all
 */
const doubleRank = (value, all) =>
  2 * all.filter((each) => each < value).length + all.filter((each) => each === value).length + 1;

/**
 * In how many ways so many ranks can be drawn, by their sum.
 * @param {readonly number[]} ranks
 * @param {number} count
 */
function waysToDeal(ranks, count) {
  /** By how many are drawn. @type {Map<number, number>[]} */
  const ways = Array.from({ length: count + 1 }, () => new Map());
  ways[0].set(0, 1);
  for (const rank of ranks) {
    for (let drawn = count; drawn > 0; drawn -= 1) {
      for (const [total, number] of ways[drawn - 1])
        ways[drawn].set(total + rank, (ways[drawn].get(total + rank) ?? 0) + number);
    }
  }
  return ways[count];
}

/** @param {readonly (number | null | undefined)[]} values */
const numbersOf = (values) => values.filter((value) => typeof value === "number");

/** @param {readonly number[]} values */
const sum = (values) => values.reduce((total, value) => total + value, 0);
