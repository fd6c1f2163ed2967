/** The log of a stream test: events of all clients, of which each frame brings the newest. */

import { createElement, keepScrolledToEnd } from "./common.js";

/** @typedef {{ at: number, client: number, what: string, detail: string }} Line */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

const MAX_LINES = 4000;
const MAX_SHOWN = 1000;
const KINDS = ["connected", "text", "text_end", "audio_start", "first_audio", "chunk", "underrun", "ended"];

/** Shows the events of a run, filtered by client, kind and text. */
export class RunLog {
  /** @type {Line[]} */
  #all = [];
  #seen = 0;
  /** The newest frame. @type {object | null} */
  #frame = null;
  run = "";
  /** Whether all lines were asked for, of which the frames bring only the newest. */
  isWhole = false;

  /** @param {Words} words */
  constructor({ translate, number }) {
    this.translate = translate;
    this.number = number;
    const redraw = () => this.#draw();
    const kinds = KINDS.map((kind) => new Option(translate(`what.${kind}`), kind));
    this.client = createElement("select", {}, new Option(translate("log_all"), ""));
    this.kind = createElement("select", {}, new Option(translate("log_all"), ""), ...kinds);
    this.search = createElement("input", { type: "search" });
    this.count = createElement("span", { class: "st-count" });
    this.lines = createElement("pre", { role: "group", tabindex: 0, "aria-label": translate("log") });
    const fields = { log_client: this.client, log_what: this.kind, log_find: this.search };
    const labels = Object.entries(fields).map(([name, field]) =>
      createElement("label", {}, translate(name), field),
    );
    const filter = createElement("div", { class: "st-filter", oninput: redraw }, ...labels, this.count);
    const attributes = { class: "st-log", hidden: true, ontoggle: redraw };
    this.title = createElement("summary", {}, translate("log"));
    this.element = createElement("details", attributes, this.title, filter, this.lines);
  }

  /**
   * Add the lines that are new in a frame.
   * @param {{ run: string, over: boolean, lanes: { client: number }[], logged: number, lines: Line[] }} frame
   * @param {string} [side] the name of the run, if there are two
   */
  add(frame, side = "") {
    if (this.#frame === frame) return;
    this.#frame = frame;
    const { run, lanes, logged, lines } = frame;
    this.title.textContent = [this.translate("log"), side].filter(Boolean).join(" ");
    if (this.run !== run) this.#begin(run, lanes);
    const fresh = Math.min(logged - this.#seen, lines.length);
    if (fresh > 0) this.#all.push(...lines.slice(-fresh));
    if (this.#all.length > MAX_LINES) this.#all.splice(0, this.#all.length - MAX_LINES);
    this.#seen = logged;
    this.#draw();
  }

  /**
   * @param {string} run
   * @param {{ client: number }[]} lanes
   */
  #begin(run, lanes) {
    this.run = run;
    this.isWhole = false;
    this.#all = [];
    this.#seen = 0;
    const clients = lanes.map(({ client }) => new Option(String(client), String(client)));
    this.client.replaceChildren(new Option(this.translate("log_all"), ""), ...clients);
  }

  /**
   * Replace all lines of a run, unless another has begun.
   * @param {string} run
   * @param {Line[]} lines
   */
  replace(run, lines) {
    if (this.run !== run) return;
    this.#all = lines;
    this.#draw();
  }

  #draw() {
    if (!this.element.open) return;
    const matching = this.#matching();
    keepScrolledToEnd(this.lines, () => {
      this.lines.textContent = matching.slice(-MAX_SHOWN).join("\n");
    });
    const [shown, count] = [this.number(matching.length), this.number(this.#all.length)];
    this.count.textContent = this.translate("log_lines", { shown, count });
  }

  #matching() {
    const text = this.search.value.trim().toLowerCase();
    return this.#all
      .filter((line) => !this.client.value || line.client === Number(this.client.value))
      .filter((line) => !this.kind.value || line.what === this.kind.value)
      .map((line) => this.#format(line))
      .filter((line) => !text || line.toLowerCase().includes(text));
  }

  /** @param {Line} line */
  #format({ at, client, what, detail }) {
    const [time, number] = [at.toFixed(3).padStart(8), String(client).padStart(2)];
    return `${time}  ${number}  ${this.translate(`what.${what}`)}  ${detail}`;
  }
}
