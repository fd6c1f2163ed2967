/**
 * The Blend tab: a mixer of voices, the saved blends, and the import of voice files.
 *
 * The mix exists only here until it is saved. The server parses recipes and lists what is
 * saved.
 */

import { AbsentModel } from "./absent_model.js";
import { BlendApi, EMPTY_VIEW, isSame, shownTag } from "./blend_api.js";
import { BlendMap } from "./blend_map.js";
import { createElement, debounce, localize, localizeElements, partFinder, setText } from "./common.js";
import { firstMix } from "./first_mix.js";
import { KeptBlend } from "./kept_blend.js";
import { keepFields } from "./kept_fields.js";
import { blendNames, recipeName, unusedName } from "./mix.js";
import { Mixer } from "./mixer.js";
import { ownSentence } from "./own_sentence.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { SavedBlends, takenNames } from "./saved_blends.js";
import { voiceDirectory } from "./voice_directory.js";

/** @typedef {import("./blend_api.js").Draft} Draft */
/** @typedef {import("./blend_api.js").SavedVoice} SavedVoice */
/** @typedef {import("./blend_api.js").BlendingView} BlendingView */

const HEAR_AFTER = 250; // ms without a movement

class BlendTab {
  #view = EMPTY_VIEW;
  /** The blend that is edited, as it was when that began. @type {Draft | null} */
  #expected = null;
  #isNormalized = true;
  /** The language that somebody chose; "" is that of the heaviest voice. */
  #chosenLanguage = "";
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
      onRenamed: (old, renamed) => this.#followName(old, renamed),
      onEdit: (kept) => this.#startEdit(kept),
      hear: (name) => this.#hear(name),
    });
    this.justKept = new KeptBlend(context);
    this.absentModel = new AbsentModel(context);
    this.map = new BlendMap({
      ...context,
      onMove: (parts) => this.mixer.set(parts),
      onRelease: () => this.hearMix(),
    });
    this.hearMix = this.api.trying(this.parts.problem, () => this.#hearMix());
    this.hearSoon = debounce(this.hearMix, HEAR_AFTER);
    this.keep = this.api.trying(this.parts.keepProblem, () => this.#keep());
    this.refresh = this.api.trying(this.parts.listProblem, () => this.#refresh());
    this.#showName();
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
    parts.name.addEventListener("input", () => this.#showName());
    parts.language.addEventListener("change", () => {
      this.#chosenLanguage = parts.language.value;
      if (parts.whileMoving.checked) this.hearSoon();
    });
    parts.stop.addEventListener("click", () => this.#stop());
    onSubmit(parts.keepForm, () => this.keep());
    parts.leaveEdit.addEventListener("click", () => this.#leaveEdit());
    parts.takeTheirs.addEventListener("click", () => this.#takeTheirs());
    parts.keepMine.addEventListener("click", () => this.#keepMine());
    parts.file.addEventListener("change", () => this.#proposeName());
    onSubmit(parts.importForm, importVoice);
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
    const expected = this.#expected;
    if (expected !== null && isSame(this.#draft(), expected)) return this.#hear(expected.name);
    await this.#hear(read.recipe, this.parts.language.value);
  }

  #stop() {
    this.hearSoon.cancel();
    player.stop();
  }

  #recipeWasRead() {
    this.#drawLanguages();
    this.map.place(this.mixer.read?.parts ?? []);
    const language = this.mixer.read?.language ?? "";
    const sample = ownSentence(language) || this.#view.samples[language];
    if (!this.#isOwnText && sample) this.parts.text.value = sample;
    this.keepFields();
  }

  // ---- Keeping

  /** @returns {Draft} */
  #draft() {
    const { name, recipe, language, description, spherical } = this.parts;
    return {
      ...blendNames(name.value),
      recipe: this.mixer.read?.recipe ?? recipe.value,
      language: language.value || null,
      description: description.value.trim(),
      spherical: spherical.checked,
      normalized: this.#isNormalized,
    };
  }

  /** @param {string} name */
  #keptNow(name) {
    return (
      this.#view.kept.find(({ draft, kind }) => draft.name === name && kind !== "imported")?.draft ?? null
    );
  }

  /** Any words make a name; tell which one programs have to send. */
  #showName() {
    const { name, title } = blendNames(this.parts.name.value);
    const said = title ? this.translate("name_as", { name }) : this.translate("name_hint");
    setText(this.parts.nameHint, said);
  }

  /** Of voices of several languages, the server's is preselected: that of the heaviest. */
  #drawLanguages() {
    const chosen = this.#chosenLanguage;
    const spoken = this.mixer.read?.languages ?? [];
    const differ = spoken.length > 1 || (chosen !== "" && !spoken.includes(chosen));
    const offered = differ ? [...new Set([...spoken, ...(chosen ? [chosen] : [])])] : [];
    const selected = chosen || this.mixer.read?.language;
    const none = createElement("option", { value: "" }, this.translate("of_the_voices"));
    const options = offered.map((tag) =>
      createElement("option", { value: tag, selected: tag === selected }, shownTag(tag)),
    );
    this.parts.language.replaceChildren(...(differ ? options : [none]));
    this.parts.languageRow.hidden = !differ;
  }

  async #keep() {
    const { parts } = this;
    this.justKept.hide();
    parts.stale.hidden = true;
    await this.mixer.settled();
    const draft = this.#draft();
    const expected = this.#expected?.name === draft.name ? this.#expected : null;
    try {
      this.#update(await this.api.change("keep", { draft, expected }));
    } catch (error) {
      if (expected === null || !(await this.#hasChangedMeanwhile(expected))) throw error;
      return;
    }
    this.#expect(this.#keptNow(draft.name));
    this.justKept.show(draft);
  }

  /** @param {Draft} expected */
  async #hasChangedMeanwhile(expected) {
    const { parts } = this;
    this.#update(await this.api.view());
    const now = this.#keptNow(expected.name);
    if (now !== null && isSame(now, expected)) return false;
    const { name, recipe } = now ?? expected;
    setText(
      parts.staleWords,
      this.translate(now === null ? "stale_gone" : "stale_changed", { name, recipe }),
    );
    parts.takeTheirs.hidden = now === null;
    parts.stale.hidden = false;
    parts.keepMine.focus();
    return true;
  }

  #takeTheirs() {
    const theirs = this.#expected && this.#keptNow(this.#expected.name);
    this.#expect(theirs);
    if (theirs) this.#open(theirs);
  }

  #keepMine() {
    this.#expected = this.#expected && this.#keptNow(this.#expected.name);
    this.keep();
  }

  /**
   * From now on the mix is an edit of this blend, or a new one.
   * @param {Draft | null} blend
   */
  #expect(blend) {
    const { parts } = this;
    this.#expected = blend;
    parts.stale.hidden = true;
    parts.editing.hidden = blend === null;
    setText(parts.editingWords, blend === null ? "" : this.translate("editing", { name: calledBy(blend) }));
    setText(parts.keep, this.translate(blend === null ? "keep" : "keep_changes"));
    parts.expected.value = blend === null ? "" : JSON.stringify(blend);
    this.keepFields();
  }

  /**
   * An edit goes on under the new name of its blend.
   * @param {string} old
   * @param {string} renamed
   */
  #followName(old, renamed) {
    const edited = this.#expected;
    const now = this.#keptNow(renamed);
    if (edited?.name !== old || now === null) return;
    if (blendNames(this.parts.name.value).name === old) this.parts.name.value = calledBy(now);
    this.#showName();
    this.#expect({ ...edited, name: now.name, title: now.title });
  }

  #leaveEdit() {
    this.#isNormalized = true;
    this.#chosenLanguage = "";
    this.parts.name.value = "";
    this.#showName();
    this.#expect(null);
  }

  /**
   * A preset stays as it is: what is made of it is a new blend.
   * @param {SavedVoice} kept
   */
  #startEdit({ kind, draft }) {
    const isOwn = kind === "own";
    this.justKept.hide();
    this.#expect(isOwn ? draft : null);
    this.#open(isOwn ? draft : { ...draft, name: unusedName(draft.name, takenNames(this.#view)), title: "" });
  }

  /**
   * Put a blend into the mixer.
   * @param {Draft} blend
   */
  #open(blend) {
    const { name, description, spherical, recipe, mixer } = this.parts;
    name.value = calledBy(blend);
    this.#showName();
    description.value = blend.description;
    spherical.checked = blend.spherical;
    this.#isNormalized = blend.normalized;
    recipe.value = blend.recipe;
    this.#chosenLanguage = blend.language ?? "";
    this.#drawLanguages();
    this.mixer.take(blend.recipe);
    mixer.scrollIntoView({ block: "start" });
    recipe.focus({ preventScroll: true });
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
    this.justKept.follow(fresh.kept);
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
    const { recipe, text, expected } = this.parts;
    const { samples } = this.#view;
    const proposed = [...Object.values(samples), pageState.values.text];
    this.#isOwnText = text.value !== "" && !proposed.includes(text.value);
    const blend = readDraft(expected.value);
    if (blend !== null) {
      this.#isNormalized = blend.normalized;
      this.#chosenLanguage = blend.language ?? "";
      this.#expect(blend);
    }
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
    description: part("description", HTMLInputElement),
    editing: part("editing", HTMLElement),
    expected: part("expected", HTMLInputElement),
    editingWords: part("editing-words", HTMLElement),
    file: part("file", HTMLInputElement),
    hear: part("hear", HTMLButtonElement),
    importForm: part("import", HTMLFormElement),
    importName: part("import-name", HTMLInputElement),
    importProblem: part("import-problem", HTMLElement),
    imported: part("imported", HTMLElement),
    keep: part("keep", HTMLButtonElement),
    keepForm: part("keep-form", HTMLFormElement),
    keepMine: part("keep-mine", HTMLButtonElement),
    keepProblem: part("keep-problem", HTMLElement),
    language: part("language", HTMLSelectElement),
    languageRow: part("language-row", HTMLElement),
    leaveEdit: part("leave-edit", HTMLButtonElement),
    listProblem: part("list-problem", HTMLElement),
    mixer: part("mixer", HTMLElement),
    name: part("name", HTMLInputElement),
    nameHint: part("name-hint", HTMLElement),
    problem: part("problem", HTMLElement),
    recipe: part("recipe", HTMLInputElement),
    spherical: part("spherical", HTMLInputElement),
    stale: part("stale", HTMLElement),
    staleWords: part("stale-words", HTMLElement),
    stop: part("stop", HTMLButtonElement),
    takeTheirs: part("take-theirs", HTMLButtonElement),
    text: part("text", HTMLTextAreaElement),
    whileMoving: part("while-moving", HTMLInputElement),
  };
}

/** @param {Draft} blend */
const calledBy = ({ name, title }) => title || name;

/**
 * @param {string} json
 * @returns {Draft | null}
 */
function readDraft(json) {
  try {
    return JSON.parse(json || "null");
  } catch {
    return null; // something else wrote there
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {() => unknown} work
 */
function onSubmit(form, work) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    work();
  });
}

/** @param {import("./common.js").MountContext} context */
export const mount = (context) => new BlendTab(context).filled;
