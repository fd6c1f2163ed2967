import assert from "node:assert/strict";
import { test } from "node:test";
import { localize } from "../../ui/js/common.js";
import { conclusionOf, Figures, isEnough, mediansOf } from "../../ui/js/stream_results.js";

test("a difference of times is no share of one sample, but one of counts is", () => {
  const figures = new Figures(localize({ en: {} }, "en"));
  assert.equal(figures.change("ttfa_p50", 1.26, 2.2, false), "−940 ms");
  assert.equal(figures.change("ttfa_p50", 1.1, 2.2, true), "−1.10 s (−50 %)");
  assert.equal(figures.change("spoken", 1, 2, false), "−1 (−50 %)");
  assert.deepEqual([isEnough({ spoken: 4 }), isEnough({ spoken: 5 })], [false, true]);
});

test("a difference that is shown as nothing has no direction", () => {
  const figures = new Figures(localize({ en: {} }, "en"));
  assert.equal(figures.change("real_time_factor", 0.3571, 0.3583), "±0.00 (±0 %)");
  assert.equal(figures.change("ttfa_p50", 0.1034, 0.1), "+3 ms (+3 %)");
  assert.equal(figures.change("spoken", 2, 2), "±0 (±0 %)");
});

test("the rounds of two sides are said to differ in what hardly overlaps, and in nothing if they are few", () => {
  const words = localize(
    {
      en: {
        few_rounds: "fewer than {least}",
        conclusion_some: "differs: {figures}.",
        conclusion_none: "none.",
        told_rule: "rule",
        told_less: "less",
        "row.ttfa_p50": "first sound",
      },
    },
    "en",
  );
  const rounds = (/** @type {number} */ base, count = 5) =>
    Array.from({ length: count }, (_, n) => ({
      spoken: 1,
      ttfa_p50: base + n / 100,
      ttfa_p95: base,
      wall: (n * 7) % 5,
    }));
  const conclude = (/** @type {any[]} */ one, /** @type {any[]} */ other) =>
    conclusionOf(words, [
      { side: "A", rounds: one },
      { side: "B", rounds: other },
    ]);
  assert.equal(conclude(rounds(1), rounds(0.5)), "differs: first sound (less). rule");
  assert.equal(conclude(rounds(1), rounds(1.001)), "none. rule");
  assert.equal(conclude(rounds(1, 4), rounds(0.5)), "fewer than 5");
  assert.equal(mediansOf(rounds(1)).ttfa_p50, 1.02);
  assert.equal(mediansOf(rounds(1)).worst_gap, null);
});
