import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ownerOf, StreamTimeline, speakableAt } from "../../ui/js/stream_timeline.js";

const FLUSH_IDLE = 0.16;

/** A text that is sent letter by letter, `pace` seconds apart, from `at` on.
 * @type {(text: string, at?: number, pace?: number) => [number, string][]} */
const typed = (text, at = 0, pace = 0.05) => Array.from(text, (letter, n) => [at + n * pace, letter]);
/** @type {(sent: any[], more?: { ends?: any[], flushIdle?: number }) => any} */
const textOf = (sent, { ends = [], flushIdle = FLUSH_IDLE } = {}) => ({ sent, ends, flushIdle });
/** @type {(text: string, place: [begin: number, start: number, end: number], told?: number) => any} */
const word = (text, [begin, start, end], told = Infinity) => ({
  ...{ text, utf16_begin: begin, utf16_end: begin + text.length },
  ...{ start_time: start, end_time: end, told },
});
/** @type {(actual: number, expected: number) => void} */
const close = (actual, expected) =>
  assert.ok(Math.abs(actual - expected) < 1e-9 || actual === expected, `${actual} is not ${expected}`);

/**
 * What is sent, the end of the word, and when that could be spoken.
 * @type {[what: string, sent: any[], end: number, more: { now?: number, ends?: any[], flushIdle?: number }, at: number, by?: string][]}
 */
const SPEAKABLE = [
  ["a sentence, and a letter of the next", [[0, "One two. T"]], 3, {}, 0, "sentence"],
  ["its end alone may be that of an abbreviation", [[0, "One two. "]], 3, {}, Infinity],
  [
    "the next letter shows it",
    [
      [0, "One two. "],
      [0.1, "T"],
    ],
    3,
    {},
    0.1,
    "sentence",
  ],
  ["a small letter does not", [[0, "One two. t"]], 3, {}, Infinity],
  ["quotation marks may come between", [[0, "“One two.” “T"]], 4, {}, 0, "sentence"],
  [
    "a line break ends one",
    [
      [0, "One two\n"],
      [0.1, "T"],
    ],
    3,
    {},
    0.1,
    "sentence",
  ],
  [
    "the full stop of Chinese needs no space",
    [
      [0, "一二。"],
      [0.1, "三"],
    ],
    1,
    {},
    0.1,
    "sentence",
  ],
  ["a title ends none", [[0, "Dr. No is in. "]], 2, {}, Infinity],
  [
    "so its sentence is the longer one",
    [
      [0, "Dr. No"],
      [0.1, " is in. O"],
    ],
    2,
    {},
    0.1,
    "sentence",
  ],
  [
    "nor does an ordinal",
    [
      [0, "Am 3. Mai "],
      [0.1, "war es. A"],
    ],
    2,
    {},
    0.1,
    "sentence",
  ],
  ["letter by letter, that of the next counts", typed("As is. C", 0, 0.1), 2, {}, 0.7, "sentence"],
  [
    "a pause behind the word",
    [
      [0, "One two "],
      [1, "three"],
    ],
    7,
    {},
    FLUSH_IDLE,
    "pause",
  ],
  [
    "a pause behind the sentence",
    [
      [0, "One two. "],
      [1, "T"],
    ],
    7,
    {},
    FLUSH_IDLE,
    "pause",
  ],
  [
    "a pause that is too short",
    [
      [0, "One two "],
      [0.1, "three"],
    ],
    7,
    {},
    Infinity,
  ],
  ["a pause that still lasts", [[0, "One two "]], 7, { now: 0.5 }, FLUSH_IDLE, "pause"],
  [
    "the last word may go on",
    [
      [0, "One two"],
      [0.5, "fold"],
    ],
    7,
    {},
    Infinity,
  ],
  [
    "but not for longer than a second",
    [
      [0, "One two"],
      [1.5, " three"],
    ],
    7,
    {},
    1,
    "pause",
  ],
  [
    "a server that never flushes",
    [
      [0, "One two "],
      [9, "three"],
    ],
    7,
    { flushIdle: 0 },
    Infinity,
  ],
  [
    "one that is patient",
    [
      [0, "One two "],
      [1, "three"],
    ],
    7,
    { flushIdle: 0.8 },
    0.8,
    "pause",
  ],
  ["the end of the text", [[0, "One two"]], 7, { ends: [[0.3, 7]] }, 0.3, "end"],
  [
    "the end of another text before",
    [
      [0, "One"],
      [0.1, " two"],
    ],
    7,
    { ends: [[0.05, 3]] },
    Infinity,
  ],
];

for (const [what, sent, end, { now, ...more }, at, by] of SPEAKABLE) {
  test(`when a word can be spoken: ${what}`, () => {
    const found = speakableAt(end, textOf(sent, more), now ?? sent.at(-1)[0]);
    close(found.at, at);
    if (by) assert.equal(found.by, by);
  });
}

