/** The list of what was heard before, with the settings that differ from the usual ones; each can be heard again. */

import { button, createElement, setText } from "./common.js";
import { history } from "./history.js";
import { player } from "./player.js";

/** @typedef {import("./history.js").Heard} Heard */
/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */

/**
 * @typedef {object} HeardOptions
 * @property {import("./common.js").Translate} translate
 * @property {(value: number, digits?: number) => string} number
 * @property {(body: SpeechRequest) => string} titleOf the voice that spoke
 */

const SHOWN_CHARS = 60;
const USUAL = new Set(["input", "voice", "sample_rate"]);

export class HeardList {
  /**
   * @param {{ past: HTMLButtonElement, list: HTMLElement }} parts `past` unfolds the list
   * @param {HeardOptions} options
   */
  constructor({ past, list }, options) {
    this.past = past;
    this.list = list;
    this.options = options;
    past.addEventListener("click", () => this.#unfold());
    history.addEventListener("change", () => this.#show());
  }

  get isUnfolded() {
    return !this.list.hidden;
  }

  /** The focus goes from the list to the button that unfolds it. */
  fold() {
    if (this.list.contains(document.activeElement)) this.past.focus();
    if (this.isUnfolded) this.#unfold();
  }

  #unfold() {
    const { past, list } = this;
    list.hidden = !list.hidden;
    past.setAttribute("aria-expanded", String(!list.hidden));
  }

  #show() {
    const { past, list } = this;
    past.hidden = history.heard.length < 2;
    setText(past, this.options.translate("past", { count: history.heard.length }));
    list.replaceChildren(...history.heard.map((each) => this.#item(each)));
  }

  /** @param {Heard} heard */
  #item({ body, clip, at }) {
    const { translate, number, titleOf } = this.options;
    const title = titleOf(body);
    const text = body.input.length > SHOWN_CHARS ? `${body.input.slice(0, SHOWN_CHARS)}…` : body.input;
    const facts = [at.toLocaleTimeString(), `${number(clip.seconds, 1)} s`, ...settingsOf(body)].join(" · ");
    const again = button("", () => player.replay(clip, 0, body), {
      class: "play-sign",
      "aria-label": translate("again", { name: title, text }),
    });
    return createElement(
      "li",
      {},
      again,
      createElement("strong", {}, title),
      createElement("span", { dir: "auto" }, text),
      createElement("span", { class: "quiet" }, facts),
    );
  }
}

/** What was set otherwise than usual. @param {SpeechRequest} body */
function settingsOf(body) {
  const set = Object.entries(body).filter(([name, value]) => !USUAL.has(name) && value !== 1);
  return set.map(([name, value]) => `${name} ${value}`);
}
