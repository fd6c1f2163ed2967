/**
 * Pair blend: two Kokoro voices with one slider between them, heard when it is let go, and kept as a voice.
 *
 * The two are the voices that were chosen last; a card that is dropped on another makes them so.
 */

import { BlendApi } from "./blend_api.js";
import { partFinder, setText } from "./common.js";
import { blendNames, unusedName } from "./mix.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */

/**
 * @typedef {object} PairOptions
 * @property {import("./common.js").Translate} translate
 * @property {(recipe: string, language: string) => Promise<unknown>} hear the language is "" for that of the voices
 * @property {() => Set<string>} takenNames
 * @property {(name: string) => Promise<unknown>} onKept
 */

const WHOLE = 100;

/** @param {Voice | undefined} voice */
export const isBlendable = (voice) =>
  voice !== undefined && voice.engine === "kokoro" && voice.is_installed && !voice.problem;

/**
 * The recipe of two voices; one without a share is left out.
 * @param {string} one
 * @param {string} other
 * @param {number} share of the other, in percent
 */
export function pairRecipe(one, other, share) {
  if (share <= 0) return one;
  return share >= WHOLE ? other : `${one}(${WHOLE - share})+${other}(${share})`;
}

export class PairBlend {
  /** @type {[one: string, other: string]} */
  #pair = ["", ""];
  /** Of the two. @type {[one: string, other: string]} */
  #languages = ["", ""];
  /** Whether somebody chose the language, which else is that of the louder voice. */
  #isLanguageChosen = false;
  /** The blend that was kept last: it is no part of another pair at once. */
  #keptName = "";

  /**
   * @param {HTMLElement} element
   * @param {PairOptions} options
   */
  constructor(element, options) {
    this.element = element;
    this.options = options;
    this.api = new BlendApi();
    const part = partFinder(element, "audition-pair");
    this.parts = {
      a: part("a", HTMLElement),
      b: part("b", HTMLElement),
      form: part("keep", HTMLFormElement),
      kept: part("kept", HTMLElement),
      language: part("language", HTMLSelectElement),
      languageRow: part("language-row", HTMLElement),
      name: part("name", HTMLInputElement),
      problem: part("problem", HTMLElement),
      share: part("share", HTMLInputElement),
    };
    const keep = this.api.trying(this.parts.problem, () => this.#keep());
    this.parts.share.addEventListener("input", () => this.#showShares());
    this.parts.share.addEventListener("change", () => this.hear());
    this.parts.language.addEventListener("change", () => {
      this.#isLanguageChosen = true;
      this.hear();
    });
    this.parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      keep();
    });
  }

  get recipe() {
    return pairRecipe(...this.#pair, Number(this.parts.share.value));
  }

  /** The language to speak, "" where both voices have the same one. */
  get #language() {
    const [one, other] = this.#languages;
    return one === other ? "" : this.parts.language.value;
  }

  /** Hear the mix where the slider stands. */
  hear() {
    return this.options.hear(this.recipe, this.#language);
  }

  /**
   * Show the slider between two voices, if both are Kokoro's.
   * @param {Voice | undefined} one
   * @param {Voice | undefined} other
   */
  show(one, other) {
    if (other && other.name === this.#keptName) return;
    const isPair = isBlendable(one) && isBlendable(other) && one !== other;
    this.element.hidden = !isPair;
    if (!isPair || !one || !other) return;
    if (this.#pair[0] === one.name && this.#pair[1] === other.name) return;
    this.#pair = [one.name, other.name];
    this.#languages = [one.language, other.language];
    this.#isLanguageChosen = false;
    this.parts.languageRow.hidden = one.language === other.language;
    const offered = this.#languages.map((tag) => new Option(voiceNames.languageName(tag), tag));
    this.parts.language.replaceChildren(...offered);
    const { share, name, kept } = this.parts;
    share.value = String(WHOLE / 2);
    const proposed = [one, other]
      .map((voice) => voiceNames.of(voice.name).toLowerCase().replace(/\W+/g, "_"))
      .join("_");
    const taken = this.options.takenNames();
    name.value = taken.has(proposed) ? unusedName(proposed, taken) : proposed;
    setText(kept, "");
    this.#showShares();
  }

  #showShares() {
    const share = Number(this.parts.share.value);
    const [one, other] = this.#pair.map((voice) => voiceNames.of(voice));
    setText(this.parts.a, `${one} ${WHOLE - share} %`);
    setText(this.parts.b, `${other} ${share} %`);
    if (!this.#isLanguageChosen) this.parts.language.value = this.#languages[share > WHOLE / 2 ? 1 : 0];
    this.parts.share.setAttribute("aria-valuetext", `${one} ${WHOLE - share} %, ${other} ${share} %`);
  }

  async #keep() {
    const { name, kept } = this.parts;
    const written = name.value.trim();
    const { recipe } = await this.api.parse(this.recipe);
    const draft = {
      ...blendNames(written),
      recipe,
      language: this.#language || null,
      description: "",
      spherical: false,
      normalized: true,
    };
    await this.api.change("keep", { draft, expected: null });
    this.#keptName = draft.name;
    await this.options.onKept(draft.name);
    setText(kept, this.options.translate("pair_kept", { name: written }));
  }
}
