/** Voice shelf: a part of the voice cards that can be folded, with how many voices a search finds in it. */

import { createElement, setText } from "./common.js";
import { GrowingList } from "./growing_list.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */

export class VoiceShelf {
  /** @type {readonly Voice[]} */
  #voices = [];
  /** @type {readonly Voice[]} */
  #found = [];
  #title = createElement("summary", {});
  #list;

  /**
   * @param {string} name
   * @param {object} options
   * @param {boolean} options.isOpen at first
   * @param {(voice: Voice) => HTMLElement} options.cardOf makes a voice's card, or returns the one that it made before
   * @param {(count: number) => string} options.titleOf
   */
  constructor(name, { isOpen, cardOf, titleOf }) {
    const list = createElement("ul", { class: "cards" });
    this.titleOf = titleOf;
    this.details = createElement("details", { class: "shelf", "data-shelf": name }, this.#title, list);
    this.details.open = isOpen;
    this.#list = new GrowingList(list, cardOf);
  }

  /** @param {readonly Voice[]} voices */
  put(voices) {
    this.#voices = voices;
  }

  /** @param {Voice} voice */
  has(voice) {
    return this.#voices.includes(voice);
  }

  /**
   * Show the voices that match.
   * @param {(voice: Voice) => boolean} isMatch
   * @returns {number} how many do
   */
  filter(isMatch) {
    this.#found = this.#voices.filter(isMatch);
    const count = this.#found.length;
    if (!this.isOpen) this.#list.clear();
    this.#list.show(this.#found);
    if (this.isOpen) this.#list.begin();
    this.details.hidden = count === 0;
    setText(this.#title, this.titleOf(count));
    return count;
  }

  get isOpen() {
    return this.details.open;
  }

  /** The voices whose cards are seen, or would be if the reader scrolled. */
  get shown() {
    return this.isOpen ? this.#found : [];
  }

  /** @param {boolean} isOpen */
  fold(isOpen) {
    this.details.open = isOpen;
    if (isOpen) this.#list.begin();
  }

  /** Make the card of a voice that is shown. @param {Voice} voice */
  reach(voice) {
    this.#list.reach(voice);
  }
}
