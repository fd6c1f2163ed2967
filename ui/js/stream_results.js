/**
 * The results of stream tests: figures with their units, and tables: of one run, of two with what differs, or of several
 * rounds with their spread.
 */

import { createElement } from "./common.js";
import { canBeTold, LEAST_ROUNDS, spreadOf } from "./stream_spread.js";

/** @typedef {import("./stream_run.js").Summary} Summary */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

const TIMES = ["ttfa_p50", "ttfa_p95", "real_time_factor"];
const GAPS = [
  "gaps_text",
  "silence_text",
  "gaps_server",
  "silence_server",
  "gaps_unknown",
  "silence_unknown",
];
/** The figures of a run, in the order of the table. */
export const FIGURES = ["spoken", ...TIMES, ...GAPS, "worst_gap", "audio", "wall"];
const COUNTS = new Set(["spoken", "gaps_text", "gaps_server", "gaps_unknown"]);
const LEAST_SAMPLES = 5; // clients: of fewer, 95 % is just the slowest, and a share of a difference says too much
const VARYING = new Set([...TIMES, "wall", "worst_gap"]); // from run to run, of the same thing
const RARE = new Set(["gaps_unknown", "silence_unknown"]); // not shown if there are none

/** Numbers with their units. */
export class Figures {
  /** @param {Words} words */
  constructor({ number }) {
    this.number = number;
  }

  /** @param {number} value */
  seconds = (value) => `${this.number(value, value < 10 ? 2 : 1)} s`;

  /** @param {number} value */
  time = (value) => (value < 1 ? `${this.number(value * 1000)} ms` : this.seconds(value));

  /**
   * @param {string} name
   * @param {number | null | undefined} value
   */
  figure(name, value) {
    if (value === null || value === undefined) return "–";
    if (name === "real_time_factor") return this.number(value, 2);
    return COUNTS.has(name) ? this.number(value) : this.time(value);
  }

  /**
   * @param {string} name
   * @param {number | null | undefined} now
   * @param {number | null | undefined} before
   * @param {boolean} [isMany] whether there are enough samples for a share of what varies from run to run
   */
  change(name, now, before, isMany = true) {
    if (typeof now !== "number" || typeof before !== "number") return "–";
    const [direction, by] = [now > before ? "+" : "−", Math.abs(now - before)];
    const difference = signed(direction, this.figure(name, by), this.figure(name, 0));
    if (!before || (VARYING.has(name) && !isMany)) return difference;
    const share = signed(direction, this.number((by / before) * 100), this.number(0));
    return `${difference} (${share} %)`;
  }
}

/**
 * What is shown as nothing is neither more nor less.
 * @param {string} direction
 * @param {string} shown
 * @param {string} nothing
 */
const signed = (direction, shown, nothing) => (shown === nothing ? "±" : direction) + shown;

/**
 * Whether a run has as many samples as a conclusion needs.
 * @param {Summary} summary
 */
export const isEnough = ({ spoken }) => (spoken ?? 0) >= LEAST_SAMPLES;

/**
 * The figures that are shown of some runs.
 * @param {Summary[]} runs
 */
const figuresOf = (runs) =>
  FIGURES.filter((name) => !RARE.has(name) || runs.some((run) => run[name])).filter(
    (name) => name !== "ttfa_p95" || runs.every(isEnough),
  );

/**
 * A table with a row for each figure.
 * @param {Words} words
 * @param {{ head: string, summary: Summary }[]} columns one or two
 * @param {{ head: string, now: Summary, before: Summary }} [change] a last column of differences
 */
export function resultTable(words, columns, change) {
  const { translate } = words;
  const figures = new Figures(words);
  const heads = [translate("figure"), ...columns.map(({ head }) => head), ...(change ? [change.head] : [])];
  const isMany = columns.every(({ summary }) => isEnough(summary));
  const shown = figuresOf(columns.map(({ summary }) => summary));
  const rows = shown.map((name) => {
    const cells = columns.map(({ summary }) => figures.figure(name, summary[name]));
    if (change) cells.push(figures.change(name, change.now[name], change.before[name], isMany));
    return rowOf(words, name, cells);
  });
  return tableOf(heads, rows);
}

/**
 * A table of the medians and the spread of several rounds, with what differs if there are two sides.
 * @param {Words} words
 * @param {RoundsColumn[]} columns one or two
 */
