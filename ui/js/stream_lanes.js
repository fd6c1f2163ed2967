/**
 * Lanes of streamed speech: for each client a lane of words, sent and heard, above a lane of sound with the player's
 * buffer and its gaps; all clients have one axis of time. For a run that grows, and for one that is over.
 */

import { prepareCanvas } from "./canvas.js";
import { createElement } from "./common.js";
import { bufferCurve, playedUntil } from "./stream_buffer.js";

/** @typedef {import("./stream_buffer.js").Level} Level */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

/**
 * Who a gap is to be put down to: the client, whose text came too late, or the server. "unknown" if that cannot be told.
 * @typedef {"text" | "server" | "unknown"} Owner
 */

/** @typedef {{ at: number, seconds: number, owner: Owner }} Gap */

/**
 * What is drawn of one client; times are seconds since the start.
 * @typedef {object} LaneRecord
 * @property {(number | [at: number, piece: string])[]} text when pieces of the text were sent
 * @property {[at: number, word: string][]} words when each word is heard; empty if the server does not tell
 * @property {Level[]} buffer
 * @property {Gap[]} gaps
 * @property {number | null} first_audio
 * @property {number | null} ended
 */

/**
 * A lane with what stands above it.
 * @typedef {object} LaneRow
 * @property {LaneRecord} record
 * @property {number} now how far it has come, in seconds
 * @property {import("./common.js").Child[]} [head]
 * @property {string} [label] of the client, for who does not see the lane
 * @property {string} [no_words] what stands in place of the words that are heard, if there are none
 * @property {Record<string, string>} [data] attributes of the row
 */

/** @typedef {{ count: number, seconds: number }} GapCount */

export const OWNERS = /** @type {const} */ (["text", "server", "unknown"]);
const LEGEND = ["sent", "sound", "first", "ended", "gap_text", "gap_server"];
const LAST_WORD = 0.5; // seconds that a last word may take
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60]; // seconds between two marks of the axis
const MARK_WIDTH = 56; // pixels that a mark takes
const WORDS_APART = 5;

// The lanes, in pixels from the top of the canvas: text that is sent, words that are heard, sound.
const SENT = { top: 0, baseline: 14, bottom: 20 };
const HEARD = { top: 20, baseline: 35, bottom: 42 };
const SOUND = { top: 44, bottom: 96 };

/** A chart of lanes; `element` goes into the page. */
export class LaneChart {
  /** @type {readonly LaneRow[]} */
  #rows = [];
  #span = 0;

  /** @param {Words} words with the texts of `stream_test` */
  constructor({ translate, number }) {
    this.translate = translate;
    this.number = number;
    this.lanes = createElement("ol", { class: "sl-lanes" });
    this.axis = createElement("div", { class: "sl-axis", "aria-hidden": "true" });
    this.legend = createElement("ul", { class: "sl-legend" });
    this.element = createElement(
      "div",
      { class: "sl-chart", hidden: true },
      this.lanes,
      this.axis,
      this.legend,
    );
    new ResizeObserver(() => this.#draw()).observe(this.lanes);
  }

  /**
   * @param {readonly LaneRow[]} rows
   * @param {number} [span] seconds that the width stands for, if it is to be longer than what there is
   */
  show(rows, span = 1) {
    this.#rows = rows;
    this.#span = Math.max(span, ...rows.map(endOf));
    this.element.hidden = rows.length === 0;
    this.#showLegend();
    while (this.lanes.children.length > rows.length) this.lanes.lastChild?.remove();
    while (this.lanes.children.length < rows.length) this.lanes.append(this.#makeRow());
    this.#draw();
  }

  #makeRow() {
    const names = ["row_sent", "row_heard", "row_sound"].map((name) =>
      createElement("span", {}, this.translate(`lane.${name}`)),
    );
    return createElement(
      "li",
      { class: "sl-row" },
      createElement("div", { class: "sl-head" }),
      createElement("div", { class: "sl-names", "aria-hidden": "true" }, ...names),
      createElement("canvas", { role: "img" }),
    );
  }

  #showLegend() {
    const isUnknown = this.#rows.some(({ record }) => record.gaps.some(({ owner }) => owner === "unknown"));
    const keys = isUnknown ? [...LEGEND, "gap_unknown"] : LEGEND;
    if (this.legend.children.length === keys.length) return;
    this.legend.replaceChildren(
      ...keys.map((key) => createElement("li", { "data-key": key }, this.translate(`lane.${key}`))),
    );
  }

