import assert from "node:assert/strict";
import { test } from "node:test";
import { sentenceEnd, sentenceStart } from "../../ui/js/sentences.js";
import { changeOf, piecesOf, Typist } from "../../ui/js/stream_live_text.js";

/** @type {[what: string, before: string, after: string, change: import("../../ui/js/stream_live_text.js").Change | null][]} */
const CHANGES = [
  ["nothing", "One. Two", "One. Two", null],
  ["a letter", "One. Tw", "One. Two", { append: "o" }],
  ["a paste at the end", "", "One. Two. ", { append: "One. Two. " }],
  ["a letter taken back", "One. Two", "One. Tw", { restart: 5 }],
  ["a whole sentence taken back", "One. Two", "One. ", { restart: 5 }],
  ["a letter in an earlier sentence", "One. Two. Three", "One. Twoo. Three", { restart: 5 }],
  ["a paste at the beginning", "One. Two", "Zero. One. Two", { restart: 0 }],
  ["all taken back", "One. Two", "", { restart: 0 }],
  ["all replaced", "One. Two", "Three", { restart: 0 }],
];

for (const [what, before, after, change] of CHANGES)
  test(`what a change means: ${what}`, () => assert.deepEqual(changeOf(before, after), change));

test("a sentence ends where the next one has begun", () => {
  assert.equal(sentenceEnd("One. Two", 0), 5);
  assert.equal(sentenceEnd("One. ", 0), null);
  assert.equal(sentenceEnd("He said “no.” Then", 0), 14);
  assert.equal(sentenceEnd("At 3.5 p.m. or e.g. now. So", 0), 25);
});

test("a sentence begins behind a mark, whatever its first letter", () => {
  const cases = [
    ["one. two", 8, 5],
    ["One. ", 5, 5],
    ["One.", 4, 0],
    ["Dr. No. Dr. Who", 15, 8],
    ["a\nb", 3, 2],
  ];
  for (const [text, place, start] of /** @type {[string, number, number][]} */ (cases))
    assert.equal(sentenceStart(text, place), start);
});

test("a typist types all of a text, whole characters, and ends", async () => {
  const typist = new Typist();
  /** @type {string[]} */
  const pieces = [];
  await new Promise((end) =>
    typist.start("Smile 🙂 once", 200, { write: (piece) => pieces.push(piece), end: () => end(null) }),
  );
  assert.equal(pieces.join(""), "Smile 🙂 once");
  assert.ok(pieces.some((piece) => piece.includes("🙂")));
  assert.equal(typist.isTyping, false);
});

test("a typist that is stopped while it types writes nothing more", async () => {
  const typist = new Typist();
  /** @type {string[]} */
  const pieces = [];
  await /** @type {Promise<void>} */ (
    new Promise((stopped) => {
      /** @param {string} piece */
      const write = (piece) => {
        pieces.push(piece);
        typist.stop();
        stopped();
      };
      typist.start("abc", 0.1, { write, end: () => pieces.push("end") });
    })
  );
  assert.deepEqual(pieces, ["a"]);
});

test("rows of marks and spaces take no longer than other text", () => {
  for (const row of [".", " ", "\n", "?!", ". "]) {
    const text = `One${row.repeat(100_000)}two`; // each would take minutes if it were looked through from each place
    assert.ok(sentenceStart(text, text.length) <= text.length);
  }
});

test("a long text is cut into pieces that are whole characters", () => {
  assert.deepEqual([...piecesOf("a🙂b🙂", 2)], ["a", "🙂", "b", "🙂"]);
  assert.deepEqual([...piecesOf("abcde", 2)], ["ab", "cd", "e"]);
  assert.deepEqual([...piecesOf("", 2)], []);
});
