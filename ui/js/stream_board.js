/**
 * The board of a stream test: a lane for each client, the results, and the log.
 *
 * Every frame holds everything that is drawn, so frames may be skipped; only the log is incremental, and is fetched as
 * a whole at the end.
 */

import { prepareCanvas } from "./canvas.js";
import { createElement, requestJson, urlOf } from "./common.js";
import { problems } from "./problems.js";
import { RunLog } from "./run_log.js";
import { bufferCurve, bufferedSeconds } from "./stream_buffer.js";

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
 * @property {number} gaps
 * @property {number} recorded seconds that can be heard afterwards
 * @property {Level[]} buffer
 * @property {number[]} text when pieces of the text were sent
 * @property {number[]} starts when audio began
 * @property {number | null} first_audio
 * @property {number | null} ended
 * @property {[at: number, seconds: number][]} underruns
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

const WORDS_HEIGHT = 16; // pixels of the words below a timeline
const WORDS_APART = 5;
const LAST_WORD = 0.5; // seconds that a last word may take
const TIMES = ["ttfa_p50", "ttfa_p95", "real_time_factor"];
const ROWS = ["spoken", ...TIMES, "gaps", "worst_gap", "silence", "audio", "wall"];
const COUNTS = new Set(["spoken", "gaps"]);
const FAILED = new Set(["refused", "failed", "timed_out"]);
const LEGEND = { text: "what.text", sound: "buffer", first: "what.first_audio", gap: "what.underrun" };

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
  /** @type {Frame | null} */
  #frame = null;

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
    this.lanes = createElement("ol", { class: "st-lanes" });
    this.axis = createElement("div", { class: "st-axis", hidden: true });
    this.legend = createElement("ul", { class: "st-legend", hidden: true }, ...this.#legendItems());
    this.result = createElement("div", { class: "st-scroll" });
    this.after = createElement("div", { class: "st-after", hidden: true });
    this.log = new RunLog(words);
    const chart = [this.lanes, this.axis, this.legend];
    element.replaceChildren(this.note, ...chart, this.result, this.after, this.log.element);
    new ResizeObserver(() => this.#frame && this.#drawLanes(this.#frame)).observe(this.lanes);
  }

  #legendItems() {
    return Object.entries(LEGEND).map(([colour, name]) =>
      createElement("li", { style: `--st-key: var(--stream-${colour})` }, this.translate(name)),
    );
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
    this.#frame = frame;
    this.note.classList.remove("st-error");
    for (const part of [this.legend, this.axis, this.log.element]) part.hidden = false;
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
    const span = Math.max(1, frame.seconds, ...frame.lanes.map(heardAt));
    const most = Math.max(0.5, ...frame.lanes.flatMap((lane) => lane.buffer.map(([, left]) => left)));
    for (const [index, lane] of frame.lanes.entries()) {
      const { item, head, canvas } = this.#laneAt(index);
      item.className = FAILED.has(lane.state) ? "st-lane st-failed" : "st-lane";
      item.dataset.state = lane.state;
      canvas.classList.toggle("st-with-words", lane.words.length > 0);
      head.replaceChildren(...this.#headOf(lane, frame.seconds));
      drawLane(canvas, lane, { span, most, now: frame.seconds });
    }
    while (this.lanes.children.length > frame.lanes.length) this.lanes.lastChild?.remove();
    const marks = [0, 0.25, 0.5, 0.75, 1].map((part) =>
      createElement("span", {}, this.figures.seconds(span * part)),
    );
    this.axis.replaceChildren(...marks);
  }

  /** @param {number} index */
  #laneAt(index) {
    if (!this.lanes.children[index]) {
      const canvas = createElement("canvas", { "aria-hidden": "true" }); // the line above says the same in words
      this.lanes.append(createElement("li", {}, createElement("div", { class: "st-head" }), canvas));
    }
    const item = /** @type {HTMLElement} */ (this.lanes.children[index]);
    const [head, canvas] = item.children;
    return { item, head, canvas: /** @type {HTMLCanvasElement} */ (canvas) };
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
    if (lane.gaps) facts.push(translate("lane_gaps", { count: number(lane.gaps) }));
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
    const names = before ? ["figure", "this_run", "last_run", "change"] : ["figure", "this_run"];
    const heads = names.map((name) => createElement("th", { scope: "col" }, this.translate(name)));
    const rows = ROWS.map((name) => this.#row(name, summary, before));
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
 * When the last word of a client that is over is heard, in seconds: later than it was sent.
 * @param {Lane} lane
 */
const heardAt = ({ ended, words }) => (ended === null ? 0 : (words.at(-1)?.[0] ?? 0) + LAST_WORD);

/**
 * @param {string} run
 * @param {string} name of what is kept of it
 */
const pathOf = (run, name) => `page/stream-test/${run}/${name}`;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Lane} lane
 * @param {{ span: number, most: number, now: number }} scales seconds that its width and its height stand for
 */
function drawLane(canvas, lane, { span, most, now }) {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight - (lane.words.length ? WORDS_HEIGHT : 0);
  if (!width) return;
  const { pen, scale } = prepareCanvas(canvas);
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  const style = getComputedStyle(canvas);
  /** @param {string} name */
  const take = (name) => {
    pen.fillStyle = style.getPropertyValue(`--stream-${name}`).trim();
  };
  /** @param {number} at */
  const x = (at) => (at / span) * width;
  /** @type {(at: number, wide: number, top: number, high: number) => void} */
  const bar = (at, wide, top, high) => pen.fillRect(x(at), top, Math.max(wide, 1.5), high);
  take("sound");
  fillCurve(pen, lane.buffer, now, {
    x,
    y: (left) => height - (left / most) * (height - 14),
    bottom: height,
  });
  for (const at of lane.starts) bar(at, 1.5, 8, height - 8);
  take("text");
  for (const at of lane.text) bar(at, 1.5, 0, 6);
  if (lane.ended !== null) bar(lane.ended, 1.5, 0, height);
  take("gap");
  for (const [at, gap] of lane.underruns) bar(at, x(gap), height - 8, 8);
  take("first");
  if (lane.first_audio !== null) bar(lane.first_audio, 3, 0, height);
  take("word");
  pen.font = `11px ${style.fontFamily}`;
  drawWords(pen, lane.words, { x, baseline: height + WORDS_HEIGHT - 4, width });
}

/**
 * Words below the timeline, each where it is heard; one that would cover the one before is left out.
 * @param {CanvasRenderingContext2D} pen
 * @param {readonly [at: number, word: string][]} words
 * @param {{ x: (at: number) => number, baseline: number, width: number }} place
 */
function drawWords(pen, words, { x, baseline, width }) {
  let free = 0;
  for (const [at, word] of words) {
    const left = x(at);
    const right = left + pen.measureText(word).width;
    if (left < free || right > width) continue;
    pen.fillText(word, left, baseline);
    free = right + WORDS_APART;
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {readonly Level[]} levels
 * @param {number} now
 * @param {{ x: (at: number) => number, y: (left: number) => number, bottom: number }} place
 */
function fillCurve(pen, levels, now, { x, y, bottom }) {
  if (!levels.length) return;
  pen.globalAlpha = 0.45;
  pen.beginPath();
  pen.moveTo(x(levels[0][0]), bottom);
  for (const [at, left] of bufferCurve(levels, now)) pen.lineTo(x(at), y(left));
  pen.lineTo(x(now), bottom);
  pen.fill();
  pen.globalAlpha = 1;
}