export function roundsTable(words, columns) {
  const { translate } = words;
  const figures = new Figures(words);
  const shown = figuresOf(columns.flatMap(({ rounds }) => rounds));
  const rows = shown.map((name) => {
    const cells = columns.map(({ rounds }) => spreadCell(figures, name, rounds));
    return rowOf(words, name, columns.length > 1 ? [...cells, ...differenceOf(words, name, columns)] : cells);
  });
  const heads = columns.map(({ side, rounds }) =>
    translate("side_rounds", { side, count: rounds.length }).trim(),
  );
  const differences = columns.length > 1 ? [translate("median_difference"), translate("told")] : [];
  const table = tableOf([translate("figure"), ...heads, ...differences], rows);
  table.classList.add("st-rounds");
  table.prepend(createElement("caption", {}, translate("spread")));
  return table;
}

/** @typedef {{ side: string, rounds: Summary[] }} RoundsColumn */

/**
 * @param {Figures} figures
 * @param {string} name
 * @param {Summary[]} rounds
 */
function spreadCell(figures, name, rounds) {
  const spread = spreadOf(valuesOf(rounds, name));
  if (!spread) return "–";
  const [median, least, most] = [spread.median, spread.least, spread.most].map((value) =>
    figures.figure(name, value),
  );
  return `${median} (${least} – ${most})`;
}

/**
 * The difference of the medians, and whether it can be told.
 * @param {Words} words
 * @param {string} name of a figure
 * @param {RoundsColumn[]} columns
 */
function differenceOf(words, name, columns) {
  const [before, now] = columns.map(({ rounds }) => spreadOf(valuesOf(rounds, name))?.median);
  return [
    new Figures(words).change(name, now, before),
    words.translate(`told_${directionOf(name, columns)}`),
  ];
}

/**
 * @param {string} name of a figure
 * @param {RoundsColumn[]} columns
 * @returns {"more" | "less" | "not"} how B differs from A, as far as can be told
 */
function directionOf(name, columns) {
  const [one, other] = columns.map(({ rounds }) => valuesOf(rounds, name));
  const [before, now] = [spreadOf(one)?.median ?? 0, spreadOf(other)?.median ?? 0];
  if (now === before || !canBeTold(one, other)) return "not";
  return now > before ? "more" : "less";
}

/**
 * What the rounds of two sides tell, in sentences.
 * @param {Words} words
 * @param {RoundsColumn[]} columns two
 */
export function conclusionOf({ translate }, columns) {
  if (columns.some(({ rounds }) => rounds.length < LEAST_ROUNDS))
    return translate("few_rounds", { least: LEAST_ROUNDS });
  const shown = figuresOf(columns.flatMap(({ rounds }) => rounds));
  const told = shown
    .filter((name) => directionOf(name, columns) !== "not")
    .map((name) => `${translate(`row.${name}`)} (${translate(`told_${directionOf(name, columns)}`)})`);
  const found = told.length
    ? translate("conclusion_some", { figures: told.join("; ") })
    : translate("conclusion_none");
  return `${found} ${translate("told_rule")}`;
}

/**
 * The median of each figure.
 * @param {readonly Summary[]} rounds
 * @returns {Summary}
 */
export const mediansOf = (rounds) =>
  Object.fromEntries(FIGURES.map((name) => [name, spreadOf(valuesOf(rounds, name))?.median ?? null]));

/**
 * @param {readonly Summary[]} rounds
 * @param {string} name
 */
const valuesOf = (rounds, name) => rounds.map((round) => round[name]);

/**
 * @param {Words} words
 * @param {string} name of a figure
 * @param {string[]} cells
 */
function rowOf({ translate }, name, cells) {
  const head = createElement("th", { scope: "row" }, translate(`row.${name}`));
  return createElement(
    "tr",
    { "data-figure": name },
    head,
    ...cells.map((cell) => createElement("td", {}, cell)),
  );
}

/**
 * A table whose cells know the heads of their columns: a phone shows them one below the other.
 * @param {string[]} heads
 * @param {HTMLElement[]} rows
 */
function tableOf(heads, rows) {
  for (const row of rows)
    for (const [i, cell] of [...row.children].entries()) cell.setAttribute("data-label", heads[i]);
  const cells = heads.map((head) => createElement("th", { scope: "col" }, head));
  return createElement(
    "table",
    {},
    createElement("thead", {}, createElement("tr", {}, ...cells)),
    createElement("tbody", {}, ...rows),
  );
}
