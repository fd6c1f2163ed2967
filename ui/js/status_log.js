/** A card of the Status tab: the tail of the log. */

import { createElement, keepScrolledToEnd } from "./common.js";
import { Figures, section } from "./status_parts.js";

/** @typedef {import("./status_parts.js").LogLine} LogLine */
/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Words} Words */

const MAX_LINES = 300;
/** @type {Record<string, number>} */
const LEVELS = { all: 0, info: 20, warning: 30, error: 40 };
/** @type {Record<string, number>} */
const RANKS = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };

export class Log {
  /** @param {Words} words */
  constructor(words) {
    const { translate } = words;
    this.figures = new Figures(words);
    const region = { tabindex: 0, role: "log", "aria-live": "off", "aria-label": translate("log") };
    this.lines = createElement("div", { class: "status-lines", ...region });
    this.none = createElement("p", { class: "status-none" }, translate("log_none"));
    const options = Object.keys(LEVELS).map((name) =>
      createElement("option", { value: name }, translate(`level_${name}`)),
    );
    this.level = createElement("select", { id: "status-level", onchange: () => this.#filter() }, ...options);
    const label = createElement("label", { for: "status-level" }, translate("level"));
    const choice = createElement("div", { class: "status-row" }, label, this.level);
    this.element = section(words, "log", choice, this.lines, this.none);
  }

  #filter() {
    for (const line of this.lines.children) this.#hideIfBelow(/** @type {HTMLElement} */ (line));
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  /** @param {HTMLElement} line */
  #hideIfBelow(line) {
    line.hidden = Number(line.dataset.rank) < LEVELS[this.level.value];
  }

  clear() {
    this.lines.replaceChildren();
  }

  /** @param {Status} status */
  show({ log: added }) {
    if (!added.length) return;
    const { lines } = this;
    this.none.hidden = true;
    keepScrolledToEnd(lines, () => {
      lines.append(...added.map((line) => this.#line(line)));
      while (lines.children.length > MAX_LINES) lines.firstChild?.remove();
    });
  }

  /** @param {LogLine} line */
  #line({ time, level, logger, text }) {
    const attributes = {
      class: `status-line status-level-${level.toLowerCase()}`,
      "data-rank": RANKS[level] ?? RANKS.INFO,
    };
    const head = `${this.figures.clock(time)} ${level} ${logger}: `;
    const made = createElement(
      "div",
      attributes,
      createElement("span", { class: "status-line-head" }, head),
      text,
    );
    this.#hideIfBelow(made);
    return made;
  }
}
