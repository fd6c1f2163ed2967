import assert from "node:assert/strict";
import { test } from "node:test";
import {
  distribute,
  formatRecipe,
  newRow,
  percentages,
  roundToSum,
  roundWeights,
  rowFigures,
  rowsFromRecipe,
  sum,
  unusedName,
} from "../../ui/js/mix.js";

/**
 * @param {...[voice: string, weight: number, locked?: boolean]} given
 * @returns {import("../../ui/js/mix.js").Row[]}
 */
const rows = (...given) =>
  given.map(([voice, weight, locked = false], i) => ({ voice, weight, locked, colour: i + 1 }));

/** @param {import("../../ui/js/mix.js").Row[]} mix */
const weights = (mix) => mix.map(({ weight }) => weight);

test("rounded weights keep their sum, by the largest remainder method", () => {
  assert.deepEqual(roundToSum([33.4, 33.3, 33.3], 100), [34, 33, 33]);
  assert.deepEqual(roundToSum([0.5, 0.5], 1), [1, 0]);
  assert.equal(sum(roundToSum([14.2, 14.9, 70.9], 100)), 100);
});

test("unlocked voices share the weight that locked ones leave", () => {
  const mix = rows(["a", 60, true], ["b", 10], ["c", 30]);
  distribute(mix, [10, 30]);
  assert.deepEqual(weights(mix), [60, 10, 30]);
  distribute(mix, [1, 1]);
  assert.deepEqual(weights(mix), [60, 20, 20]);
});

test("a negative weight keeps its sign", () => {
  const mix = rows(["a", 30], ["b", -10]);
  distribute(mix, [30, -10]);
  assert.deepEqual(weights(mix), [75, -25]);
});

test("weights stay unchanged where locked voices leave nothing to share", () => {
  const mix = rows(["a", 100, true], ["b", 7]);
  distribute(mix, [1]);
  assert.deepEqual(weights(mix), [100, 7]);
});

test("shares are percentages of the absolute sum of weights", () => {
  assert.deepEqual(percentages(rows(["a", 3], ["b", -1])), [75, -25]);
  assert.deepEqual(percentages(rows(["a", 0])), [0]);
});

test("makeWhole rounds fractional weights and keeps whole ones", () => {
  const mix = rows(["a", 33.4], ["b", 66.6]);
  roundWeights(mix);
  assert.deepEqual(weights(mix), [33, 67]);
  roundWeights(mix);
  assert.deepEqual(weights(mix), [33, 67]);
});

test("a recipe omits zero weights and has at most four decimals", () => {
  assert.equal(formatRecipe(rows(["a", 60], ["b", 0], ["c", 100 / 3])), "a:60,c:33.3333");
});

test("rows made from a recipe keep lock and colour of the previous rows", () => {
  const mix = rowsFromRecipe(rows(["b", 50, true], ["c", 50]), [
    { voice: "b", weight: 1 },
    { voice: "a", weight: 3 },
  ]);
  assert.deepEqual(mix, [
    { voice: "a", weight: 75, locked: false, colour: 2 },
    { voice: "b", weight: 25, locked: true, colour: 1 },
  ]);
});

test("a new row gets an unused colour", () => {
  assert.equal(newRow(rows(["a", 1], ["b", 1]), "c", 1).colour, 3);
});

test("a copy is named with the first free number", () => {
  assert.equal(unusedName("anna", []), "anna_2");
  assert.equal(unusedName("anna_2", ["anna", "anna_2", "anna_3"]), "anna_4");
});

test("beside a slider stands the weight it is at, with the share of the mix only where that is another", () => {
  assert.deepEqual(rowFigures(rows(["a", 50], ["b", 40], ["c", 10])), [
    { weight: 50, share: null },
    { weight: 40, share: null },
    { weight: 10, share: null },
  ]);
  assert.deepEqual(rowFigures(rows(["a", 50], ["b", 15], ["c", -6])), [
    { weight: 50, share: 70 },
    { weight: 15, share: 21 },
    { weight: -6, share: -8 },
  ]);
  const thirds = rowFigures(rows(["a", 100 / 3], ["b", 100 / 3], ["c", 100 / 3]));
  assert.deepEqual(new Set(thirds.map(({ share }) => share)), new Set([null]));
});
