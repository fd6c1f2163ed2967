/**
 * The dialog of a blind comparison: two voices say the sentence, named A and B; at the end the winner and the counts.
 *
 * Keys: 1 and 2 hear A and B, arrow left and right say which was better, 0 that neither was.
 */

import { BlindComparison } from "./blind_comparison.js";
import { button, createElement, setText } from "./common.js";
import { player } from "./player.js";
import { LOADING_AFTER } from "./waiting_clock.js";

/** @typedef {import("./blind_comparison.js").Verdict} Verdict */

/**
 * @typedef {object} BlindOptions
 * @property {import("./common.js").Translate} translate
 * @property {(voice: string) => string} nameOf
 * @property {(voice: string, label: string, signal: AbortSignal) => Promise<unknown>} hear has a voice say the sentence,
 *   shown as `label`, unless the signal has aborted by then
 * @property {(voice: string) => void} choose the winner
 */

/** @type {Record<string, "a" | "b">} */
const SIDES = { 1: "a", 2: "b" };
/** @type {Record<string, Verdict>} */
const VERDICTS = { ArrowLeft: "a", ArrowRight: "b", 0: "equal" };

/** @param {"a" | "b"} side */
const labelOf = (side) => side.toUpperCase();

/** @param {"a" | "b"} side */
const isSpeaking = (side) => player.isBusy && player.label === labelOf(side);

export class BlindDialog {
  /** @type {Set<"a" | "b">} */
  #heard = new Set();
  #whileOpen = new AbortController();
  #loading = 0;
  /** Of what is to be heard, which may wait for its facts. */
  #hearing = new AbortController();

  /**
   * @param {readonly string[]} voices
   * @param {BlindOptions} options
   */
  constructor(voices, options) {
    this.options = options;
    this.comparison = new BlindComparison(voices);
    this.dialog = createElement("dialog", { class: "blind", "aria-labelledby": "blind-title" });
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.dialog.addEventListener("close", () => this.#close());
    const { signal } = this.#whileOpen;
    player.addEventListener("change", () => this.#showSpeaking(), { signal });
    player.addEventListener("change", () => this.#showLoading(), { signal });
  }

  /** @param {Element} parent */
  open(parent) {
    parent.append(this.dialog);
    this.#show();
    this.dialog.showModal();
    this.#hear("a");
  }

  #close() {
    clearTimeout(this.#loading);
    this.#whileOpen.abort();
    this.#silence();
    player.reveal(); // nobody knows what "A" was once the dialog is gone
    this.dialog.remove();
  }

  // ---- What is shown

  #show() {
    this.#heard.clear();
    const { pair } = this.comparison;
    this.dialog.replaceChildren(...(pair ? this.#question() : this.#result()));
    this.dialog.querySelector("button")?.focus();
  }

  #question() {
    const { translate } = this.options;
    const { done, count } = this.comparison;
    return [
      createElement("h2", { id: "blind-title" }, translate("blind_title", { number: done + 1, count })),
      createElement("p", { class: "quiet" }, translate("blind_hint")),
      createElement("p", { class: "blind-first", role: "status" }, translate("blind_first")),
      createElement("div", { class: "blind-sides" }, this.#side("a"), this.#side("b")),
      createElement("p", { class: "blind-loading", role: "status" }),
      createElement(
        "div",
        { class: "actions" },
        this.#verdict("equal"),
        button(translate("blind_back"), () => this.#undo(), { disabled: done === 0 }),
        button(translate("blind_end"), () => this.#end(), { disabled: done === 0 }),
        button(translate("blind_leave"), () => this.dialog.close()),
      ),
    ];
  }

  /** @param {"a" | "b"} side */
  #side(side) {
    return createElement(
      "div",
      { class: "blind-side" },
      button(`▶ ${labelOf(side)}`, () => this.#hearOrStop(side), { class: "primary", "data-hear": side }),
      this.#verdict(side),
    );
  }

  /** The button of the side that speaks stops it: the player's own is behind the dialog. */
  #showSpeaking() {
    for (const side of Object.values(SIDES)) {
      const hear = this.dialog.querySelector(`[data-hear="${side}"]`);
      const sign = isSpeaking(side) ? `■ ${this.options.translate("blind_stop")}` : "▶";
      if (hear) setText(hear, `${sign} ${labelOf(side)}`);
    }
  }

  /** Tell why a voice is long in coming. */
  #showLoading() {
    clearTimeout(this.#loading);
    const show = (/** @type {string} */ text) => {
      const place = this.dialog.querySelector(".blind-loading");
      if (place) setText(place, text);
    };
    show("");
    if (!player.awaitsAnswer) return;
    const text = this.options.translate("blind_loading");
    this.#loading = window.setTimeout(() => show(text), LOADING_AFTER * 1000);
  }

  /** @param {Verdict} verdict */
  #verdict(verdict) {
    const text = this.options.translate(`blind_${verdict}`);
    return button(text, () => this.#judge(verdict), { "data-verdict": verdict, disabled: true });
  }

  #result() {
    player.reveal();
    const { translate, nameOf } = this.options;
    const { winners, scores } = this.comparison;
    const names = winners.map(nameOf).join(", ");
    const title = translate(winners.length > 1 ? "blind_tie" : "blind_winner", { names });
    const rows = scores.map(({ voice, wins, compared }) =>
      createElement(
        "tr",
        {},
        createElement("th", { scope: "row" }, nameOf(voice)),
        createElement("td", {}, translate("blind_score", { wins, compared })),
      ),
    );
    return [
      createElement("h2", { id: "blind-title" }, title),
      createElement("table", { class: "blind-scores" }, createElement("tbody", {}, ...rows)),
      createElement(
        "div",
        { class: "actions" },
        button(translate("blind_choose", { name: nameOf(winners[0]) }), () => this.#choose(winners[0]), {
          class: "primary",
        }),
        button(translate("blind_leave"), () => this.dialog.close()),
      ),
    ];
  }

  // ---- What is done

  /** @param {"a" | "b"} side */
  #hearOrStop(side) {
    if (isSpeaking(side)) this.#silence();
    else this.#hear(side);
  }

  #silence() {
    this.#hearing.abort();
    player.stop();
  }

  /** @param {"a" | "b"} side */
  #hear(side) {
    const { pair } = this.comparison;
    if (!pair) return;
    this.#heard.add(side);
    if (this.#heard.size === 2) this.#allowVerdicts();
    this.#hearing.abort();
    this.#hearing = new AbortController();
    this.options.hear(pair[side], labelOf(side), this.#hearing.signal);
  }

  /** Both have to be heard before one is better. */
  #allowVerdicts() {
    for (const each of this.dialog.querySelectorAll("[data-verdict]")) each.removeAttribute("disabled");
    this.dialog.querySelector(".blind-first")?.replaceChildren();
  }

  /** @param {Verdict} verdict */
  #judge(verdict) {
    if (this.#heard.size < 2) return;
    this.#silence();
    this.comparison.judge(verdict);
    this.#show();
    this.#hear("a");
  }

  /** Count what was judged so far. */
  #end() {
    this.#silence();
    this.comparison.end();
    this.#show();
  }

  #undo() {
    this.#silence();
    this.comparison.undo();
    this.#show();
  }

  /** @param {string} voice */
  #choose(voice) {
    this.dialog.close();
    this.options.choose(voice);
  }

  /** Keys with a modifier are the browser's, as Ctrl+0 and Alt+Left are. @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const side = SIDES[event.key];
    const verdict = VERDICTS[event.key];
    if (side) this.#hear(side);
    else if (verdict) this.#judge(verdict);
    else return;
    event.preventDefault();
  }
}
