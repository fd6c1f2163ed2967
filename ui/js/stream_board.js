/**
 * The board of a stream test: a lane for each client, the results, and the log.
 *
 * Every frame holds everything that is drawn, so frames may be skipped; only the log is incremental, and is fetched as
 * a whole at the end.
 */

import { createElement, requestJson, urlOf } from "./common.js";
import { problems } from "./problems.js";
import { RunLog } from "./run_log.js";
import { bufferedSeconds } from "./stream_buffer.js";
import { LaneChart } from "./stream_lanes.js";

/** @typedef {import("./stream_buffer.js").Level} Level */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

/**
 * One client; times are seconds since the start.
 * @typedef {object} Lane
 * @property {number} client counted from 1
 * @property {string} state
 * @property {string} error
 * @property {number | null} ttfa
 * @property {number} chunks
 * @property {number} audio seconds of it
 * @property {import("./stream_lanes.js").Gap[]} gaps some of them, if there are many
 * @property {Record<import("./stream_lanes.js").Owner, import("./stream_lanes.js").GapCount>} gap_counts all of them
 * @property {number} recorded seconds that can be heard afterwards
 * @property {Level[]} buffer
 * @property {number[]} text when pieces of the text were sent
 * @property {number[]} starts when audio began
 * @property {number | null} first_audio
 * @property {number | null} ended
 * @property {[at: number, word: string][]} words when each word is heard, of the client whose audio is kept
 */

/** @typedef {import("./run_log.js").Line} Line */
/** @typedef {Record<string, number | null>} Summary */

/**
 * @typedef {object} Frame
 * @property {string} run
 * @property {number} seconds since the start
 * @property {boolean} over
 * @property {Lane[]} lanes
 * @property {Summary | null} summary
 * @property {Summary | null} before the summary of the run before
 * @property {number} logged lines so far, of which `lines` are the newest
 * @property {Line[]} lines
 */

const TIMES = ["ttfa_p50", "ttfa_p95", "real_time_factor"];
const GAPS = [
  "gaps_text",
  "silence_text",
  "gaps_server",
  "silence_server",
  "gaps_unknown",
  "silence_unknown",
];
const ROWS = ["spoken", ...TIMES, ...GAPS, "worst_gap", "audio", "wall"];
const COUNTS = new Set(["spoken", "gaps_text", "gaps_server", "gaps_unknown"]);
const RARE = new Set(["gaps_unknown", "silence_unknown"]); // not shown if there are none
const FAILED = new Set(["refused", "failed", "timed_out"]);

/** Numbers with their units. */
class Figures {
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
   */
  change(name, now, before) {
    if (typeof now !== "number" || typeof before !== "number") return "–";
    const sign = now > before ? "+" : now < before ? "−" : "±";
    const share = before ? ` (${sign}${this.number((Math.abs(now - before) / before) * 100)} %)` : "";
    return sign + this.figure(name, Math.abs(now - before)) + share;
  }
}

export class StreamBoard {
  /**
   * @param {HTMLElement} element
   * @param {Words} words
   */
  constructor(element, words) {
    this.element = element;
    this.translate = words.translate;
    this.number = words.number;
    this.figures = new Figures(words);
    this.note = createElement("p", { class: "st-note", role: "status" }, this.translate("idle"));
    this.chart = new LaneChart(words);
    this.result = createElement("div", { class: "st-scroll" });
    this.after = createElement("div", { class: "st-after", hidden: true });
    this.log = new RunLog(words);
    element.replaceChildren(this.note, this.chart.element, this.result, this.after, this.log.element);
  }

  /**
   * Show why a run could not be started, or why its frames no longer arrive.
   * @param {import("./problems.js").Problem} problem
   */
  showProblem(problem) {
    this.note.classList.add("st-error");
    problems.show(this.note, problem);
  }

  /** @param {Frame} frame */
  show(frame) {
    this.note.classList.remove("st-error");
    this.log.element.hidden = false;
    this.note.textContent = this.#noteOf(frame);
    this.element.dataset.over = String(frame.over);
    this.after.hidden = !frame.over;
    this.#drawLanes(frame);
    this.#showFigures(frame);
    this.log.add(frame);
    if (!frame.over) return;
    this.#showAfter(frame);
    this.#fetchLog(frame.run);
  }

