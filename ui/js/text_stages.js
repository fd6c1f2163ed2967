/** Text stages: what the front end makes of the text before it is spoken, shown while the section is unfolded. */

import { createElement, debounce, latestOnly, partFinder, requestJson, setText } from "./common.js";
import { problems } from "./problems.js";

/**
 * The stages of a text on its way to sound.
 * @typedef {object} Explanation
 * @property {string} cleaned
 * @property {string} spoken
 * @property {{ written: string, said: string }[]} lexicon
 * @property {string[]} segments
 * @property {string[]} phonemes of each segment
 */

/** @typedef {{ text: string, voice: string, speaker: string }} Asked */

const EXPLAIN_AFTER = 300; // milliseconds without a change
/** @type {Explanation} */
const NO_STAGES = { cleaned: "", spoken: "", lexicon: [], segments: [], phonemes: [] };

export class TextStages {
  /** @type {Asked} */
  #asked = { text: "", voice: "", speaker: "" };

  /**
   * @param {HTMLDetailsElement} element the section, with a part for each stage
   * @param {string} path of the service
   */
  constructor(element, path) {
    this.element = element;
    const part = partFinder(element, "audition");
    this.parts = {
      cleaned: part("cleaned", HTMLElement),
      lexicon: part("lexicon", HTMLElement),
      segments: part("segments", HTMLElement),
      spoken: part("spoken", HTMLElement),
      unexplained: part("unexplained", HTMLElement),
    };
    this.explainLatest = latestOnly((/** @type {object} */ json) => requestJson(path, { json }));
    this.explainSoon = debounce(() => this.#explain(), EXPLAIN_AFTER);
    element.addEventListener("toggle", () => this.explainSoon());
  }

  /**
   * Explain another text, or another voice's reading of it, soon.
   * @param {Asked} asked
   */
  update(asked) {
    this.#asked = asked;
    this.explainSoon();
  }

  async #explain() {
    const { text, voice, speaker } = this.#asked;
    if (!this.element.open || !this.element.isConnected) return;
    setText(this.parts.unexplained, "");
    try {
      const asked = { text, voice: voice || null, speaker: speaker || null };
      /** @type {Explanation | null} */
      const stages = text.trim() ? await this.explainLatest(asked) : NO_STAGES;
      if (stages) this.#show(stages);
    } catch (error) {
      this.#show(NO_STAGES);
      problems.show(this.parts.unexplained, problems.of(error));
    }
  }

  /** @param {Explanation} stages */
  #show({ cleaned, spoken, lexicon, segments, phonemes }) {
    const { parts } = this;
    setText(parts.cleaned, cleaned);
    setText(parts.spoken, spoken);
    hideUnlessAny(parts.lexicon, lexicon.length > 0);
    setText(parts.lexicon, lexicon.map(({ written, said }) => `${written} → ${said}`).join(", "));
    const items = segments.map((segment, i) =>
      createElement(
        "li",
        {},
        createElement("span", { dir: "auto" }, segment),
        createElement("span", { class: "audition-phonemes", lang: "und-fonipa" }, phonemes[i]),
      ),
    );
    parts.segments.replaceChildren(...items);
  }
}

/**
 * Hide a description and its term while it has nothing to tell.
 * @param {HTMLElement} description
 * @param {boolean} isAny
 */
function hideUnlessAny(description, isAny) {
  for (const each of [description, description.previousElementSibling])
    each?.toggleAttribute("hidden", !isAny);
}
