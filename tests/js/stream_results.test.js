import assert from "node:assert/strict";
import { test } from "node:test";
import { localize } from "../../ui/js/common.js";
import { Figures, isEnough } from "../../ui/js/stream_results.js";

test("a difference of times is no share of one sample, but one of counts is", () => {
  const figures = new Figures(localize({ en: {} }, "en"));
  assert.equal(figures.change("ttfa_p50", 1.26, 2.2, false), "−940 ms");
  assert.equal(figures.change("ttfa_p50", 1.1, 2.2, true), "−1.10 s (−50 %)");
  assert.equal(figures.change("spoken", 1, 2, false), "−1 (−50 %)");
  assert.deepEqual([isEnough({ spoken: 4 }), isEnough({ spoken: 5 })], [false, true]);
});
