import assert from "node:assert/strict";
import { test } from "node:test";
import { BlindComparison, MAX_COMPARISONS } from "../../ui/js/blind_comparison.js";

/** A generator of numbers that are the same each time. @param {number} seed */
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

/**
 * Judge all pairs by a rank of the voices.
 * @param {BlindComparison} comparison
 * @param {(voice: string) => number} rank
 */
function judgeAll(comparison, rank) {
  for (let pair = comparison.pair; pair; pair = comparison.pair) {
    const difference = rank(pair.a) - rank(pair.b);
    comparison.judge(difference > 0 ? "a" : difference < 0 ? "b" : "equal");
  }
}

test("each pair of a few voices is compared once, on either side", () => {
  const sides = new Set();
  for (let seed = 0; seed < 20; seed++) {
    const comparison = new BlindComparison(["x", "y", "z"], numbers(seed));
    const seen = new Set();
    judgeAll(comparison, (voice) => {
      if (comparison.pair) seen.add([comparison.pair.a, comparison.pair.b].sort().join());
      if (comparison.pair) sides.add(comparison.pair.a);
      return voice.charCodeAt(0);
    });
    assert.deepEqual([...seen].sort(), ["x,y", "x,z", "y,z"]);
    assert.deepEqual(comparison.winners, ["z"]);
  }
  assert.equal(sides.size, 3);
});

test("of many voices each is compared about equally often, and not for ever", () => {
  const voices = Array.from({ length: 12 }, (_, i) => `voice ${String(i).padStart(2, "0")}`);
  const comparison = new BlindComparison(voices, numbers(7));
  assert.equal(comparison.count, MAX_COMPARISONS);
  judgeAll(comparison, () => 0);
  const times = comparison.scores.map(({ compared }) => compared);
  assert.ok(Math.max(...times) - Math.min(...times) <= 1, String(times));
});

test("equal voices share the win, and an equal verdict is half a win", () => {
  const comparison = new BlindComparison(["x", "y"], numbers(1));
  comparison.judge("equal");
  assert.deepEqual(comparison.winners.sort(), ["x", "y"]);
  assert.deepEqual(
    comparison.scores.map(({ wins, compared }) => [wins, compared]),
    [
      [0.5, 1],
      [0.5, 1],
    ],
  );
});

test("a verdict can be taken back, and none is counted after the last", () => {
  const comparison = new BlindComparison(["x", "y"], numbers(1));
  const { pair } = comparison;
  comparison.judge("a");
  assert.equal(comparison.pair, null);
  comparison.judge("b");
  comparison.undo();
  assert.deepEqual(comparison.pair, pair);
  comparison.judge("b");
  assert.deepEqual(comparison.winners, [pair?.b]);
});

test("a comparison that is ended early counts what was judged", () => {
  const comparison = new BlindComparison(["x", "y", "z"], numbers(1));
  const first = comparison.pair;
  comparison.judge("a");
  comparison.end();
  assert.equal(comparison.pair, null);
  assert.equal(comparison.count, 1);
  assert.deepEqual(comparison.winners, [first?.a]);
});
