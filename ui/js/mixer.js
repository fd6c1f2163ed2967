/**
 * Mixer: one slider between two voices, or one for each of several, kept in sync with the recipe in both directions.
 *
 * Of two voices, the numbers and locks of each are shown only to who asks for them.
 */

import { shownTag } from "./blend_api.js";
import {
  button,
  createElement,
  debounce,
  find,
  latestOnly,
  partFinder,
  RequestError,
  setText,
} from "./common.js";
import {
  distribute,
  FULL_WEIGHT,
  formatRecipe,
  MAX_VOICES,
  MIN_VOICES,
  newRow,
  percentages,
  roundWeights,
  rowFigures,
  rowsFromRecipe,
  sum,
  unlockedRows,
} from "./mix.js";
import { MixPicture } from "./mix_picture.js";
import { problems } from "./problems.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./mix.js").Row} Row */
/** @typedef {import("./blend_api.js").ParsedRecipe} ParsedRecipe */
/** @typedef {import("./blend_api.js").MixableVoice} MixableVoice */

const READ_AFTER = 150; // ms without a key

/**
 * What the mixer needs of its tab.
 * @typedef {object} TabContext
 * @property {HTMLElement} element
 * @property {import("./common.js").Translate} translate
 * @property {import("./blend_api.js").BlendApi} api
 * @property {() => MixableVoice[]} voices
 * @property {() => void} onRead the recipe was parsed
 * @property {() => void} onMoved the mix has changed, and its recipe was parsed
 * @property {(voice: string) => unknown} onHearParent
 */

export class Mixer {
  /** @type {Row[]} */
  rows = [];
  /** The recipe as last parsed by the server. @type {ParsedRecipe | null} */
  read = null;
  /** Resolves once the newest recipe is parsed. @type {Promise<void>} */
  #reading = Promise.resolve();
  /** Whether the numbers are shown also of two voices. */
  #hasNumbers = false;

  /** @param {TabContext} context */
  constructor(context) {
    this.context = context;
    const { element, api } = context;
    const part = partFinder(element, "blend");
    this.parts = {
      rows: part("rows", HTMLElement),
      add: part("add", HTMLButtonElement),
      normalize: part("normalize", HTMLButtonElement),
      randomize: part("randomize", HTMLButtonElement),
      fader: part("fader", HTMLElement),
      fade: part("fade", HTMLInputElement),
      fadeVoices: ["a", "b"].map((end) => part(`fade-${end}`, HTMLSelectElement)),
      fadeShares: ["a", "b"].map((end) => part(`fade-share-${end}`, HTMLOutputElement)),
      numbers: part("numbers", HTMLButtonElement),
      recipe: part("recipe", HTMLInputElement),
      problem: part("recipe-problem", HTMLElement),
      parents: part("parents", HTMLElement),
    };
    this.picture = new MixPicture(element);
    this.readNewest = latestOnly((/** @type {string} */ recipe) => api.parse(recipe));
    this.readTyped = debounce(() => this.#readTyped(), READ_AFTER);
    this.#listen();
  }

  #listen() {
    const { add, normalize, randomize, numbers, fade, fadeVoices, recipe } = this.parts;
    add.addEventListener("click", () => this.#addUnused());
    normalize.addEventListener("click", () => this.#share(({ weight }) => weight));
    randomize.addEventListener("click", () => this.#share(() => -Math.log(1 - Math.random()))); // uniform over all mixes
    numbers.addEventListener("click", () => this.#showNumbers(!this.#hasNumbers));
    fade.addEventListener("input", () => this.#fade(Number(fade.value)));
    for (const [index, picker] of fadeVoices.entries())
      picker.addEventListener("change", () => this.#pick(this.rows[index], picker.value));
    recipe.addEventListener("input", () => this.readTyped());
    recipe.addEventListener("change", () => this.#tidy());
  }

  /** Wait until the parsed recipe matches what is shown, before it is played or saved. */
  async settled() {
    this.readTyped.flush();
    await this.#reading;
  }

  // ---- The recipe

  /**
   * Set the mix to a recipe.
   * @param {string} recipe
   * @param {() => void} [then] once it is
   */
  take(recipe, then = () => {}) {
    this.#understand(recipe, (read) => {
      this.#show(rowsFromRecipe(this.rows, read.parts));
      then();
    });
  }

  /**
   * Show and speak a mix that was made elsewhere, as on the map.
   * @param {readonly import("./mix.js").Part[]} parts
   */
  set(parts) {
    this.#show(rowsFromRecipe(this.rows, parts));
    this.moved();
  }

  /**
   * Show a mix; where only the weights are others, the rows stay, with the focus and what is being done with them.
   * @param {Row[]} rows
   */
  #show(rows) {
    const isDrawnAlike =
      rows.length === this.rows.length &&
      lowestOf(rows) === lowestOf(this.rows) &&
      rows.every(({ voice }, index) => voice === this.rows[index].voice);
    if (isDrawnAlike) {
      for (const [index, { weight }] of rows.entries()) this.rows[index].weight = weight;
      this.#drawNumbers();
      return;
    }
    this.rows = rows;
    this.draw();
  }

  #readTyped() {
    this.take(this.parts.recipe.value, this.context.onMoved);
  }

  /** Write the recipe as the server writes it. */
  async #tidy() {
    await this.settled();
    if (this.readTyped.isPending()) return; // what was typed meanwhile is newer
    if (this.read !== null && !this.parts.problem.textContent) this.parts.recipe.value = this.read.recipe;
  }

  /**
   * @param {string} recipe
   * @param {(read: ParsedRecipe) => void} then
   */
  #understand(recipe, then) {
    this.#reading = this.#understood(recipe, then);
  }

  /**
   * @param {string} recipe
   * @param {(read: ParsedRecipe) => void} then
   */
  async #understood(recipe, then) {
    const { recipe: field, problem } = this.parts;
    try {
      const read = await this.readNewest(recipe);
      if (read === null) return;
      if (read.problem) throw new RequestError(read.problem, 0, { code: read.code, said: read.said });
      this.read = read;
      problem.textContent = "";
      field.removeAttribute("aria-invalid");
      then(read);
      this.context.onRead();
    } catch (error) {
      this.read = null;
      const empty = { text: this.context.translate("nothing_left"), details: "" };
      problems.show(problem, recipe.trim() ? problems.of(error) : empty);
      field.setAttribute("aria-invalid", "true");
    }
  }

