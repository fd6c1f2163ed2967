/** The form that keeps a mix as a blend: how it is called, what it speaks, and which blend it is an edit of. */

import { isSame, shownTag } from "./blend_api.js";
import { createElement, partFinder, setText } from "./common.js";
import { KeptBlend } from "./kept_blend.js";
import { blendNames, unusedName } from "./mix.js";
import { takenNames } from "./saved_blends.js";

/** @typedef {import("./blend_api.js").BlendingView} BlendingView */
/** @typedef {import("./blend_api.js").Draft} Draft */
/** @typedef {import("./blend_api.js").SavedVoice} SavedVoice */

/**
 * What the form needs of its tab.
 * @typedef {object} KeepContext
 * @property {HTMLElement} element
 * @property {import("./common.js").Translate} translate
 * @property {import("./blend_api.js").BlendApi} api
 * @property {import("./mixer.js").Mixer} mixer
 * @property {() => BlendingView} view
 * @property {(view: BlendingView) => void} onChanged
 * @property {(blend: Draft) => void} onOpen its recipe is to be mixed
 * @property {() => void} onLanguage another language was chosen
 * @property {() => void} keepFields has the browser keep what is typed
 */

export class KeepForm {
  /** The blend that is edited, as it was when that began. @type {Draft | null} */
  #expected = null;
  #isNormalized = true;
  /** The language that somebody chose; "" is that of the heaviest voice. */
  #chosenLanguage = "";

  /** @param {KeepContext} context */
  constructor(context) {
    this.context = context;
    this.translate = context.translate;
    this.parts = partsOf(context.element);
    this.justKept = new KeptBlend(context);
    this.keep = context.api.trying(this.parts.keepProblem, () => this.#keep());
    this.#showName();
    this.#listen();
  }

  #listen() {
    const { parts } = this;
    parts.name.addEventListener("input", () => this.#showName());
    parts.language.addEventListener("change", () => {
      this.#chosenLanguage = parts.language.value;
      this.context.onLanguage();
    });
    parts.keepForm.addEventListener("submit", (event) => {
      event.preventDefault();
      this.keep();
    });
    parts.leaveEdit.addEventListener("click", () => this.#leaveEdit());
    parts.takeTheirs.addEventListener("click", () => this.#takeTheirs());
    parts.keepMine.addEventListener("click", () => this.#keepMine());
  }

  /** The language that the mix is to speak; "" is that of its voices. */
  get language() {
    return this.parts.language.value;
  }

  /** The name of the kept blend that is mixed as it is; "" once anything was changed, and for a new mix. */
  get unchanged() {
    return this.#expected !== null && isSame(this.#draft(), this.#expected) ? this.#expected.name : "";
  }

  /** @returns {Draft} */
  #draft() {
    const { name, description, spherical } = this.parts;
    const { read, parts } = this.context.mixer;
    return {
      ...blendNames(name.value),
      recipe: read?.recipe ?? parts.recipe.value,
      language: this.language || null,
      description: description.value.trim(),
      spherical: spherical.checked,
      normalized: this.#isNormalized,
    };
  }

  /** @param {string} name */
  #keptNow(name) {
    const { kept } = this.context.view();
    return kept.find(({ draft, kind }) => draft.name === name && kind !== "imported")?.draft ?? null;
  }

  /** Any words make a name; tell which one programs have to send. */
  #showName() {
    const { name, title } = blendNames(this.parts.name.value);
    const said = title ? this.translate("name_as", { name }) : this.translate("name_hint");
    setText(this.parts.nameHint, said);
  }

  /** Of voices of several languages, the server's is preselected: that of the heaviest. */
  drawLanguages() {
    const { read } = this.context.mixer;
    const chosen = this.#chosenLanguage;
    const spoken = read?.languages ?? [];
    const differ = spoken.length > 1 || (chosen !== "" && !spoken.includes(chosen));
    const offered = differ ? [...new Set([...spoken, ...(chosen ? [chosen] : [])])] : [];
    const selected = chosen || read?.language;
    const none = createElement("option", { value: "" }, this.translate("of_the_voices"));
    const options = offered.map((tag) =>
      createElement("option", { value: tag, selected: tag === selected }, shownTag(tag)),
    );
    this.parts.language.replaceChildren(...(differ ? options : [none]));
    this.parts.languageRow.hidden = !differ;
  }

  // ---- Keeping

  async #keep() {
    const { api, mixer, onChanged } = this.context;
    this.justKept.hide();
    this.parts.stale.hidden = true;
    await mixer.settled();
    const draft = this.#draft();
    const expected = this.#expected?.name === draft.name ? this.#expected : null;
    try {
      onChanged(await api.change("keep", { draft, expected }));
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
    this.context.onChanged(await this.context.api.view());
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

  // ---- Editing

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
    this.context.keepFields();
  }

  /**
   * An edit goes on under the new name of its blend.
   * @param {string} old
   * @param {string} renamed
   */
  followName(old, renamed) {
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
  startEdit({ kind, draft }) {
    const isOwn = kind === "own";
    const free = () => unusedName(draft.name, takenNames(this.context.view()));
    this.justKept.hide();
    this.#expect(isOwn ? draft : null);
    this.#open(isOwn ? draft : { ...draft, name: free(), title: "" });
  }

  /**
   * Put a blend into the form and the mixer.
   * @param {Draft} blend
   */
  #open(blend) {
    const { name, description, spherical } = this.parts;
    name.value = calledBy(blend);
    this.#showName();
    description.value = blend.description;
    spherical.checked = blend.spherical;
    this.#isNormalized = blend.normalized;
    this.#chosenLanguage = blend.language ?? "";
    this.drawLanguages();
    this.context.onOpen(blend);
  }

  /** Go on with the edit that the browser kept. */
  restore() {
    const blend = readDraft(this.parts.expected.value);
    if (blend === null) return;
    this.#isNormalized = blend.normalized;
    this.#chosenLanguage = blend.language ?? "";
    this.#expect(blend);
  }
}

/**
 * The form's markup, which `ui/blending.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "blend");
  return {
    description: part("description", HTMLInputElement),
    editing: part("editing", HTMLElement),
    editingWords: part("editing-words", HTMLElement),
    expected: part("expected", HTMLInputElement),
    keep: part("keep", HTMLButtonElement),
    keepForm: part("keep-form", HTMLFormElement),
    keepMine: part("keep-mine", HTMLButtonElement),
    keepProblem: part("keep-problem", HTMLElement),
    language: part("language", HTMLSelectElement),
    languageRow: part("language-row", HTMLElement),
    leaveEdit: part("leave-edit", HTMLButtonElement),
    name: part("name", HTMLInputElement),
    nameHint: part("name-hint", HTMLElement),
    spherical: part("spherical", HTMLInputElement),
    stale: part("stale", HTMLElement),
    staleWords: part("stale-words", HTMLElement),
    takeTheirs: part("take-theirs", HTMLButtonElement),
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
