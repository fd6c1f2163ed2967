import assert from "node:assert/strict";
import { test } from "node:test";
import { wordAt } from "../../ui/js/read_along.js";

const WORDS = [0.1, 0.5, 1.2].map((start_time, i) => ({
  text: "word",
  utf16_begin: 5 * i,
  utf16_end: 5 * i + 4,
  start_time,
  end_time: start_time + 0.2,
}));

test("the word that sounds is the last one that has begun, also in the pause behind it", () => {
  assert.deepEqual(
    [0, 0.1, 0.2, 0.4, 0.5, 1.19, 1.2, 99].map((seconds) => wordAt(WORDS, seconds)),
    [-1, 0, 0, 0, 1, 1, 2, 2],
  );
  assert.equal(wordAt([], 1), -1);
});
