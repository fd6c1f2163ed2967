/**
 * The board of a stream test: lanes for each client, the results, and the log; of one run, or of two side by side on
 * the same axis of time.
 */

import { createElement, requestJson, setText, urlOf } from "./common.js";
import { problems } from "./problems.js";
import { RecordingPlayer } from "./recording_player.js";
import { RunLog } from "./run_log.js";
import { bufferedSeconds } from "./stream_buffer.js";
import { LaneChart } from "./stream_lanes.js";
import { conclusionOf, Figures, isEnough, resultTable, roundsTable } from "./stream_results.js";
import { pathOf } from "./stream_run.js";

/** @typedef {import("./stream_run.js").Frame} Frame */
/** @typedef {import("./stream_run.js").Lane} Lane */
/** @typedef {import("./stream_run.js").Summary} Summary */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */
/** @typedef {Side & { frame: Frame }} BegunSide */

/**
 * A run that is shown, with what tells it from the other one.
 * @typedef {object} Side
 * @property {string} name "A" or "B"; "" if there is but one
 * @property {string} title what is compared
 * @property {Frame | null} frame null before it begins
 * @property {Summary[]} rounds those that are over; `frame` is of the latest
 * @property {boolean} isKept it is drawn from what the browser kept
 */

const FAILED = new Set(["refused", "failed", "timed_out"]);

export class StreamBoard {
  #shown = "";

  /**
   * @param {HTMLElement} element
   * @param {Words} words
   */
  constructor(element, words) {
    this.element = element;
    this.words = words;
    this.translate = words.translate;
    this.figures = new Figures(words);
    this.note = createElement("p", { class: "st-note", role: "status" }, this.translate("idle"));
    this.chart = new LaneChart(words);
    this.rule = createElement("p", { class: "quiet", hidden: true }, this.chart.rule);
    const scrolling = { tabindex: 0, role: "group", "aria-label": this.translate("results") };
    this.result = createElement("div", { class: "st-scroll", hidden: true, ...scrolling });
    this.few = createElement("p", { class: "quiet st-few", hidden: true });
    this.after = createElement("div", { class: "st-after" });
    this.recordings = new RecordingPlayer(words);
    this.logs = [new RunLog(words), new RunLog(words)];
    const logs = this.logs.map((log) => log.element);
    element.replaceChildren(
      this.note,
      this.chart.element,
      this.rule,
      this.result,
      this.few,
      this.after,
      ...logs,
    );
  }

  /**
   * Show why a run could not be started, or why its frames no longer arrive.
   * @param {import("./problems.js").Problem} problem
   */
  showProblem(problem) {
    this.note.classList.add("problem");
    problems.show(this.note, problem);
  }

  /**
   * @param {Side[]} sides one, or A and B
   * @param {import("./stream_rounds.js").Progress | null} [progress] null if nothing runs
   */
  show(sides, progress = null) {
    const begun = /** @type {BegunSide[]} */ (sides.filter(({ frame }) => frame));
    const isOver = progress === null && begun.every(({ frame }) => frame.over);
    this.note.classList.remove("problem");
    setText(this.note, this.#noteOf(begun, progress));
    this.element.dataset.over = String(isOver);
    this.chart.show(begun.flatMap((side) => this.#rowsOf(side)));
    this.rule.hidden = !begun.some(({ frame }) => frame.lanes.some(({ gaps }) => gaps.length));
    this.#showEnds(begun, isOver);
    for (const [index, log] of this.logs.entries()) this.#showLog(log, begun[index], isOver);
  }

  /**
   * @param {BegunSide[]} begun
   * @param {import("./stream_rounds.js").Progress | null} progress
   */
  #noteOf(begun, progress) {
    if (progress && progress.count > 1)
      return this.translate(progress.side ? "round_of_side" : "round_of", {
        ...progress,
        side: progress.side,
      });
    return begun.map((side) => this.#endOf(side)).join("\n"); // a line each, by the style
  }

  /** @param {BegunSide} side */
  #endOf({ name, frame, rounds }) {
    const start = name ? `${name}: ` : "";
    if (!frame.summary) return start + this.translate("running");
    const all = rounds.length ? rounds : [frame.summary];
    const [spoken, clients] = ["spoken", "clients"].map((figure) => sum(all.map((round) => round[figure])));
    const seconds = rounds.length > 1 ? sum(rounds.map(({ wall }) => wall)) : frame.seconds;
    return start + this.translate("done", { spoken, clients, seconds: this.figures.seconds(seconds) });
  }

  // ---- Lanes

  /**
   * @param {BegunSide} side
   * @returns {import("./stream_lanes.js").LaneRow[]}
   */
  #rowsOf({ name, title, frame }) {
    return frame.lanes.map((lane, index) => {
      const client = `${this.translate("client")} ${lane.client}`;
      return {
        record: lane,
        now: frame.seconds,
        head: [
          name && index === 0 ? createElement("strong", { class: "st-side" }, `${name}: ${title}`) : null,
          ...this.#headOf(lane, client, frame.seconds),
        ],
        no_words: lane.recorded ? this.translate("no_words") : "",
        label: name ? `${name}, ${client}` : client,
        data: { state: lane.state, failed: String(FAILED.has(lane.state)) },
      };
    });
  }

  /**
   * @param {Lane} lane
   * @param {string} client
   * @param {number} now
   */
  #headOf(lane, client, now) {
    return [
      createElement("span", {}, client),
      createElement("span", { class: "st-state" }, this.translate(`state.${lane.state}`)),
      ...this.#factsOf(lane, now).map((fact) => createElement("span", {}, fact)),
    ];
  }

