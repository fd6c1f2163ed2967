/**
 * Arithmetic of a mix of voices: weights, percentages, and the recipe that contains them.
 *
 * Weights are whole numbers wherever a slider made them, and add up to what they added up to before.
 */

export const FULL_WEIGHT = 100;
export const MAX_VOICES = 6;
export const MIN_VOICES = 2;

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
export function percentages(rows) {
  const whole = magnitude(rows.map(({ weight }) => weight)) || 1;
  return rows.map(({ weight }) => (weight / whole) * FULL_WEIGHT);
}

/**
 * What is read beside the sliders: each row's weight, and its percentage of the mix where the weights do not add up to
 * 100, so that the weight alone does not tell it.
 * @param {readonly Row[]} rows
 * @returns {{ weight: number, share: number | null }[]}
 */
export function rowFigures(rows) {
  const isOfHundred = Math.round(magnitude(rows.map(({ weight }) => weight))) === FULL_WEIGHT;
  const shares = percentages(rows);
  return rows.map(({ weight }, index) => ({
    weight: Math.round(weight),
    share: isOfHundred ? null : Math.round(shares[index]),
  }));
}

/**
 * Whole numbers that add up to `whole`: those with the largest remainders are rounded up.
 * @param {readonly number[]} weights
 * @param {number} whole
 */
export function roundToSum(weights, whole) {
  const floors = weights.map(Math.floor);
  const order = weights
    .map((_, index) => index)
    .sort((a, b) => weights[b] - floors[b] - (weights[a] - floors[a]));
  const missing = Math.round(whole - sum(floors));
  for (const index of order.slice(0, missing)) floors[index] += 1;
  return floors;
}

/** @param {readonly Row[]} rows */
export const unlockedRows = (rows) => rows.filter(({ locked }) => !locked);

/**
 * Distribute the weight that locked rows leave among the unlocked ones.
 * @param {readonly Row[]} rows
 * @param {readonly number[]} proportions of the unlocked rows, in their order
 */
export function distribute(rows, proportions) {
  const free = unlockedRows(rows);
  const left = FULL_WEIGHT - magnitude(rows.filter(({ locked }) => locked).map(({ weight }) => weight));
  const whole = magnitude(proportions) || 1;
  if (!free.length || left <= 0) return;
  const parts = roundToSum(
    proportions.map((proportion) => (Math.abs(proportion) / whole) * left),
    left,
  );
  for (const [index, row] of free.entries()) row.weight = (Math.sign(proportions[index]) || 1) * parts[index];
}

/**
 * Round the weights of rows to whole numbers, without changing their sum.
 * @param {readonly Row[]} rows
 */
export function roundWeights(rows) {
  const weights = rows.map(({ weight }) => weight);
  if (weights.every(Number.isInteger)) return;
  const whole = roundToSum(weights, Math.round(sum(weights)));
  for (const [index, row] of rows.entries()) row.weight = whole[index];
}

/**
 * The recipe of a mix, as the server reads it.
 * @param {readonly Row[]} rows
 */
export function formatRecipe(rows) {
  const heard = rows.filter(({ weight }) => weight);
  return heard.map(({ voice, weight }) => `${voice}:${Number(weight.toFixed(4))}`).join(",");
}

/**
 * A row for a voice, of a colour that no other has.
 * @param {readonly Row[]} rows the existing rows
 * @param {string} voice
 * @param {number} weight
 * @returns {Row}
 */
export function newRow(rows, voice, weight) {
  const taken = new Set(rows.map(({ colour }) => colour));
  const colours = Array.from({ length: MAX_VOICES }, (_, index) => index + 1);
  return { voice, weight, locked: false, colour: colours.find((colour) => !taken.has(colour)) ?? 1 };
}

/**
 * The rows of a recipe as it was read, by name as in the recipe; what stays keeps its lock and its colour.
 * @param {readonly Row[]} rows the existing rows
 * @param {readonly Part[]} parts
 */
export function rowsFromRecipe(rows, parts) {
  const whole = magnitude(parts.map(({ weight }) => weight)) || 1;
  const known = new Map(rows.map((row) => [row.voice, row]));
  const kept = parts.flatMap(({ voice }) => known.get(voice) ?? []);
  for (const { voice } of parts) if (!known.has(voice)) kept.push(newRow(kept, voice, 0));
  kept.sort((one, other) => (one.voice < other.voice ? -1 : 1));
  const weights = new Map(parts.map(({ voice, weight }) => [voice, (weight / whole) * FULL_WEIGHT]));
  return kept.map((row) => ({ ...row, weight: weights.get(row.voice) ?? 0 }));
}

const MAX_NAME = 64;
/** @type {Record<string, string>} */
const SPELLED = { ä: "ae", ö: "oe", ü: "ue", ß: "ss", æ: "ae", ø: "o", å: "a", œ: "oe", ł: "l" };

/**
 * The name of a blend as recipes can hold it, a letter and then letters, digits or _, for one that people write:
 * `Kuechenstimme_2` for "Küchenstimme 2".
 * @param {string} written
 */
export function recipeName(written) {
  const spelled = written.normalize("NFC").replace(/[äöüßæøåœł]/gi, (sign) => {
    const plain = SPELLED[sign.toLowerCase()];
    return sign === sign.toLowerCase() ? plain : plain.charAt(0).toUpperCase() + plain.slice(1);
  });
  const plain = spelled.normalize("NFD").replace(/\p{M}/gu, "");
  const name = plain.replace(/[^A-Za-z0-9_]+/g, "_").replace(/^_+|_+$/g, "");
  if (!written.trim()) return "";
  return (/^[A-Za-z]/.test(name) ? name : `blend_${name}`.replace(/_$/, "")).slice(0, MAX_NAME);
}

/**
 * Both names of a blend: the one that recipes can hold, and the title that people read, "" where it is the same.
 * @param {string} written
 * @returns {{ name: string, title: string }}
 */
export function blendNames(written) {
  const name = recipeName(written);
  const title = written.trim();
  return { name, title: name === title ? "" : title };
}

/**
 * A name that is not taken yet, made unique by a number.
 * @param {string} name
 * @param {Iterable<string>} taken
 */
export function unusedName(name, taken) {
  const all = new Set(taken);
  const base = name.replace(/_\d+$/, "");
  let number = 2;
  while (all.has(`${base}_${number}`)) number += 1;
  return `${base}_${number}`;
}
