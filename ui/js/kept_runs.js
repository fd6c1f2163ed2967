/** Kept runs: the last runs of stream tests, kept by the browser over a restart of the server, and their exports. */

import { OWNERS } from "./stream_lanes.js";
import { FIGURES } from "./stream_results.js";

/** @typedef {import("./stream_run.js").Frame} Frame */
/** @typedef {import("./stream_run.js").Lane} Lane */
/** @typedef {import("./stream_run.js").RunSettings} RunSettings */
/** @typedef {import("./stream_run.js").Summary} Summary */

/**
 * @typedef {object} KeptRun
 * @property {string} id the server's
 * @property {string} at when it was over, in ISO 8601
 * @property {RunSettings} settings
 * @property {number} seconds
 * @property {Summary} summary
 * @property {Summary[]} [rounds] all of them, if there were several: `summary` and `lanes` are of the last one
 * @property {Lane[]} lanes
 */

export const KEY = "wyoming-tts.stream_runs";
const MAX_RUNS = 20;
const MAX_CHARS = 1_500_000; // of all together; browsers keep 5 MB for a site
const MAX_ROUNDS = 20; // the page offers fewer; whether sides differ takes the fourth power of it
const MAX_WORDS = 200; // of a lane: more cannot be read in a chart
const SETTINGS = /** @type {const} */ ([
  "kind",
  "target",
  "voice",
  "words_per_second",
  "clients",
  "vary",
  "text",
]);

/** The kept runs, the newest first; emits "change". */
export class KeptRuns extends EventTarget {
  /** @type {KeptRun[]} */
  runs = [];
  /** Whether the browser keeps them; else they last as long as the page. */
  #lasts = true;

  /** @param {Pick<Storage, "getItem" | "setItem">} storage */
  constructor(storage) {
    super();
    this.storage = storage;
    this.reload();
  }

  /** Read what another tab may have written. */
  reload() {
    this.runs = this.#read();
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Keep a run that is over.
   * @param {RunSettings} settings
   * @param {Frame} frame
   * @param {object} [options]
   * @param {Summary[]} [options.rounds] all of them so far, if it is one of several
   * @param {string} [options.replaces] the ID of the round before, whose place it takes
   * @param {Date} [options.at]
   */
  add(settings, { run, seconds, summary, lanes }, { rounds = [], replaces = "", at = new Date() } = {}) {
    if (summary === null) return;
    const added = {
      ...{ id: run, at: at.toISOString(), settings, seconds, summary },
      ...(rounds.length > 1 ? { rounds: [...rounds] } : {}),
      lanes: lanes.map((lane) => ({ ...lane, words: lane.words.slice(0, MAX_WORDS) })),
    };
    this.#write((runs) =>
      runs.some(({ id }) => id === replaces)
        ? runs.map((each) => (each.id === replaces ? added : each))
        : [added, ...runs.filter(({ id }) => id !== run)],
    );
  }

  /** @param {ReadonlySet<string>} ids */
  remove(ids) {
    this.#write((runs) => runs.filter(({ id }) => !ids.has(id)));
  }

  /** @param {(runs: KeptRun[]) => KeptRun[]} change */
  #write(change) {
    this.runs = withinLimits(change(this.#read()));
    try {
      this.storage.setItem(KEY, JSON.stringify(this.runs));
      this.#lasts = true;
    } catch {
      this.#lasts = false; // full, or forbidden
    }
    this.dispatchEvent(new Event("change"));
  }

  #read() {
    try {
      return this.#lasts ? runsIn(this.storage.getItem(KEY)) : this.runs;
    } catch {
      return this.runs;
    }
  }
}

/** @param {KeptRun[]} runs */
function withinLimits(runs) {
  let chars = 0;
  return runs.slice(0, MAX_RUNS).filter((run, index) => {
    chars += JSON.stringify(run).length;
    return index === 0 || chars <= MAX_CHARS;
  });
}

/**
 * @param {string | null} json
 * @returns {KeptRun[]} what is not a run is left out
 */
