/**
 * The filters of the Voices tab: words to search for, and what a voice speaks, weighs and is made with.
 */

import { createElement } from "./common.js";
import { engineLabel, familyOf, sizeText, VoiceSearch } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */

/**
 * How the tab says things.
 * @typedef {object} Words
 * @property {import("./common.js").Translate} translate
 * @property {string} locale
 * @property {Parameters<typeof sizeText>[1]} number
 * @property {(tag: string) => string} languageName
 */

const SIZES = [50e6, 100e6, 200e6];
const QUALITIES = ["x_low", "low", "medium", "high", "fp32", "fp16", "int8"];

export class VoiceFilters {
  /**
   * @param {Words} words
   * @param {() => void} onChange
   */
  constructor(words, onChange) {
    this.words = words;
    this.onChange = onChange;
    this.search = new VoiceSearch(words.locale, voiceNames.translate);
    this.controls = this.#makeControls();
    const fields = Object.entries(this.controls).map(([name, control]) => this.#field(name, control));
    this.element = createElement("div", { class: "voices-filters", role: "search" }, ...fields);
  }

  #makeControls() {
    const { translate, number } = this.words;
    const [language, quality, size, engine, state] = Array.from({ length: 5 }, () => createElement("select"));
    this.#setOptions(
      size,
      SIZES.map((each) => [String(each), translate("up_to", { size: sizeText(each, number) })]),
    );
    this.#setOptions(
      state,
      ["installed", "to_fetch", "own"].map((each) => [each, translate(each)]),
    );
    const search = createElement("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    return { search, language, quality, size, engine, state };
  }

  /**
   * @param {string} name
   * @param {HTMLElement} control
   */
  #field(name, control) {
    control.id = `voices-${name}`;
    control.addEventListener("input", () => this.onChange());
    return createElement(
      "div",
      { class: "field" },
      createElement("label", { for: control.id }, this.words.translate(name)),
      control,
    );
  }

  /**
   * Set a filter's options; the selected one stays selected if it is among them.
   * @param {HTMLSelectElement} control
   * @param {string[][]} options value and text of each
   */
  #setOptions(control, options) {
    const chosen = control.value;
    const all = [["", this.words.translate("any")], ...options];
    control.replaceChildren(...all.map(([value, text]) => new Option(text, value)));
    control.value = options.some(([value]) => value === chosen) ? chosen : "";
  }

  /**
   * Offer what these voices have.
   * @param {readonly Voice[]} voices
   */
  offer(voices) {
    const { language, quality, engine } = this.controls;
    const { languageName, locale } = this.words;
    const languages = [...new Set(voices.map((voice) => familyOf(voice.language)))];
    const named = languages.map((tag) => [tag, languageName(tag)]);
    this.#setOptions(
      language,
      named.sort((one, other) => one[1].localeCompare(other[1], locale)),
    );
    const qualities = new Set(voices.map((voice) => voice.quality));
    const known = QUALITIES.filter((each) => qualities.has(each));
    this.#setOptions(
      quality,
      known.map((each) => [each, voiceNames.quality(each)]),
    );
    this.#setOptions(
      engine,
      [...new Set(voices.map((voice) => voice.engine))].sort().map((each) => [each, engineLabel(each)]),
    );
  }

  /** Make the function that says whether a voice matches all filters. @returns {(voice: Voice) => boolean} */
  matcher() {
    const { search, language, quality, size, engine, state } = this.controls;
    const isFound = this.search.matcher(search.value);
    return (voice) =>
      isFound(voice) &&
      (!language.value || familyOf(voice.language) === language.value) &&
      (!quality.value || voice.quality === quality.value) &&
      (!engine.value || voice.engine === engine.value) &&
      (!size.value || (voice.size !== null && voice.size <= Number(size.value))) &&
      isInState(voice, state.value);
  }
}

/**
 * @param {Voice} voice
 * @param {string} state
 */
function isInState(voice, state) {
  if (state === "installed") return voice.is_installed;
  if (state === "to_fetch") return !voice.is_installed;
  return state !== "own" || (voice.is_installed && !voice.in_catalogue && voice.is_removable);
}