  /**
   * @param {Lane} lane
   * @param {number} now
   */
  #factsOf(lane, now) {
    const { translate } = this;
    const { seconds, time } = this.figures;
    const facts = [];
    if (lane.ttfa !== null) facts.push(translate("lane_ttfa", { time: time(lane.ttfa) }));
    if (lane.chunks) facts.push(translate("lane_audio", { seconds: seconds(lane.audio) }));
    if (lane.chunks) facts.push(translate("lane_chunks", { count: this.words.number(lane.chunks) }));
    if (lane.state === "speaking")
      facts.push(translate("lane_buffer", { seconds: seconds(bufferedSeconds(lane.buffer, now)) }));
    if (lane.chunks) facts.push(this.chart.describeGaps(lane.gap_counts));
    if (lane.error) facts.push(problems.say(lane.error));
    return facts;
  }

  // ---- Results

  /**
   * What there is once a run is over, drawn anew only when another one is: its buttons may be in use.
   * @param {BegunSide[]} begun
   * @param {boolean} isOver
   */
  #showEnds(begun, isOver) {
    const shown = JSON.stringify([
      isOver,
      ...begun.map(({ name, frame, rounds }) => [name, rounds.length, frame.over && frame.run]),
    ]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    if (begun.some(({ rounds }) => rounds.length > 1)) this.#showRounds(begun);
    else this.#showResults(begun);
    this.after.replaceChildren(...(isOver ? begun.flatMap((side) => this.#afterOf(side)) : []));
  }

  /** @param {BegunSide[]} begun */
  #showRounds(begun) {
    const columns = begun.map(({ name, rounds, frame }) => ({
      side: name,
      rounds: rounds.length || !frame.summary ? rounds : [frame.summary],
    }));
    this.#showTable(roundsTable(this.words, columns));
    this.few.hidden = columns.length < 2;
    if (columns.length > 1) setText(this.few, conclusionOf(this.words, columns));
  }

  /** @param {BegunSide[]} begun */
  #showResults(begun) {
    const [one, other] = begun.map(({ rounds, frame }) => frame.summary ?? rounds.at(-1));
    const isAlone = begun.length === 1 && !begun[0].name;
    if (!one) this.#showTable(null);
    else if (isAlone) this.#showTable(this.#tableOfOne(one, begun[0].frame.before));
    else this.#showTable(this.#tableOfTwo(one, other));
    const compared = isAlone ? begun[0].frame.before : other;
    this.few.hidden = !one || !compared || [one, compared].every(isEnough);
    setText(this.few, this.translate("few_samples"));
  }

  /** @param {HTMLElement | null} table */
  #showTable(table) {
    this.result.hidden = table === null;
    this.result.replaceChildren(...(table ? [table] : []));
  }

  /**
   * @param {Summary} now
   * @param {Summary | null} before
   */
  #tableOfOne(now, before) {
    const { translate } = this;
    const columns = [{ head: translate("this_run"), summary: now }];
    if (!before) return resultTable(this.words, columns);
    columns.push({ head: translate("last_run"), summary: before });
    return resultTable(this.words, columns, { head: translate("change"), now, before });
  }

  /**
   * @param {Summary} one
   * @param {Summary | null | undefined} other
   */
  #tableOfTwo(one, other) {
    const columns = [{ head: "A", summary: one }];
    if (!other) return resultTable(this.words, columns);
    columns.push({ head: "B", summary: other });
    return resultTable(this.words, columns, { head: this.translate("difference"), now: other, before: one });
  }

  // ---- What is kept of it

  /** @param {BegunSide} side */
  #afterOf({ name, frame: { run, over, lanes }, isKept }) {
    if (!over) return [];
    const start = name ? `${name}: ` : "";
    const recorded = lanes.find((lane) => lane.recorded > 0);
    const save = { href: urlOf(pathOf(run, "run.json")).href, download: "stream-test.json" };
    return [
      recorded ? this.recordings.button(run, recorded.client, start) : null,
      isKept ? null : createElement("a", save, start + this.translate("save")),
    ].filter((part) => part !== null);
  }

  /**
   * @param {RunLog} log
   * @param {BegunSide | undefined} side
   * @param {boolean} isOver whether both sides are: what is asked of the server meanwhile would disturb the other one
   */
  #showLog(log, side, isOver) {
    log.element.hidden = !side || side.isKept;
    if (!side || side.isKept) return;
    log.add(side.frame, side.name);
    if (isOver && !log.isWhole) this.#fetchLog(log, side.frame.run);
  }

  /**
   * The log as the server keeps it: frames bring only its newest lines.
   * @param {RunLog} log
   * @param {string} run
   */
  async #fetchLog(log, run) {
    log.isWhole = true;
    try {
      const report = await requestJson(pathOf(run, "run.json"));
      log.replace(run, report.log);
    } catch {
      if (log.run === run) this.note.textContent += ` ${this.translate("lost")}`;
    }
  }
}

/** @param {readonly (number | null)[]} values */
const sum = (values) => values.reduce((/** @type {number} */ total, value) => total + (value ?? 0), 0);