function runsIn(json) {
  try {
    const found = JSON.parse(json ?? "[]");
    return Array.isArray(found) ? found.filter(isKeptRun).slice(0, MAX_RUNS) : [];
  } catch {
    return []; // something else wrote there
  }
}

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {any} value */
const isNumber = (value) => Number.isFinite(value);
/** @param {any} value */
const isText = (value) => typeof value === "string";
/** @param {any} value */
const isNumberOrNull = (value) => value === null || isNumber(value);

/** @param {any} run */
const isKeptRun = (run) =>
  isObject(run) &&
  isText(run.id) &&
  isNumber(Date.parse(run.at)) &&
  isNumber(run.seconds) &&
  isSettings(run.settings) &&
  isSummary(run.summary) &&
  (run.rounds === undefined || (isListOf(run.rounds, isSummary) && run.rounds.length <= MAX_ROUNDS)) &&
  Array.isArray(run.lanes) &&
  run.lanes.every(isLane);

/** @param {any} summary */
const isSummary = (summary) => isObject(summary) && Object.values(summary).every(isNumberOrNull);

/** What the server says: a text, or one with an ID and arguments. @param {any} said @returns {boolean} */
const isSaid = (said) =>
  isText(said) ||
  isNumberOrNull(said) ||
  (isObject(said) &&
    [said.text, said.id].every(isText) &&
    isObject(said.arguments) &&
    Object.values(said.arguments).every(isSaid));

/** @param {any} settings */
const isSettings = (settings) =>
  isObject(settings) &&
  [settings.text, settings.kind, settings.target, settings.voice].every(isText) &&
  [settings.words_per_second, settings.clients].every(isNumber);

/** @param {any} lane */
const isLane = (lane) =>
  isObject(lane) &&
  isText(lane.state) &&
  isSaid(lane.error) &&
  [lane.client, lane.chunks, lane.audio, lane.recorded].every(isNumber) &&
  [lane.ttfa, lane.first_audio, lane.ended].every(isNumberOrNull) &&
  isListOf(lane.buffer, (level) => isPair(level, isNumber)) &&
  isListOf(lane.words, (word) => isPair(word, isText)) &&
  isListOf(lane.text, (piece) => isNumber(piece) || isPair(piece, isText)) &&
  isListOf(lane.gaps, (gap) => isNumber(gap?.at) && isNumber(gap?.seconds) && OWNERS.includes(gap.owner)) &&
  OWNERS.map((owner) => lane.gap_counts?.[owner]).every(
    (each) => isObject(each) && [each.count, each.seconds].every(isNumber),
  );

/**
 * @param {any} value
 * @param {(item: any) => boolean} isItem
 */
const isListOf = (value, isItem) => Array.isArray(value) && value.every(isItem);

/**
 * A time with something.
 * @param {any} value
 * @param {(item: any) => boolean} isSecond
 */
const isPair = (value, isSecond) => Array.isArray(value) && isNumber(value[0]) && isSecond(value[1]);

/**
 * The rounds of a run: itself, if there was but one.
 * @param {KeptRun} run
 */
export const roundsOf = ({ rounds, summary }) => rounds ?? [summary];

/**
 * The runs as a table for spreadsheets: a line for each round of each, with its settings and figures.
 * @param {readonly KeptRun[]} runs
 */
export function csvOf(runs) {
  const lines = runs.flatMap((run) =>
    roundsOf(run).map((round, index) => [
      run.at,
      ...SETTINGS.map((name) => run.settings[name]),
      index + 1,
      ...FIGURES.map((name) => round[name]),
    ]),
  );
  return [["date", ...SETTINGS, "round", ...FIGURES], ...lines]
    .map((line) => `${line.map(cell).join(",")}\r\n`)
    .join("");
}

/**
 * A text that begins like a formula would be computed by the spreadsheet.
 * @param {unknown} value
 */
function cell(value) {
  if (typeof value === "number") return String(value);
  const text = String(value ?? "");
  const inert = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
