/** The results of stream tests: figures with their units, and a table of one run, or of two with what differs. */

import { createElement } from "./common.js";

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
    const sign = now > before ? "+" : now < before ? "−" : "±";
    const share =
      before && (isMany || !VARYING.has(name))
        ? ` (${sign}${this.number((Math.abs(now - before) / before) * 100)} %)`
        : "";
    return sign + this.figure(name, Math.abs(now - before)) + share;
  }
}

/**
 * Whether a run has as many samples as a conclusion needs.
 * @param {Summary} summary
 */
export const isEnough = ({ spoken }) => (spoken ?? 0) >= LEAST_SAMPLES;

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
  const shown = FIGURES.filter(
    (name) => !RARE.has(name) || columns.some(({ summary }) => summary[name]),
  ).filter((name) => name !== "ttfa_p95" || isMany);
  const rows = shown.map((name) => {
    const cells = columns.map(({ summary }) => figures.figure(name, summary[name]));
    if (change) cells.push(figures.change(name, change.now[name], change.before[name], isMany));
    const head = createElement("th", { scope: "row" }, translate(`row.${name}`));
    return createElement(
      "tr",
      { "data-figure": name },
      head,
      ...cells.map((cell) => createElement("td", {}, cell)),
    );
  });
  return createElement(
    "table",
    {},
    createElement(
      "thead",
      {},
      createElement("tr", {}, ...heads.map((head) => createElement("th", { scope: "col" }, head))),
    ),
    createElement("tbody", {}, ...rows),
  );
}
