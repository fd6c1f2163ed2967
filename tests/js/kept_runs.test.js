import assert from "node:assert/strict";
import { test } from "node:test";
import { csvOf, KeptRuns, roundsOf } from "../../ui/js/kept_runs.js";

/** What a browser keeps. */
class MemoryStorage {
  /** @param {string | null} [found] */
  constructor(found = null) {
    this.found = found;
  }

  getItem() {
    return this.found;
  }

  /**
   * @param {string} _
   * @param {string} value
   */
  setItem(_, value) {
    this.found = value;
  }
}

const none = { count: 0, seconds: 0 };
const lane = {
  ...{
    client: 1,
    state: "spoken",
    error: "",
    ttfa: 0.1,
    chunks: 1,
    audio: 1,
    recorded: 1,
    first_audio: 0.1,
    ended: 1,
  },
  gaps: [{ at: 1, seconds: 0.5, owner: /** @type {const} */ ("text") }],
  gap_counts: { text: { count: 1, seconds: 0.5 }, server: none, unknown: none },
  buffer: /** @type {[number, number][]} */ ([[0.1, 1]]),
  text: [0],
  starts: [0.1],
  words: /** @type {[number, string][]} */ (Array.from({ length: 1000 }, (_, at) => [at, "word"])),
};
const settings = {
  ...{
    text: "Hello, world.",
    kind: "http",
    target: "",
    voice: "=HYPERLINK()",
    words_per_second: 20,
    clients: 1,
  },
  ...{ recorded: 1, vary: false, warm_up: false },
};

/** @param {string} run */
const frame = (run) => ({
  ...{ run, seconds: 1, over: true, before: null, logged: 0, lines: [] },
  lanes: [lane],
  summary: { spoken: 1, ttfa_p50: 0.1, gaps_text: 1 },
});

test("runs are kept over a reload, the newest first, twenty of them, each once", () => {
  const storage = new MemoryStorage();
  const kept = new KeptRuns(storage);
  for (let n = 0; n < 25; n += 1) kept.add(settings, frame(`run${n}`), { at: new Date(n * 1000) });
  kept.add(settings, frame("run24"), { at: new Date(0) });
  const again = new KeptRuns(storage).runs;
  assert.deepEqual(again, kept.runs);
  assert.deepEqual([again.length, again[0].id, again.at(-1)?.id], [20, "run24", "run5"]);
  assert.equal(again[0].lanes[0].words.length, 200);
  kept.remove(new Set(["run24", "run5"]));
  assert.equal(new KeptRuns(storage).runs.length, 18);
});

test("all together have a limit, and the newest is kept whatever its size", () => {
  const storage = new MemoryStorage();
  const kept = new KeptRuns(storage);
  for (const run of ["a", "b", "c"]) kept.add({ ...settings, text: "x".repeat(700_000) }, frame(run));
  assert.deepEqual(
    kept.runs.map(({ id }) => id),
    ["c", "b"],
  );
  kept.add({ ...settings, text: "x".repeat(2_000_000) }, frame("d"));
  assert.deepEqual(
    kept.runs.map(({ id }) => id),
    ["d"],
  );
});

