/** The map of voices in the Blend tab, or why there is none and what to do. */

import { partFinder, setText } from "./common.js";
import { NO_PROBLEM, problems } from "./problems.js";
import { openTab } from "./tabs.js";
import { VoiceMap } from "./voice_map.js";

/** @typedef {import("./map_mix.js").Part} Part */

/**
 * @typedef {object} BlendMapOptions
 * @property {HTMLElement} element
 * @property {import("./voice_map.js").MapOptions["translate"]} translate
 * @property {import("./blend_api.js").BlendApi} api
 * @property {(parts: Part[]) => void} onMove the mix changed
 * @property {() => void} onRelease the dot was let go
 */

const FEWEST = 3; // voices: two lie on a line

export class BlendMap {
  /** Where the dot is to be. @type {readonly Part[]} */
  #parts = [];
  /** How often the voices were asked for: only the newest answer counts. */
  #asked = 0;

  /** @param {BlendMapOptions} options */
  constructor({ element, translate, api, onMove, onRelease }) {
    this.translate = translate;
    this.api = api;
    const part = partFinder(element, "blend");
    this.parts = {
      map: part("map", HTMLDetailsElement),
      away: part("map-away", HTMLElement),
      reason: part("map-reason", HTMLElement),
      more: part("map-more", HTMLButtonElement),
      again: part("map-again", HTMLButtonElement),
    };
    this.map = new VoiceMap(this.parts.map, { translate, onMove, onRelease });
    this.parts.more.addEventListener("click", () => openTab("voices"));
    setText(this.parts.again, problems.tryAgain);
    this.parts.again.addEventListener("click", () => this.load());
  }

  /** Ask the server where the voices lie, and show them or why not. */
  async load() {
    this.#asked += 1;
    const turn = this.#asked;
    this.parts.again.disabled = true;
    try {
      const voices = await this.api.map();
      if (turn === this.#asked) this.#show(voices);
    } catch (error) {
      if (turn === this.#asked) this.#showFailure(error);
    }
    this.parts.again.disabled = false;
  }

  /**
   * Put the dot where a mix lies.
   * @param {readonly Part[]} parts
   */
  place(parts) {
    this.#parts = parts;
    this.map.place(parts);
  }

  /** @param {readonly import("./map_mix.js").MappedVoice[]} voices */
  #show(voices) {
    const { map, away, reason, more, again } = this.parts;
    const isMapped = voices.length >= FEWEST;
    map.hidden = !isMapped;
    away.hidden = isMapped;
    more.hidden = isMapped;
    again.hidden = true;
    this.map.show(isMapped ? voices : []);
    this.map.place(this.#parts);
    problems.show(reason, NO_PROBLEM);
    if (!isMapped) setText(reason, this.translate("map_few", { count: voices.length, fewest: FEWEST }));
  }

  /** @param {unknown} error */
  #showFailure(error) {
    const { map, away, reason, more, again } = this.parts;
    map.hidden = true;
    away.hidden = false;
    more.hidden = true;
    again.hidden = false;
    const { text, details } = problems.of(error);
    problems.show(reason, { text: this.translate("map_failed", { reason: text }), details });
  }
}
