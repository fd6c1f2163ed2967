/**
 * The arithmetic of a mix of voices: weights, shares of a hundred, and the recipe that says them.
 *
 * Weights are whole numbers wherever a slider made them, and add up to what they added up to before.
 */

export const WHOLE = 100;
export const MOST = 6;
export const FEWEST = 2;

/**
 * A voice in the mix. A weight below 0 leads away from it.
 * @typedef {{ voice: string, weight: number, locked: boolean, colour: number }} Row
 */

/** @typedef {{ voice: string, weight: number }} Part */

/** @param {readonly number[]} numbers */
export const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** @param {readonly number[]} weights */
const magnitude = (weights) => sum(weights.map(Math.abs));

/**
 * Each row's percentage of the mix.
 * @param {readonly Row[]} rows
 */
export function shares(rows) {
  const whole = magnitude(rows.map(({ weight }) => weight)) || 1;
  return rows.map(({ weight }) => (weight / whole) * WHOLE);
}

/**
 * Whole numbers that add up to `whole`: those with the largest remainders are rounded up.
 * @param {readonly number[]} weights
 * @param {number} whole
 */
export function rounded(weights, whole) {
  const floors = weights.map(Math.floor);
  const order = weights
    .map((_, index) => index)
    .sort((a, b) => weights[b] - floors[b] - (weights[a] - floors[a]));
  const missing = Math.round(whole - sum(floors));
  for (const index of order.slice(0, missing)) floors[index] += 1;
  return floors;
}

/** @param {readonly Row[]} rows */
export const unlocked = (rows) => rows.filter(({ locked }) => !locked);

/**
 * Have the rows that are not locked share what the locked ones leave of the whole.
 * @param {readonly Row[]} rows
 * @param {readonly number[]} proportions of those that are not locked, in their order
 */
export function share(rows, proportions) {
  const free = unlocked(rows);
  const left = WHOLE - magnitude(rows.filter(({ locked }) => locked).map(({ weight }) => weight));
  const whole = magnitude(proportions) || 1;
  if (!free.length || left <= 0) return;
  const parts = rounded(
    proportions.map((proportion) => (Math.abs(proportion) / whole) * left),
    left,
  );
  for (const [index, row] of free.entries()) row.weight = (Math.sign(proportions[index]) || 1) * parts[index];
}

/**
 * Give rows whole numbers for weights, without changing what they add up to.
 * @param {readonly Row[]} rows
 */
export function makeWhole(rows) {
  const weights = rows.map(({ weight }) => weight);
  if (weights.every(Number.isInteger)) return;
  const whole = rounded(weights, Math.round(sum(weights)));
  for (const [index, row] of rows.entries()) row.weight = whole[index];
}

/**
 * The recipe of a mix, as the server reads it.
 * @param {readonly Row[]} rows
 */
export function recipeOf(rows) {
  const heard = rows.filter(({ weight }) => weight);
  return heard.map(({ voice, weight }) => `${voice}:${Number(weight.toFixed(4))}`).join(",");
}

/**
 * A row for a voice, of a colour that no other has.
 * @param {readonly Row[]} rows those that are there
 * @param {string} voice
 * @param {number} weight
 * @returns {Row}
 */
export function newRow(rows, voice, weight) {
  const taken = new Set(rows.map(({ colour }) => colour));
  const colours = Array.from({ length: MOST }, (_, index) => index + 1);
  return { voice, weight, locked: false, colour: colours.find((colour) => !taken.has(colour)) ?? 1 };
}

/**
 * The rows of a recipe as it was read, by name as in the recipe; what stays keeps its lock and its colour.
 * @param {readonly Row[]} rows those that are there
 * @param {readonly Part[]} parts
 */
export function rowsOf(rows, parts) {
  const whole = magnitude(parts.map(({ weight }) => weight)) || 1;
  const known = new Map(rows.map((row) => [row.voice, row]));
  const kept = parts.flatMap(({ voice }) => known.get(voice) ?? []);
  for (const { voice } of parts) if (!known.has(voice)) kept.push(newRow(kept, voice, 0));
  kept.sort((one, other) => (one.voice < other.voice ? -1 : 1));
  const weights = new Map(parts.map(({ voice, weight }) => [voice, (weight / whole) * WHOLE]));
  return kept.map((row) => ({ ...row, weight: weights.get(row.voice) ?? 0 }));
}

/**
 * A name with the first number that makes it a new one.
 * @param {string} name
 * @param {Iterable<string>} taken
 */
export function freeName(name, taken) {
  const all = new Set(taken);
  const base = name.replace(/_\d+$/, "");
  let number = 2;
  while (all.has(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}
