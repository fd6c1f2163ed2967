/**
 * Read-along: the written text, in which the word that sounds is marked; a click on a word plays from there.
 *
 * Words are told while the speech is made: what is not told yet stands there as plain text.
 */

import { createElement } from "./common.js";

/** @typedef {import("./pcm.js").SpokenWord} SpokenWord */

/**
 * The number of the word that sounds, or that sounded last; -1 before the first.
 * @param {SpokenWord[]} words
 * @param {number} seconds
 */
export function wordAt(words, seconds) {
  let low = 0;
  let high = words.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (words[middle].start_time <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const MARKUP =
  /(?<![\p{L}\p{N}])[*_`~]+(?=[^\s*_`~])|(?<=[^\s*_`~])[*_`~]+(?![\p{L}\p{N}*_`~])|^#{1,6}(?=\s)/gmu;
const HIDDEN = "\0";

/**
 * The text as it is shown, without the marks of Markdown that nobody hears; offsets stay what they were.
 * @param {string} text
 */
const withoutMarks = (text) => text.replaceAll(MARKUP, (marks) => HIDDEN.repeat(marks.length));

/** @param {string} text as `withoutMarks` returns it */
const shown = (text) => text.replaceAll(HIDDEN, "");

/** A text as it is shown. @param {string} text */
export const unmarked = (text) => shown(withoutMarks(text));

export class ReadAlong {
  #written = "";
  /** What was written, without marks. */
  #text = "";
  /** Where in the text what is not told yet begins. */
  #told = 0;
  /** @type {SpokenWord[]} */
  #words = [];
  /** @type {HTMLElement[]} */
  #spans = [];
  #rest = document.createTextNode("");
  #marked = -1;
  #focusable = 0;

  /**
   * @param {HTMLElement} element
   * @param {(seconds: number) => void} playFrom
   */
  constructor(element, playFrom) {
    this.element = element;
    this.playFrom = playFrom;
    element.addEventListener("click", (event) => this.#play(event.target));
    element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * Show a text and those of its words that are known; more may follow in the same array.
   * @param {string} text
   * @param {SpokenWord[]} words
   */
  show(text, words) {
    if (words !== this.#words || !text.startsWith(this.#written)) this.#begin(text, words);
    else if (text !== this.#written) this.#write(text);
    for (const word of words.slice(this.#spans.length)) this.#add(word);
    this.element.hidden = text === "";
  }

  /**
   * @param {string} text
   * @param {SpokenWord[]} words
   */
  #begin(text, words) {
    this.#text = withoutMarks(text);
    this.#written = text;
    this.#told = 0;
    this.#words = words;
    this.#spans = [];
    this.#marked = -1;
    this.#focusable = 0;
    this.#rest = document.createTextNode(shown(this.#text));
    this.element.replaceChildren(this.#rest);
    this.element.scrollTop = 0;
  }

  /** Go on with a text that was still being written. @param {string} text */
  #write(text) {
    this.#written = text;
    this.#text = withoutMarks(text);
    this.#rest.data = shown(this.#text.slice(this.#told));
  }

  /** @param {SpokenWord} word */
  #add(word) {
    const begin = Math.max(this.#told, word.utf16_begin);
    const isFirst = this.#spans.length === 0;
    const span = createElement(
      "span",
      { role: "button", class: "read-along-word", tabindex: isFirst ? 0 : -1 },
      shown(this.#text.slice(begin, word.utf16_end)),
    );
    this.#rest.before(shown(this.#text.slice(this.#told, begin)), span);
    this.#told = Math.max(begin, word.utf16_end);
    this.#rest.data = shown(this.#text.slice(this.#told));
    this.#spans.push(span);
  }

  /**
   * Mark the word that sounds.
   * @param {number | null} seconds null where nothing plays
   */
  mark(seconds) {
    const number = seconds === null ? -1 : wordAt(this.#words, seconds);
    if (number === this.#marked) return;
    this.#spans[this.#marked]?.removeAttribute("aria-current");
    this.#marked = number;
    const span = this.#spans[number];
    if (!span) return;
    span.setAttribute("aria-current", "true");
    this.#scrollTo(span);
  }

  /** Seconds at which the word after the marked one sounds; infinite if none is known. */
  get nextAt() {
    return this.#words[this.#marked + 1]?.start_time ?? Infinity;
  }

  /** @param {HTMLElement} span */
  #scrollTo(span) {
    const { element } = this;
    const top = span.offsetTop - element.offsetTop;
    const isInView =
      top >= element.scrollTop && top + span.offsetHeight <= element.scrollTop + element.clientHeight;
    if (!isInView) element.scrollTop = top - element.clientHeight / 3;
  }

  /** @param {EventTarget | null} target */
  #play(target) {
    const number = this.#spans.indexOf(/** @type {HTMLElement} */ (target));
    if (number < 0) return;
    this.#makeFocusable(number);
    this.playFrom(this.#words[number].start_time);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step && this.#spans[this.#focusable + step]) {
      this.#makeFocusable(this.#focusable + step);
      this.#spans[this.#focusable].focus();
    } else if ((event.key === "Enter" || event.key === " ") && !event.ctrlKey && !event.metaKey) {
      this.#play(event.target);
    } else return;
    event.preventDefault();
  }

  /** @param {number} number */
  #makeFocusable(number) {
    this.#spans[this.#focusable]?.setAttribute("tabindex", "-1");
    this.#focusable = number;
    this.#spans[number].setAttribute("tabindex", "0");
  }
}
