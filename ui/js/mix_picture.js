/** A mix of voices as a bar in the colours of its voices, with a legend of their shares. */

import { createElement, partFinder } from "./common.js";
import { percentages } from "./mix.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./mix.js").Row} Row */

export class MixPicture {
  /** @param {HTMLElement} element of the tab */
  constructor(element) {
    const part = partFinder(element, "blend");
    this.bar = part("bar", HTMLElement);
    this.legend = part("legend", HTMLElement);
  }

  /**
   * @param {readonly Row[]} rows
   * @param {readonly string[]} percent of each row, for people
   */
  show(rows, percent) {
    const wide = percentages(rows).map((value) => `width: ${Math.abs(value).toFixed(2)}%`);
    this.bar.replaceChildren(...rows.map((row, index) => piece(row, wide[index])));
    this.bar.setAttribute(
      "aria-label",
      rows.map(({ voice }, index) => `${voiceNames.of(voice)} ${percent[index]}`).join(", "),
    );
    this.legend.replaceChildren(...rows.map((row, index) => label(row, percent[index])));
  }
}

/**
 * @param {Row} row
 * @param {string} style
 */
function piece({ voice, weight, colour }, style) {
  const look = `blend-piece blend-colour-${colour}${weight < 0 ? " blend-away" : ""}`;
  return createElement("span", { class: look, style, "data-voice": voice });
}

/**
 * @param {Row} row
 * @param {string} percent
 */
const label = ({ voice, colour }, percent) =>
  createElement(
    "li",
    {},
    createElement("span", { class: `blend-swatch blend-colour-${colour}` }),
    createElement("span", { class: "blend-name", title: voice }, voiceNames.of(voice)),
    createElement("b", {}, percent),
  );