  #draw() {
    const most = Math.max(0.5, ...this.#rows.flatMap(({ record }) => record.buffer.map(([, left]) => left)));
    const width = this.lanes.querySelector("canvas")?.clientWidth ?? 0;
    const marks = marksOf(this.#span, width);
    for (const [index, row] of this.#rows.entries()) {
      const item = /** @type {HTMLElement} */ (this.lanes.children[index]);
      Object.assign(item.dataset, row.data);
      const [head, , canvas] = item.children;
      head.replaceChildren(...(row.head ?? []).filter((child) => child !== null));
      canvas.setAttribute("aria-label", this.describe(row));
      if (width)
        new LanePainter(/** @type {HTMLCanvasElement} */ (canvas), {
          ...{ span: this.#span, most, marks, translate: this.translate },
        }).paint(row);
    }
    this.axis.replaceChildren(...(width ? marks.map((at) => this.#mark(at)) : []));
  }

  /** @param {number} at */
  #mark(at) {
    const digits = Number.isInteger(at) ? 0 : 1;
    const style = `inset-inline-start: ${((at / this.#span) * 100).toFixed(2)}%`;
    return createElement("span", { style }, `${this.number(at, digits)} s`);
  }

  /**
   * What a lane shows, in words.
   * @param {LaneRow} row
   */
  describe({ record, label = "", no_words = "" }) {
    const first =
      record.first_audio === null
        ? this.translate("lane.silent")
        : this.translate("lane.first_at", { time: this.seconds(record.first_audio) });
    const words = record.words.length ? "" : no_words;
    return [label, first, this.describeGaps(countGaps(record.gaps)), words].filter(Boolean).join(". ");
  }

  /**
   * Gaps in words, such as "Gaps: waiting for text 2 (0.8 s), server late 0".
   * @param {Record<Owner, GapCount>} counts
   */
  describeGaps(counts) {
    const parts = OWNERS.filter((owner) => owner !== "unknown" || counts.unknown.count > 0).map((owner) => {
      const { count, seconds } = counts[owner];
      const length = count ? ` (${this.seconds(seconds)})` : "";
      return `${this.translate(`lane.gap_${owner}`)} ${this.number(count)}${length}`;
    });
    return this.translate("lane.gaps", { gaps: parts.join(", ") });
  }

  /** How it is told whose a gap is. */
  get rule() {
    return this.translate("lane.rule");
  }

  /** @param {number} value */
  seconds(value) {
    return `${this.number(value, value < 10 ? 2 : 1)} s`;
  }
}

/**
 * Count gaps by whose they are.
 * @param {readonly Gap[]} gaps
 * @returns {Record<Owner, GapCount>}
 */
export function countGaps(gaps) {
  const counts = { text: zero(), server: zero(), unknown: zero() };
  for (const { owner, seconds } of gaps) {
    counts[owner].count += 1;
    counts[owner].seconds += seconds;
  }
  return counts;
}

const zero = () => ({ count: 0, seconds: 0 });

/**
 * When a row ends: once it is over, what was received is still being played.
 * @param {LaneRow} row
 */
function endOf({ record, now }) {
  if (record.ended === null) return now;
  const lastWord = record.words.at(-1);
  return Math.max(record.ended, playedUntil(record.buffer), lastWord ? lastWord[0] + LAST_WORD : 0);
}

/**
 * Where the axis is marked: at whole steps that leave each mark its place.
 * @param {number} span seconds
 * @param {number} width pixels
 */
export function marksOf(span, width) {
  const least = (span * MARK_WIDTH) / Math.max(width, MARK_WIDTH);
  const step = STEPS.find((each) => each >= least) ?? Math.ceil(least / 60) * 60;
  const marks = [];
  for (let n = 0; n * step <= span - least * 0.4 || n === 0; n += 1)
    marks.push(Math.round(n * step * 10) / 10);
  return marks;
}

/** Paints one lane. */
class LanePainter {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{ span: number, most: number, marks: number[], translate: Words["translate"] }} scales
   */
  constructor(canvas, { span, most, marks, translate }) {
    const { pen, scale } = prepareCanvas(canvas);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const style = getComputedStyle(canvas);
    pen.font = `12px ${style.fontFamily}`;
    this.pen = pen;
    this.width = canvas.clientWidth;
    this.marks = marks;
    this.translate = translate;
    /** @param {number} at */
    this.x = (at) => (at / span) * this.width;
    /** @param {number} left */
    this.y = (left) => SOUND.bottom - (left / most) * (SOUND.bottom - SOUND.top - 4);
    /** @param {string} name */
    this.colour = (name) => style.getPropertyValue(`--stream-${name}`).trim();
  }

  /** @param {LaneRow} row */
  paint({ record, now, no_words }) {
    const end = record.ended === null ? now : Math.max(record.ended, playedUntil(record.buffer));
    this.#grid();
    this.#buffer(record.buffer, end);
    for (const gap of record.gaps) this.#gap(gap);
    this.#sent(record.text);
    this.#words(record.words, HEARD.baseline);
    if (no_words && record.words.length === 0) this.#quietly(no_words, HEARD.baseline);
    if (record.first_audio !== null) this.#line(record.first_audio, "first", 3);
    if (record.ended !== null) this.#ended(record.ended);
  }

  #grid() {
    this.pen.fillStyle = this.colour("grid");
    for (const at of this.marks) this.pen.fillRect(this.x(at), 0, 1, SOUND.bottom);
    for (const top of [SENT.bottom, HEARD.bottom]) this.pen.fillRect(0, top, this.width, 1);
  }

  /**
   * @param {readonly Level[]} levels
   * @param {number} end
   */
  #buffer(levels, end) {
    if (!levels.length) return;
    const { pen, x, y } = this;
    const curve = bufferCurve(levels, end);
    pen.fillStyle = pen.strokeStyle = this.colour("sound");
    pen.globalAlpha = 0.35;
    pen.beginPath();
    pen.moveTo(x(levels[0][0]), SOUND.bottom);
    for (const [at, left] of curve) pen.lineTo(x(at), y(left));
    pen.lineTo(x(end), SOUND.bottom);
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const [at, left] of curve) pen.lineTo(x(at), y(left));
    pen.stroke();
  }