test("what is no run is left out, whichever part of it is rubbish", () => {
  const storage = new MemoryStorage();
  new KeptRuns(storage).add(settings, frame("good"));
  const [good] = JSON.parse(storage.found ?? "");
  const unused = new Set(["settings.recorded", "settings.vary", "settings.warm_up", "lane.starts"]);
  /** @type {unknown[]} */
  const broken = [null, 1, "run", [], {}, { ...good, lanes: [null] }, { ...good, lanes: {} }];
  broken.push({ ...good, rounds: Array(1000).fill({}) });
  for (const rubbish of [{}, "x", undefined]) {
    for (const key of ["id", "at", "seconds", "settings", "summary", "lanes"]) {
      const isHarmless = key === "summary" ? typeof rubbish === "object" : key === "id" && rubbish === "x";
      if (!isHarmless) broken.push({ ...good, [key]: rubbish });
    }
    for (const key of Object.keys(settings)) {
      const isText = typeof good.settings[key] === "string";
      if (unused.has(`settings.${key}`) || (isText && rubbish === "x")) continue;
      broken.push({ ...good, settings: { ...settings, [key]: rubbish } });
    }
    for (const [key, value] of Object.entries(lane)) {
      const isText = typeof value === "string";
      if (unused.has(`lane.${key}`) || (isText && rubbish === "x")) continue;
      broken.push({ ...good, lanes: [{ ...lane, [key]: rubbish }] });
      if (Array.isArray(value))
        broken.push({ ...good, lanes: [{ ...lane, [key]: [...value, rubbish ?? null] }] });
    }
    broken.push({ ...good, summary: { wall: rubbish ?? "" } });
    broken.push({ ...good, rounds: [{ wall: rubbish ?? "" }] }, { ...good, rounds: rubbish ?? null });
  }
  for (const found of [
    "",
    "{",
    "null",
    "{}",
    '"text"',
    "[[]]",
    ...broken.map((run) => JSON.stringify([run])),
  ])
    assert.deepEqual(new KeptRuns(new MemoryStorage(found)).runs, [], found);
  const among = new MemoryStorage(JSON.stringify([...broken.slice(0, 10), good]));
  assert.deepEqual(new KeptRuns(among).runs, [good]);
});

test("a run without results is not kept", () => {
  const kept = new KeptRuns(new MemoryStorage());
  kept.add(settings, { ...frame("x"), summary: null });
  assert.deepEqual(kept.runs, []);
});

test("a browser that keeps nothing still has the runs of this page", () => {
  const full = {
    getItem: () => {
      throw new Error("forbidden");
    },
    setItem: () => {
      throw new Error("full");
    },
  };
  const kept = new KeptRuns(full);
  kept.add(settings, frame("a"));
  kept.add(settings, frame("b"));
  assert.deepEqual(
    kept.runs.map(({ id }) => id),
    ["b", "a"],
  );
});

test("the table for spreadsheets has a line for each run, and no formulas", () => {
  const storage = new MemoryStorage();
  const kept = new KeptRuns(storage);
  kept.add({ ...settings, text: 'She said "no",\nand left.' }, frame("a"), { at: new Date(0) });
  const [head, ...lines] = csvOf(kept.runs).split("\r\n");
  assert.match(
    head,
    /^date,kind,target,voice,words_per_second,clients,vary,text,round,spoken,ttfa_p50,.*,wall$/,
  );
  assert.deepEqual(lines, [
    `1970-01-01T00:00:00.000Z,http,,'=HYPERLINK(),20,1,false,"She said ""no"",\nand left.",1,1,0.1,,,1,,,,,,,,`,
    "",
  ]);
});

test("rounds are one kept run, in the place of the first, with a line of the table for each", () => {
  const storage = new MemoryStorage();
  const kept = new KeptRuns(storage);
  const rounds = [0.1, 0.3, 0.2].map((ttfa_p50) => ({ spoken: 1, ttfa_p50 }));
  const [first, second] = [frame("a1"), frame("a2")];
  kept.add(settings, first, { rounds: rounds.slice(0, 1) });
  kept.add(settings, frame("b1"));
  kept.add(settings, second, { rounds: rounds.slice(0, 2), replaces: "a1" });
  kept.add(settings, frame("a3"), { rounds, replaces: "a2" });
  const again = new KeptRuns(storage).runs;
  assert.deepEqual(
    again.map(({ id }) => id),
    ["b1", "a3"],
  );
  assert.deepEqual(again.map(roundsOf), [[frame("b1").summary], rounds]);
  const lines = csvOf([again[1]]).trim().split("\r\n");
  assert.deepEqual(
    lines.slice(1).map((line) => line.match(/,(\d),1,(0\.\d)/)?.slice(1)),
    [
      ["1", "0.1"],
      ["2", "0.3"],
      ["3", "0.2"],
    ],
  );
});
