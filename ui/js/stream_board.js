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
import { Figures, isEnough, resultTable } from "./stream_results.js";
import { pathOf } from "./stream_run.js";

/** @typedef {import("./stream_run.js").Frame} Frame */
/** @typedef {import("./stream_run.js").Lane} Lane */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

/**
 * A run that is shown, with what tells it from the other one.
 * @typedef {object} Side
 * @property {string} name "A" or "B"; "" if there is but one
 * @property {string} title what is compared
 * @property {Frame | null} frame null before it begins
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
    this.result = createElement("div", { class: "st-scroll" });
    this.few = createElement("p", { class: "quiet", hidden: true }, this.translate("few_samples"));
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

  /** @param {Side[]} sides one, or A and B */
  show(sides) {
    const begun = /** @type {(Side & { frame: Frame })[]} */ (sides.filter(({ frame }) => frame));
    const isOver = sides.every(({ frame }) => frame?.over);
    this.note.classList.remove("problem");
    setText(this.note, begun.map((side) => this.#noteOf(side)).join("\n")); // a line each, by the style
    this.element.dataset.over = String(isOver);
    this.chart.show(begun.flatMap((side) => this.#rowsOf(side)));
    this.rule.hidden = !begun.some(({ frame }) => frame.lanes.some(({ gaps }) => gaps.length));
    this.#showEnds(begun, sides.length);
    for (const [index, log] of this.logs.entries()) this.#showLog(log, begun[index], isOver);
  }

  /** @param {Side & { frame: Frame }} side */
  #noteOf({ name, frame: { summary, seconds } }) {
    const start = name ? `${name}: ` : "";
    if (!summary) return start + this.translate("running");
    const { spoken, clients } = summary;
    const values = { spoken: spoken ?? 0, clients: clients ?? 0, seconds: this.figures.seconds(seconds) };
    return `${start}${this.translate("done", values)}`;
  }

  // ---- Lanes

  /**
   * @param {Side & { frame: Frame }} side
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
   * @param {(Side & { frame: Frame })[]} begun
   * @param {number} count of sides
   */
  #showEnds(begun, count) {
    const shown = JSON.stringify(begun.map(({ name, frame }) => [name, frame.run, frame.over]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#showResults(begun, count);
    this.after.replaceChildren(...begun.flatMap((side) => this.#afterOf(side)));
  }

  /**
   * @param {(Side & { frame: Frame })[]} begun
   * @param {number} count of sides
   */
  #showResults(begun, count) {
    const [one, other] = begun.map(({ frame }) => frame.summary);
    if (!one) this.result.replaceChildren();
    else if (count === 1) this.result.replaceChildren(this.#tableOfOne(one, begun[0].frame.before));
    else this.result.replaceChildren(this.#tableOfTwo(one, other));
    const compared = count === 1 ? begun[0]?.frame.before : other;
    this.few.hidden = !one || !compared || [one, compared].every(isEnough);
  }

  /**
   * @param {import("./stream_run.js").Summary} now
   * @param {import("./stream_run.js").Summary | null} before
   */
  #tableOfOne(now, before) {
    const { translate } = this;
    const columns = [{ head: translate("this_run"), summary: now }];
    if (!before) return resultTable(this.words, columns);
    columns.push({ head: translate("last_run"), summary: before });
    return resultTable(this.words, columns, { head: translate("change"), now, before });
  }

  /**
   * @param {import("./stream_run.js").Summary} one
   * @param {import("./stream_run.js").Summary | null | undefined} other
   */
  #tableOfTwo(one, other) {
    const columns = [{ head: "A", summary: one }];
    if (!other) return resultTable(this.words, columns);
    columns.push({ head: "B", summary: other });
    return resultTable(this.words, columns, { head: this.translate("difference"), now: other, before: one });
  }

  // ---- What is kept of it

  /** @param {Side & { frame: Frame }} side */
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
   * @param {(Side & { frame: Frame }) | undefined} side
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