  /**
   * Update the recipe after a change of the mix by hand.
   * @param {Row | null} [by] what was moved itself
   */
  moved(by = null) {
    roundWeights(this.rows.filter((row) => row !== by));
    this.#drawNumbers();
    this.readTyped.cancel();
    this.#understand(formatRecipe(this.rows), (read) => {
      if (this.readTyped.isPending()) return; // what is typed meanwhile is newer
      this.parts.recipe.value = read.recipe;
      this.context.onMoved();
    });
  }

  // ---- The rows

  /**
   * @param {string} voice
   * @param {number} weight
   */
  add(voice, weight) {
    this.rows.push(newRow(this.rows, voice, weight));
  }

  #addUnused() {
    const voices = this.context.voices();
    const used = new Set(this.rows.map(({ voice }) => voice));
    const language = voices.find(({ name }) => name === this.rows[0]?.voice)?.language;
    const unused = voices.filter((voice) => !used.has(voice.name) && voice.kind !== "preset");
    this.add((unused.find((voice) => voice.language === language) ?? unused[0] ?? voices[0]).name, 20);
    this.draw();
    this.moved();
    this.#focusPicker(this.rows.length - 1);
  }

  /** @param {number} index */
  #remove(index) {
    this.rows.splice(index, 1);
    this.draw();
    this.moved();
    this.#focusPicker(Math.min(index, this.rows.length - 1));
  }

  /** @param {number} index */
  #focusPicker(index) {
    const { rows, fadeVoices } = this.parts;
    const pickers = rows.hidden ? fadeVoices : rows.querySelectorAll("select");
    pickers[index]?.focus();
  }

  /** @param {boolean} isShown */
  #showNumbers(isShown) {
    this.#hasNumbers = isShown;
    this.#drawFader();
  }

  /**
   * @param {Row} row
   * @param {string} voice
   */
  #pick(row, voice) {
    row.voice = voice;
    this.moved();
  }

  /** @param {(row: Row) => number} proportion */
  #share(proportion) {
    distribute(this.rows, unlockedRows(this.rows).map(proportion));
    this.moved();
  }

  /** @param {number} at how much of the second voice */
  #fade(at) {
    [this.rows[0].weight, this.rows[1].weight] = [FULL_WEIGHT - at, at];
    this.moved();
  }

  draw() {
    const lowest = lowestOf(this.rows);
    this.parts.rows.replaceChildren(...this.rows.map((row, index) => this.#rowOf(row, index, lowest)));
    for (const [index, picker] of this.parts.fadeVoices.entries())
      picker.replaceChildren(...this.#options(this.rows[index]?.voice ?? ""));
    this.parts.add.disabled = this.rows.length >= MAX_VOICES;
    this.#drawNumbers();
  }

  /**
   * @param {Row} row
   * @param {number} index
   * @param {number} lowest
   */
  #rowOf(row, index, lowest) {
    const { translate } = this.context;
    const lock = () => {
      row.locked = !row.locked;
      this.#drawNumbers();
    };
    return createElement(
      "div",
      { class: "blend-row" },
      createElement("span", { class: `blend-swatch blend-colour-${row.colour}`, "aria-hidden": "true" }),
      this.#picker(row, index),
      createElement("span", { class: "blend-share quiet" }),
      this.#slider(row, lowest),
      createElement("output"),
      button(translate("lock"), lock, { class: "blend-lock" }),
      button("×", () => this.#remove(index), {
        class: "blend-remove",
        disabled: this.rows.length <= MIN_VOICES,
        "aria-label": translate("remove_row", { row: index + 1 }),
      }),
    );
  }

  /**
   * @param {Row} row
   * @param {number} index
   */
  #picker(row, index) {
    const label = this.context.translate("voice_of_row", { row: index + 1 });
    const picker = createElement("select", { "aria-label": label }, ...this.#options(row.voice));
    picker.addEventListener("change", () => this.#pick(row, picker.value));
    return picker;
  }

  /** @param {string} chosen */
  #options(chosen) {
    /** @type {Map<string, MixableVoice[]>} */
    const groups = new Map();
    for (const voice of this.context.voices()) {
      const isBlend = voice.kind === "own" || voice.kind === "preset";
      const label = isBlend ? this.context.translate("blends") : shownTag(voice.language);
      groups.set(label, [...(groups.get(label) ?? []), voice]);
    }
    /** @param {MixableVoice} voice */
    const option = ({ name, description }) =>
      createElement(
        "option",
        { value: name, title: `${name} ${description}`, selected: name === chosen },
        voiceNames.of(name),
      );
    return [...groups].map(([label, voices]) => createElement("optgroup", { label }, ...voices.map(option)));
  }

  /**
   * @param {Row} row
   * @param {number} lowest
   */
  #slider(row, lowest) {
    const slider = createElement("input", { type: "range", min: lowest, max: FULL_WEIGHT, step: 1 });
    slider.value = String(row.weight);
    slider.addEventListener("input", () => {
      row.weight = Number(slider.value);
      this.moved(row);
    });
    return slider;
  }

  // ---- Numbers, updated in place so that the focus stays where it is

  #drawNumbers() {
    const percent = percentages(this.rows).map((value) => `${Math.round(value)} %`);
    const figures = rowFigures(this.rows);
    for (const [index, node] of this.parts.rows.querySelectorAll(".blend-row").entries()) {
      this.#drawRow(node, this.rows[index], figures[index]);
    }
    this.picture.show(this.rows, percent);
    this.#drawFader();
    this.#drawParents();
  }

  /**
   * @param {Element} node
   * @param {Row} row
   * @param {{ weight: number, share: number | null }} figures
   */
  #drawRow(node, row, { weight, share }) {
    const { translate } = this.context;
    const said = share === null ? "" : translate("share_of_mix", { share });
    find(node, "select", HTMLSelectElement).value = row.voice;
    const slider = find(node, "input", HTMLInputElement);
    if (Number(slider.value) !== Math.round(row.weight)) slider.value = String(row.weight);
    slider.setAttribute("aria-label", translate("weight_of", { voice: voiceNames.of(row.voice) }));
    slider.setAttribute("aria-valuetext", said ? `${weight}, ${said}` : String(weight));
    slider.disabled = row.locked;
    setText(find(node, "output", HTMLElement), String(weight));
    setText(find(node, ".blend-share", HTMLElement), said);
    const lock = find(node, ".blend-lock", HTMLElement);
    lock.setAttribute("aria-pressed", String(row.locked));
    lock.setAttribute("aria-label", translate("lock_of", { voice: voiceNames.of(row.voice) }));
  }

  #drawFader() {
    const { rows, numbers, normalize, fader, fade, fadeVoices, fadeShares } = this.parts;
    const isOfTwo = this.rows.length === 2 && this.rows.every(({ weight }) => weight >= 0);
    const hasNumbers = this.#hasNumbers || !isOfTwo;
    fader.hidden = numbers.hidden = !isOfTwo;
    rows.hidden = normalize.hidden = !hasNumbers;
    numbers.setAttribute("aria-pressed", String(hasNumbers));
    if (!isOfTwo) return;
    const [first, second] = this.rows;
    const at = Math.round((second.weight / (sum([first.weight, second.weight]) || 1)) * FULL_WEIGHT);
    if (Number(fade.value) !== at) fade.value = String(at);
    fade.disabled = first.locked || second.locked;
    const said = { share: at, voice: voiceNames.of(second.voice) };
    fade.setAttribute("aria-valuetext", this.context.translate("fader_at", said));
    for (const [index, share] of [FULL_WEIGHT - at, at].entries()) {
      fadeVoices[index].value = this.rows[index].voice;
      setText(fadeShares[index], `${share} %`);
    }
  }

  #drawParents() {
    const names = [...new Set(this.rows.map(({ voice }) => voice))];
    const shown = [...this.parts.parents.children].map((node) => node.getAttribute("data-voice"));
    if (names.join() === shown.join()) return;
    const parents = names.map((voice) => {
      const label = this.context.translate("hear_parent", { voice: voiceNames.of(voice) });
      return button(voiceNames.of(voice), () => this.context.onHearParent(voice), {
        title: voice,
        "data-voice": voice,
        "aria-label": label,
      });
    });
    this.parts.parents.replaceChildren(...parents);
  }
}

/** Where the sliders of rows begin. @param {readonly Row[]} rows */
const lowestOf = (rows) => (rows.some(({ weight }) => weight < 0) ? -FULL_WEIGHT : 0);