  /**
   * A gap has a pattern besides its colour, and its name where that fits.
   * @param {Gap} gap
   */
  #gap({ at, seconds, owner }) {
    const { pen, x } = this;
    const [left, wide] = [x(at), Math.max(x(seconds), 3)];
    const height = SOUND.bottom - SOUND.top;
    pen.save();
    pen.beginPath();
    pen.rect(left, SOUND.top, wide, height);
    pen.clip();
    pen.fillStyle = pen.strokeStyle = this.colour(`gap-${owner}`);
    pen.lineWidth = 2;
    if (owner === "server") pen.fillRect(left, SOUND.top, wide, height);
    else if (owner === "text") this.#hatch(left, wide, height);
    pen.strokeRect(left + 1, SOUND.top + 1, wide - 2, height - 2);
    this.#nameGap(left, wide, owner);
    pen.restore();
  }

  /**
   * @param {number} left
   * @param {number} wide
   * @param {number} height
   */
  #hatch(left, wide, height) {
    const { pen } = this;
    pen.beginPath();
    for (let from = left - height; from < left + wide; from += 7) {
      pen.moveTo(from, SOUND.bottom);
      pen.lineTo(from + height, SOUND.top);
    }
    pen.stroke();
  }

  /**
   * @param {number} left
   * @param {number} wide
   * @param {Owner} owner
   */
  #nameGap(left, wide, owner) {
    const { pen } = this;
    const name = this.translate(`lane.gap_${owner}`);
    const needed = pen.measureText(name).width + 8;
    if (needed + 6 > wide) return;
    const start = left + (wide - needed) / 2;
    pen.fillStyle = this.colour("ground");
    pen.fillRect(start, SOUND.top + 14, needed, 20);
    pen.fillStyle = this.colour("word");
    pen.fillText(name, start + 4, SOUND.top + 28);
  }

  /** @param {LaneRecord["text"]} text */
  #sent(text) {
    this.pen.fillStyle = this.colour("text");
    const named = [];
    for (const piece of text) {
      const [at, name] = typeof piece === "number" ? [piece, ""] : piece;
      this.pen.fillRect(this.x(at), name ? SENT.bottom - 4 : SENT.top + 6, 2, name ? 4 : SENT.bottom - 6);
      if (name.trim()) named.push(/** @type {[number, string]} */ ([at, name.trim()]));
    }
    this.#words(named, SENT.baseline);
  }

  /**
   * Words where they were sent or are heard; one that would cover the one before is left out.
   * @param {readonly [at: number, word: string][]} words
   * @param {number} baseline
   */
  #words(words, baseline) {
    const { pen, x, width } = this;
    pen.fillStyle = this.colour("word");
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
   * @param {string} text
   * @param {number} baseline
   */
  #quietly(text, baseline) {
    this.pen.fillStyle = this.colour("text");
    this.pen.fillText(text, 6, baseline, this.width - 12);
  }

  /**
   * @param {number} at
   * @param {string} colour
   * @param {number} wide
   */
  #line(at, colour, wide) {
    this.pen.fillStyle = this.colour(colour);
    this.pen.fillRect(this.x(at) - wide / 2, SOUND.top, wide, SOUND.bottom - SOUND.top);
  }

  /** @param {number} at */
  #ended(at) {
    const { pen, x } = this;
    pen.save();
    pen.setLineDash([4, 3]);
    pen.strokeStyle = this.colour("text");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(Math.min(x(at), this.width - 1), SOUND.top);
    pen.lineTo(Math.min(x(at), this.width - 1), SOUND.bottom);
    pen.stroke();
    pen.restore();
  }
}
