/**
 * The Blend tab: a mixer of voices, the saved blends, and the import of voice files.
 *
 * The mix exists only here until it is saved. The server parses recipes and lists what is
 * saved.
 */

import { AbsentModel } from "./absent_model.js";
import { BlendApi, EMPTY_VIEW } from "./blend_api.js";
import { BlendMap } from "./blend_map.js";
import { debounce, localize, localizeElements, partFinder, setText } from "./common.js";
import { firstMix } from "./first_mix.js";
import { KeepForm } from "./keep_form.js";
import { keepFields } from "./kept_fields.js";
import { recipeName } from "./mix.js";
import { Mixer } from "./mixer.js";
import { ownSentence } from "./own_sentence.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { SavedBlends } from "./saved_blends.js";
import { voiceDirectory } from "./voice_directory.js";

/** @typedef {import("./blend_api.js").BlendingView} BlendingView */

const HEAR_AFTER = 250; // ms without a movement

class BlendTab {
  #view = EMPTY_VIEW;
  /** Whether somebody wrote the text, so that no sample takes its place. */
  #isOwnText = false;
  /** @type {Promise<void> | null} */
  #mapShown = null;

  /** @param {import("./common.js").MountContext} context */
  constructor({ element, props }) {
    this.element = element;
    const { translate, number } = localize(props.texts);
    this.translate = translate;
    this.api = new BlendApi();
    this.parts = partsOf(element);
    localizeElements(element, this.translate);
    this.keepFields = keepFields(element, "blend");
    const context = { element, translate: this.translate, api: this.api };
    this.mixer = new Mixer({
      ...context,
      voices: () => this.#view.voices,
      onRead: () => this.#recipeWasRead(),
      onMoved: () => this.parts.whileMoving.checked && this.hearSoon(),
      onHearParent: this.api.trying(this.parts.problem, (voice) => this.#hear(voice)),
    });
    this.kept = new SavedBlends({
      ...context,
      number,
      view: () => this.#view,
      onChanged: (view) => this.#update(view),
      onRenamed: (old, renamed) => this.form.followName(old, renamed),
      onEdit: (kept) => this.form.startEdit(kept),
      hear: (name) => this.#hear(name),
    });
    this.form = new KeepForm({
      ...context,
      mixer: this.mixer,
      view: () => this.#view,
      onChanged: (view) => this.#update(view),
      onOpen: ({ recipe }) => this.#mix(recipe),
      onLanguage: () => this.parts.whileMoving.checked && this.hearSoon(),
      keepFields: this.keepFields,
    });
    this.absentModel = new AbsentModel(context);
    this.map = new BlendMap({
      ...context,
      onMove: (parts) => this.mixer.set(parts),
      onRelease: () => this.hearMix(),
    });
    this.hearMix = this.api.trying(this.parts.problem, () => this.#hearMix());
    this.hearSoon = debounce(this.hearMix, HEAR_AFTER);
    this.refresh = this.api.trying(this.parts.listProblem, () => this.#refresh());
    this.#listen();
    /** Resolves once all is in its place. */
    this.filled = this.#fill();
  }

  async #fill() {
    if (!voiceDirectory.isLoaded) await voiceDirectory.refresh(); // it tells which voices can speak
    await this.refresh();
    await Promise.all([this.#mapShown, this.mixer.settled()]);
  }

  #listen() {
    const { parts } = this;
    const importing = this.api.trying(parts.importProblem, () => this.#importVoice());
    const importVoice = () => importing().then(() => this.#revealImport());
    parts.text.addEventListener("input", () => {
      this.#isOwnText = true;
    });
    parts.hear.addEventListener("click", () => this.hearMix());
    parts.stop.addEventListener("click", () => this.#stop());
    parts.file.addEventListener("change", () => this.#proposeName());
    parts.importForm.addEventListener("submit", (event) => {
      event.preventDefault();
      importVoice();
    });
    voiceDirectory.addEventListener("change", () => this.refresh());
    voiceDirectory.start();
    const whileHere = new AbortController();
    const onfocus = () => (this.element.isConnected ? this.refresh() : whileHere.abort());
    window.addEventListener("focus", onfocus, { signal: whileHere.signal });
  }

  // ---- What is heard

  /**
   * @param {string} voice
   * @param {string} [language] that a recipe is to speak
   */
  async #hear(voice, language = "") {
    this.hearSoon.cancel();
    const input = this.parts.text.value.trim();
    if (!input) throw new Error(this.translate("no_text"));
    await player.play(language ? { input, voice, language } : { input, voice });
    if (player.state === "failed") throw player.error;
  }

  /** A kept blend may be mixed in a way that a recipe does not tell: if nothing was changed, it is heard itself. */
  async #hearMix() {
    await this.mixer.settled();
    const { read } = this.mixer;
    if (read === null) throw new Error(this.translate("no_mix"));
    const kept = this.form.unchanged;
    if (kept) return this.#hear(kept);
    await this.#hear(read.recipe, this.form.language);
  }

  #stop() {
    this.hearSoon.cancel();
    player.stop();
  }

  #recipeWasRead() {
    this.form.drawLanguages();
    this.map.place(this.mixer.read?.parts ?? []);
    const language = this.mixer.read?.language ?? "";
    const sample = ownSentence(language) || this.#view.samples[language];
    if (!this.#isOwnText && sample) this.parts.text.value = sample;
    this.keepFields();
  }

  /** @param {string} recipe */
  #mix(recipe) {
    const { parts } = this;
    parts.recipe.value = recipe;
    this.mixer.take(recipe);
    parts.mixer.scrollIntoView({ block: "start" });
    parts.recipe.focus({ preventScroll: true });
  }

  // ---- What is there

  async #refresh() {
    if (!this.kept.hasOpenQuestion) this.#update(await this.api.view());
  }

  /**
   * Show what the server has now. What is the same as before is left alone: it may have the focus.
   * @param {BlendingView} fresh
   */
  #update(fresh) {
    const before = this.#view;
    /** @param {keyof BlendingView} fact */
    const isOther = (fact) => JSON.stringify(before[fact]) !== JSON.stringify(fresh[fact]);
    this.#view = fresh;
    this.absentModel.show(fresh);
    this.parts.mixer.hidden = fresh.kokoro !== "ready";
    if (isOther("kept") || isOther("kokoro")) this.kept.draw();
    this.form.justKept.follow(fresh.kept);
    if (fresh.kokoro !== "ready") return;
    if (isOther("voices")) this.#mapShown = this.map.load();
    if (!this.mixer.rows.length) this.#begin();
    else if (isOther("voices")) this.mixer.draw();
  }

  /** Mix what was mixed before, or the voice chosen in Listen with another, so that there is something to hear. */
  #begin() {
    const { voices } = this.#view;
    const speaking = voices.filter(({ name }) => voiceDirectory.findInstalled(name));
    const { voice, previous } = pageState.values;
    const wanted = [voice, previous, voiceDirectory.first?.name ?? ""];
    const mix = firstMix(speaking.length ? speaking : voices, wanted);
    if (mix === null) return;
    this.mixer.add(mix[0], 60);
    this.mixer.add(mix[1], 40);
    this.mixer.draw();
    if (this.parts.recipe.value.trim()) this.#restore();
    else this.mixer.moved();
  }