/** Cases of the rule that the simulated clients follow too: a gap from 2 s to 3 s, after 2 s of audio. @type {any[]} */
const RULE = JSON.parse(readFileSync(new URL("../support/gap_owners.json", import.meta.url), "utf8"));

for (const { what, owner, sent, finished, flush_idle, word: next } of RULE) {
  test(`whose a gap is: ${what}`, () => {
    const length = sent.reduce(
      (/** @type {number} */ sum, /** @type {any} */ [, piece]) => sum + piece.length,
      0,
    );
    const ends = finished === null ? [] : [[finished, length]];
    const told = next && word(next.text, [next.begin, next.start, next.end], next.told);
    const gap = { dry: 2, now: 3, position: 2 };
    assert.equal(ownerOf(gap, told ?? undefined, textOf(sent, { ends, flushIdle: flush_idle })), owner);
  });
}

test("whose a gap is does not depend on how a text is cut into pieces that are sent together", () => {
  const text = "One two. Three four. F";
  for (const [at, owner] of /** @type {[number, string][]} */ ([
    [1.5, "server"],
    [2.5, "text"],
  ]))
    for (let cut = 1; cut <= text.length; cut++) {
      const pieces = [text.slice(0, cut), text.slice(cut)].filter(Boolean).map((piece) => [at, piece]);
      const gap = { dry: 2, now: 3, position: 2 };
      assert.equal(ownerOf(gap, word("Three", [9, 2, 3]), textOf(pieces)), owner);
    }
});

test("a run has lanes of what was sent and heard, its gaps and its first sound", () => {
  const timeline = new StreamTimeline(FLUSH_IDLE);
  for (const [at, letter] of typed("One two. T", 0, 0.1)) timeline.send(at, letter);
  timeline.tell(1, [word("One", [0, 0.1, 0.4]), word("two", [4, 0.5, 0.9])]);
  timeline.receive(1, { starts: 1.03, seconds: 0.5, gap: 0 });
  timeline.receive(1.1, { starts: 1.53, seconds: 0.5, gap: 0 });
  timeline.send(4, "hree. ");
  timeline.tell(4.1, [word("Three", [9, 1.1, 1.4])]);
  timeline.receive(4.1, { starts: 4.5, seconds: 0.5, gap: 2.47 });
  timeline.end(5);
  const { text, words, buffer, gaps, first_audio, ended } = timeline.lane();
  assert.deepEqual(
    text.map(([at, piece]) => [Math.round(at * 10) / 10, piece]),
    [
      [0, "One "],
      [0.4, "two. "],
      [0.9, "Three. "],
    ],
  );
  assert.deepEqual(
    words.map(([at, said]) => `${said} ${at.toFixed(2)}`),
    ["One 1.13", "two 1.53", "Three 4.60"],
  );
  assert.deepEqual(
    buffer.map(([, left]) => left.toFixed(2)),
    ["0.53", "0.93", "0.90"],
  );
  assert.deepEqual(
    gaps.map(({ owner, word }) => [owner, word]),
    [["text", "Three"]],
  );
  assert.deepEqual([first_audio, ended], [1.03, 5]);
  assert.equal(timeline.firstSound?.by, "sentence");
  close(Math.round((timeline.firstSound?.seconds ?? 0) * 100), 13);
});

test("later lanes begin at their own 0", () => {
  const timeline = new StreamTimeline();
  timeline.send(1, "One. ");
  timeline.send(5, "Two. ");
  timeline.receive(2, { starts: 2, seconds: 1, gap: 0 });
  const { text, buffer, first_audio } = timeline.lane(4);
  assert.deepEqual([text, buffer, first_audio], [[[1, "Two. "]], [], null]);
});

test("a first sound before its sentence is complete counts from the end of its first word", () => {
  const timeline = new StreamTimeline(FLUSH_IDLE);
  for (const [at, letter] of typed("One two, three", 0, 0.1)) timeline.send(at, letter);
  timeline.tell(1.3, [word("One", [0, 0, 0.4])]);
  timeline.receive(1.3, { starts: 1.3, seconds: 0.4, gap: 0 });
  const { seconds = 0, by } = timeline.firstSound ?? {};
  assert.deepEqual([seconds.toFixed(2), by], ["1.10", "word"]);
});

test("a first sound after a whole sentence counts from its end, although the server waited for more", () => {
  /** @type {[text: string, by: string, seconds: number][]} */
  const cases = [
    ["One two. ", "sentence", 0.5],
    ["One two ", "pause", 0.34],
  ];
  for (const [text, by, seconds] of cases) {
    const timeline = new StreamTimeline(FLUSH_IDLE);
    timeline.send(0, text);
    timeline.tell(0.5, [word("One", [0, 0, 0.4])]);
    timeline.receive(0.5, { starts: 0.5, seconds: 0.4, gap: 0 });
    timeline.send(0.6, "Three.");
    assert.equal(timeline.firstSound?.by, by);
    close(Math.round((timeline.firstSound?.seconds ?? 0) * 100) / 100, seconds);
  }
});
