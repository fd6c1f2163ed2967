import assert from "node:assert/strict";
import { test } from "node:test";
import { unmarked, wordAt } from "../../ui/js/read_along.js";

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

test("marks of Markdown are not shown, signs that are spoken are", () => {
  assert.equal(unmarked("Good **morning**! It is *very* `cold`."), "Good morning! It is very cold.");
  assert.equal(unmarked("## Today\n__Rain__, ~~sun~~"), " Today\nRain, sun");
  for (const kept of ["2 * 3 = 6", "a snake_case_name", "It is ~ 5 °C", "#1 of 5"])
    assert.equal(unmarked(kept), kept);
});