  /** Go on with what the browser kept of the mix, its text, and the blend that was edited. */
  #restore() {
    const { recipe, text } = this.parts;
    const { samples } = this.#view;
    const proposed = [...Object.values(samples), pageState.values.text];
    this.#isOwnText = text.value !== "" && !proposed.includes(text.value);
    this.form.restore();
    this.mixer.take(recipe.value);
  }

  // ---- Files and the model

  #proposeName() {
    const { file, importName, importProblem } = this.parts;
    const chosen = file.files?.[0];
    setText(importProblem, "");
    if (chosen) importName.value = recipeName(chosen.name.replace(/\.[^.]*$/, ""));
  }

  async #importVoice() {
    const { file, importName, imported, importForm } = this.parts;
    const chosen = file.files?.[0];
    setText(imported, "");
    if (!chosen) throw new Error(this.translate("no_file"));
    const name = importName.value.trim();
    this.#update(await this.api.importVoice(name, chosen));
    setText(imported, this.translate("imported_as", { name }));
    importForm.reset();
  }

  /** The list above has grown meanwhile, which moves the answer behind the player bar. */
  #revealImport() {
    const { imported, importProblem } = this.parts;
    const answer = importProblem.textContent ? importProblem : imported;
    answer.scrollIntoView({ block: "nearest" });
  }
}

/**
 * The tab's markup, which `ui/blending.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "blend");
  return {
    file: part("file", HTMLInputElement),
    hear: part("hear", HTMLButtonElement),
    importForm: part("import", HTMLFormElement),
    importName: part("import-name", HTMLInputElement),
    importProblem: part("import-problem", HTMLElement),
    imported: part("imported", HTMLElement),
    listProblem: part("list-problem", HTMLElement),
    mixer: part("mixer", HTMLElement),
    problem: part("problem", HTMLElement),
    recipe: part("recipe", HTMLInputElement),
    stop: part("stop", HTMLButtonElement),
    text: part("text", HTMLTextAreaElement),
    whileMoving: part("while-moving", HTMLInputElement),
  };
}

/** @param {import("./common.js").MountContext} context */
export const mount = (context) => new BlendTab(context).filled;
