import assert from "node:assert/strict";
import { test } from "node:test";
import { countGaps, marksOf } from "../../ui/js/stream_lanes.js";

test("the axis is marked at whole steps that leave each mark its place", () => {
  assert.deepEqual(marksOf(4, 400), [0, 1, 2, 3]);
  assert.deepEqual(marksOf(1, 400), [0, 0.2, 0.4, 0.6, 0.8]);
  assert.deepEqual(marksOf(9.4, 200), [0, 5]);
  assert.deepEqual(marksOf(1, 0), [0]);
  for (const span of [0.3, 1, 7.7, 60, 3600])
    for (const width of [120, 230, 900]) {
      const marks = marksOf(span, width);
      assert.ok((marks.length - 1) * 56 <= width && marks.every((at) => at < span));
    }
});

test("gaps are counted apart by whose they are", () => {
  const gaps = /** @type {const} */ ([
    { at: 1, seconds: 0.5, owner: "text" },
    { at: 2, seconds: 0.25, owner: "server" },
    { at: 3, seconds: 0.25, owner: "text" },
  ]);
  assert.deepEqual(countGaps(gaps), {
    text: { count: 2, seconds: 0.75 },
    server: { count: 1, seconds: 0.25 },
    unknown: { count: 0, seconds: 0 },
  });
});
