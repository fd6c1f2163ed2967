/** A card of the Status tab: recent utterances. */

import { createElement, setText } from "./common.js";
import { Figures, section, table, voiceCell } from "./status_parts.js";
import { voiceDirectory } from "./voice_directory.js";

/** @typedef {import("./status_parts.js").Spoken} Spoken */
/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Words} Words */

const UTTERANCE = [
  "time",
  "transport",
  "voice",
  "ttfa",
  "held",
  "audio",
  "wall",
  "rtf",
  "xrt",
  "kbps",
  "gaps",
  "outcome",
];

export class Utterances {
  #shown = "";

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.table = table(words, "recent", UTTERANCE);
    this.none = createElement("p", { class: "status-none" }, words.translate("recent_none"));
    this.count = createElement("span", { class: "quiet status-count" });
    this.element = section(words, "recent", this.count, this.table.region, this.none);
  }

  /** @param {Status} status */
  show({ spoken, spoken_count: now }) {
    this.none.hidden = spoken.length > 0;
    setText(this.count, this.words.translate("recent_count", { count: this.words.number(now) }));
    const state = `${now} ${voiceDirectory.view.revision}`; // names of voices may become known
    if (state === this.#shown) return;
    this.#shown = state;
    this.table.show(spoken.map((one) => this.#cells(one)));
  }

  /** @param {Spoken} one */
  #cells({ outcome, error, ...one }) {
    const { translate, number } = this.words;
    const message = translate(outcome) + (error ? ` (${error})` : "");
    const figure = (/** @type {number | null} */ value, digits = 0) =>
      value === null ? "–" : number(value, digits);
    return [
      this.figures.clock(one.time),
      one.transport,
      voiceCell(one, this.words),
      this.figures.time(one.ttfa),
      one.held ? this.figures.time(one.held) : "–",
      `${number(one.audio_seconds, 1)} s`,
      `${number(one.wall_seconds, 1)} s`,
      figure(one.rtf, 3),
      figure(one.xrt, 1),
      figure(one.kbps),
      number(one.underruns),
      createElement("span", { class: `status-outcome status-is-${outcome}` }, message),
    ];
  }
}
