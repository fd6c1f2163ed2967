/** A card of the Status tab: time to first audio by engine, over the time at which it was measured. */

import { createElement, setText } from "./common.js";
import { Figures, section, table } from "./status_parts.js";
import { engineLabel } from "./voice_facts.js";

/** @typedef {import("./status_parts.js").Latency} Latency */
/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Words} Words */

const SVG = "http://www.w3.org/2000/svg";
const COLUMNS = ["engine", "utterances", "p50", "p95"];
const STEPS = [1, 2, 5, 10];
/** One for each engine, by shape as well as by colour. */
const MARKERS = [
  "M-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0Z",
  "M-3,-3h6v6h-6Z",
  "M0,-4L4,3H-4Z",
  "M0,-4.5L4.5,0L0,4.5L-4.5,0Z",
];

/**
 * The next round number: 1, 2 or 5 times a power of ten.
 * @param {number} value above 0
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = STEPS.find((step) => value <= step * power * (1 + 1e-9)) ?? 10;
  return Number((factor * power).toPrecision(1));
}

/**
 * The ranges of both axes: the times of the values, and from 0 to a round number above all of them.
 * @param {readonly Latency[]} latencies at least one
 */
export function axesOf(latencies) {
  const values = latencies.flatMap((latency) => latency.values);
  const times = values.map(({ time }) => time);
  const highest = Math.max(...values.map(({ seconds }) => seconds));
  return { first: Math.min(...times), last: Math.max(...times), top: roundUp(highest || 0.001) };
}

/**
 * Where a value stands, in percent from the left and from the top; a single time stands in the middle.
 * @param {import("./status_parts.js").TimeToFirstAudio} value
 * @param {ReturnType<typeof axesOf>} axes
 */
export function placeOf({ time, seconds }, { first, last, top }) {
  const x = last > first ? (100 * (time - first)) / (last - first) : 50;
  return { x, y: 100 - (100 * seconds) / top };
}

/**
 * @param {string} name
 * @param {Record<string, string>} attributes
 * @param {...Node} children
 */
function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** @param {number} series */
function marker(series) {
  return svg("path", {
    d: MARKERS[series % MARKERS.length],
    class: `status-series-${series % MARKERS.length}`,
  });
}

export class LatencyChart {
  #shown = "";

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.points = svg("svg", { class: "status-points", "aria-hidden": "true" }); // the table tells the same
    const span = () => createElement("span");
    this.ticks = { top: span(), middle: span(), zero: span(), first: span(), last: span() };
    const { top, middle, zero, first, last } = this.ticks;
    const labels = { "aria-hidden": "true" };
    this.chart = createElement(
      "div",
      { class: "status-chart", hidden: true },
      createElement("div", { class: "status-y", ...labels }, top, middle, zero),
      this.points,
      createElement("div", { class: "status-x", ...labels }, first, last),
    );
    this.none = createElement("p", { class: "quiet" }, words.translate("latency_none"));
    this.table = table(words, "latency", COLUMNS);
    this.table.region.hidden = true;
    this.element = section(words, "latency", this.chart, this.none, this.table.region);
  }

  /** @param {Status} status */
  show({ latency: latencies }) {
    const now = JSON.stringify(latencies);
    if (now === this.#shown || !latencies.length) return;
    this.#shown = now;
    this.none.hidden = true;
    this.chart.hidden = false;
    this.table.region.hidden = false;
    this.#draw(latencies);
    this.table.show(latencies.map((latency, series) => this.#cells(latency, series)));
  }

  /** @param {readonly Latency[]} latencies */
  #draw(latencies) {
    const axes = axesOf(latencies);
    const grid = ["0%", "50%", "100%"].map((y) => svg("line", { x1: "0", x2: "100%", y1: y, y2: y }));
    const points = latencies.flatMap(({ values }, series) =>
      values.map((value) => {
        const { x, y } = placeOf(value, axes);
        return svg("svg", { x: `${x}%`, y: `${y}%`, overflow: "visible" }, marker(series));
      }),
    );
    this.points.replaceChildren(...grid, ...points);
    const { top, middle, zero, first, last } = this.ticks;
    setText(top, this.figures.time(axes.top));
    setText(middle, this.figures.time(axes.top / 2));
    setText(zero, this.figures.time(0));
    setText(first, this.figures.clock(axes.first));
    setText(last, this.figures.clock(axes.last));
  }

  /**
   * @param {Latency} latency
   * @param {number} series
   */
  #cells({ engine, values, p50, p95 }, series) {
    const sign = svg(
      "svg",
      { class: "status-sign", viewBox: "-5 -5 10 10", "aria-hidden": "true" },
      marker(series),
    );
    return [
      createElement("span", { class: "status-engine-name" }, sign, engineLabel(engine) || "–"),
      this.words.number(values.length),
      this.figures.time(p50),
      this.figures.time(p95),
    ];
  }
}
