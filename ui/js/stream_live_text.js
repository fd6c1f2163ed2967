/** Typed text: what a change of a text box means for text that was sent letter by letter and cannot be taken back. */

import { sentenceStart } from "./sentences.js";

/** @typedef {{ append: string } | { restart: number }} Change appended text, or the place from which to begin again */

/**
 * What has changed: text at the end is appended; anything else begins again from the sentence that it is in.
 * @param {string} before
 * @param {string} after
 * @returns {Change | null} null if nothing has
 */
export function changeOf(before, after) {
  if (after === before) return null;
  if (after.startsWith(before)) return { append: after.slice(before.length) };
  return { restart: sentenceStart(after, commonLength(before, after)) };
}

/**
 * How many code units two texts begin with in common.
 * @param {string} one
 * @param {string} other
 */
function commonLength(one, other) {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}

/**
 * Cut a text into pieces, never within a character.
 * @param {string} text
 * @param {number} most code units of each, at least two
 */
export function* piecesOf(text, most) {
  for (let begin = 0; begin < text.length; ) {
    const end = begin + most;
    const isCut = end < text.length && /[\ud800-\udbff]/.test(text[end - 1]);
    const piece = text.slice(begin, isCut ? end - 1 : end);
    yield piece;
    begin += piece.length;
  }
}

/** Types a text at a pace: what is due is handed out in pieces, never half a character. */
export class Typist {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  get isTyping() {
    return this.#timer !== undefined;
  }

  /**
   * @param {string} text
   * @param {number} pace letters a second
   * @param {{ write: (piece: string) => void, end: () => void }} to
   */
  start(text, pace, { write, end }) {
    this.stop();
    const letters = Array.from(text);
    const startedAt = performance.now();
    let typed = 0;
    this.#timer = setInterval(() => {
      const due = 1 + Math.floor(((performance.now() - startedAt) / 1000) * pace);
      const piece = letters.slice(typed, due).join("");
      typed = Math.max(typed, due);
      if (piece) write(piece);
      if (typed < letters.length || !this.isTyping) return;
      this.stop();
      end();
    }, TICK);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

const TICK = 20; // milliseconds