  /** @param {Frame} frame */
  #noteOf({ summary, seconds }) {
    if (!summary) return this.translate("running");
    const { spoken, clients } = summary;
    return this.translate("done", {
      spoken: spoken ?? 0,
      clients: clients ?? 0,
      seconds: this.figures.seconds(seconds),
    });
  }

  // ---- Lanes

  /** @param {Frame} frame */
  #drawLanes(frame) {
    this.chart.show(
      frame.lanes.map((lane) => ({
        record: lane,
        now: frame.seconds,
        head: this.#headOf(lane, frame.seconds),
        label: `${this.translate("client")} ${lane.client}`,
        data: { state: lane.state, failed: String(FAILED.has(lane.state)) },
      })),
    );
  }

  /**
   * @param {Lane} lane
   * @param {number} now
   */
  #headOf(lane, now) {
    return [
      createElement("span", {}, `${this.translate("client")} ${lane.client}`),
      createElement("span", { class: "st-state" }, this.translate(`state.${lane.state}`)),
      ...this.#factsOf(lane, now).map((fact) => createElement("span", {}, fact)),
    ];
  }

  /**
   * @param {Lane} lane
   * @param {number} now
   */
  #factsOf(lane, now) {
    const { translate, number } = this;
    const { seconds, time } = this.figures;
    const facts = [];
    if (lane.ttfa !== null) facts.push(translate("lane_ttfa", { time: time(lane.ttfa) }));
    if (lane.chunks) facts.push(translate("lane_audio", { seconds: seconds(lane.audio) }));
    if (lane.chunks) facts.push(translate("lane_chunks", { count: number(lane.chunks) }));
    if (lane.state === "speaking")
      facts.push(translate("lane_buffer", { seconds: seconds(bufferedSeconds(lane.buffer, now)) }));
    if (lane.chunks) facts.push(this.chart.describeGaps(lane.gap_counts));
    if (lane.error) facts.push(lane.error);
    return facts;
  }

  // ---- Figures, and what can be kept

  /** @param {Frame} frame */
  #showFigures({ summary, before }) {
    if (!summary) {
      this.result.replaceChildren();
      return;
    }
    const columns = before ? ["figure", "this_run", "last_run", "change"] : ["figure", "this_run"];
    const heads = columns.map((name) => createElement("th", { scope: "col" }, this.translate(name)));
    const names = ROWS.filter((name) => !RARE.has(name) || summary[name] || before?.[name]);
    const rows = names.map((name) => this.#row(name, summary, before));
    this.result.replaceChildren(
      createElement(
        "table",
        {},
        createElement("thead", {}, createElement("tr", {}, ...heads)),
        createElement("tbody", {}, ...rows),
      ),
    );
  }

  /**
   * @param {string} name
   * @param {Summary} now
   * @param {Summary | null} before
   */
  #row(name, now, before) {
    const cells = [this.figures.figure(name, now[name])];
    if (before)
      cells.push(this.figures.figure(name, before[name]), this.figures.change(name, now[name], before[name]));
    const head = createElement("th", { scope: "row" }, this.translate(`row.${name}`));
    return createElement(
      "tr",
      { "data-figure": name },
      head,
      ...cells.map((cell) => createElement("td", {}, cell)),
    );
  }

  /** @param {Frame} frame */
  #showAfter({ run, lanes }) {
    const recorded = lanes.find((lane) => lane.recorded > 0);
    const save = { href: urlOf(pathOf(run, "run.json")).href, download: "stream-test.json" };
    this.after.replaceChildren(
      ...(recorded ? this.#recording(run, recorded.client) : []),
      createElement("a", save, this.translate("save")),
    );
  }

  /**
   * @param {string} run
   * @param {number} client
   */
  #recording(run, client) {
    const label = this.translate("hear", { client });
    const src = urlOf(pathOf(run, `${client}.wav`)).href;
    return [
      createElement("span", {}, label),
      createElement("audio", { controls: true, preload: "none", src, "aria-label": label }),
    ];
  }

  /**
   * The log as it was kept: frames bring only its newest lines.
   * @param {string} run
   */
  async #fetchLog(run) {
    try {
      const report = await requestJson(pathOf(run, "run.json"));
      this.log.replace(run, report.log);
    } catch {
      if (this.log.run === run) this.note.textContent += ` ${this.translate("lost")}`;
    }
  }
}

/**
 * @param {string} run
 * @param {string} name of what is kept of it
 */
const pathOf = (run, name) => `page/stream-test/${run}/${name}`;
