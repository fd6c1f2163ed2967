/** Lexicon editor: validated by the server whenever typing pauses, saved only over the version that was loaded. */

import { button, createElement, debounce, latestOnly, localize, requestJson } from "./common.js";
import { player } from "./player.js";
import { problems } from "./problems.js";

/** @typedef {{ line: number, column: number, message: import("./problems.js").Said }} Problem */
/** @typedef {{ entries: number, problems: Problem[], warnings: Problem[] }} Checked */
/** @typedef {{ version: string, text: string, path: string, checked: Checked }} Lexicon */
/** @typedef {{ spoken: string, phonemes: string[], hits: string[] }} Said */
/** @typedef {import("./common.js").MountContext<{ texts: import("./common.js").Texts, path: string }>} MountContext */

const PAUSE = 400; // milliseconds without a key

class LexiconEditor {
  #version = "";
  #saved = "";

  /** @param {MountContext} context */
  constructor({ element, props }) {
    this.path = props.path;
    this.translate = localize(props.texts).translate;
    const { translate } = this;
    this.label = createElement("label", { for: "voices-lexicon-text" }, translate("lexicon"));
    this.text = createElement("textarea", {
      id: "voices-lexicon-text",
      class: "mono",
      rows: 12,
      spellcheck: "false",
      autocomplete: "off",
      wrap: "off",
      placeholder: translate("lexicon_placeholder"),
      oninput: () => this.checkSoon(),
    });
    this.state = createElement("p", { class: "voices-message", role: "status", "aria-live": "polite" });
    this.problems = createElement("ul", { class: "voices-problems" });
    this.saving = button(translate("save"), () => this.#save(), { class: "primary" });
    this.sentence = createElement("input", {
      type: "text",
      id: "voices-sentence",
      maxlength: 500,
      value: translate("example"),
    });
    this.savingAndHearing = button(translate("save_and_hear"), () => this.#saveAndHear());
    const told = createElement("span", {}, translate("heard_as_saved"));
    this.notice = createElement(
      "div",
      { class: "notice", role: "status", hidden: true },
      told,
      this.savingAndHearing,
    );
    this.said = createElement("dl", { class: "voices-said", "aria-live": "polite" });
    this.checked = latestOnly(() => this.#request("check", { text: this.text.value }));
    this.checkSoon = debounce(() => this.#check(), PAUSE);
    element.replaceChildren(this.#section());
    this.#load();
  }

  #section() {
    const { translate } = this;
    const reload = button(translate("reload"), () => this.#load());
    const hear = button(translate("hear"), () => this.#hear());
    const label = createElement("label", { for: "voices-sentence" }, translate("sentence"));
    return createElement(
      "section",
      { class: "voices-lexicon" },
      createElement("h2", {}, translate("lexicon")),
      createElement("p", { class: "quiet" }, translate("lexicon_hint")),
      this.label,
      this.text,
      this.problems,
      this.state,
      createElement("div", { class: "actions" }, this.saving, reload),
      createElement("div", { class: "actions voices-try" }, label, this.sentence, hear),
      this.notice,
      this.said,
    );
  }

  /**
   * @param {string} what
   * @param {object} [json]
   */
  #request(what, json) {
    return this.#trying(() => requestJson(what ? `${this.path}/${what}` : this.path, { json }));
  }

  /**
   * @template Outcome
   * @param {() => Promise<Outcome>} work
   */
  async #trying(work) {
    try {
      return await work();
    } catch (error) {
      this.#showState("", true);
      problems.show(this.state, problems.of(error));
      return null;
    }
  }

  /** @param {string} what */
  #showState(what, isProblem = false) {
    this.state.textContent = what;
    this.state.classList.toggle("problem", isProblem);
  }

  // ---- Loading, checking, saving

  async #load() {
    /** @type {Lexicon | null} */
    const lexicon = await this.#request("");
    if (!lexicon) return;
    this.label.textContent = this.translate("lexicon_text", { path: lexicon.path });
    if (this.text.value !== lexicon.text) this.text.value = lexicon.text;
    this.#take(lexicon);
  }

  async #check() {
    /** @type {Checked | null} */
    const checked = await this.checked();
    if (checked) this.#showChecked(checked);
  }

  async #save() {
    this.checkSoon.cancel();
    /** @type {Lexicon | null} */
    const lexicon = await this.#request("save", { text: this.text.value, version: this.#version });
    if (!lexicon) return false;
    this.#take(lexicon);
    this.#showState(this.translate("saved"));
    return true;
  }

  /** @param {Lexicon} lexicon */
  #take(lexicon) {
    this.#version = lexicon.version;
    this.#saved = lexicon.text;
    this.#showChecked(lexicon.checked);
  }

  /** @param {Checked} checked */
  #showChecked({ problems, warnings, entries }) {
    const hasProblems = problems.length > 0;
    this.problems.replaceChildren(...[...problems, ...warnings].map((problem) => this.#problem(problem)));
    this.saving.disabled = this.savingAndHearing.disabled = hasProblems;
    if (!this.#isUnsaved) this.notice.hidden = true;
    this.text.setAttribute("aria-invalid", String(hasProblems));
    if (hasProblems) this.#showState("");
    else
      this.#showState(
        this.#isUnsaved ? this.translate("unsaved") : this.translate("entries", { count: entries }),
      );
  }

  /** @param {Problem} problem */
  #problem({ line, column, message }) {
    const place = button(this.translate("place", { line, column }), () => this.#goTo(line, column), {
      class: "danger",
    });
    const written = this.text.value.split("\n")[line - 1]?.trim() ?? "";
    const shown = written ? createElement("code", { dir: "auto" }, written) : null;
    return createElement("li", {}, place, ` ${problems.say(message)} `, shown);
  }

  /**
   * @param {number} line
   * @param {number} column both counted from 1
   */
  #goTo(line, column) {
    const lines = this.text.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
    this.text.focus();
    this.text.setSelectionRange(start + column - 1, start + (lines[line - 1]?.length ?? 0));
  }

  // ---- Trying it

  get #isUnsaved() {
    return this.text.value !== this.#saved;
  }

  async #saveAndHear() {
    if (await this.#save()) await this.#hear();
  }

  /** Speak the sentence with the lexicon that is saved, and say so if another one is in the editor. */
  async #hear() {
    this.notice.hidden = !this.#isUnsaved;
    player.play({ input: this.sentence.value });
    /** @type {Said | null} */
    const said = await this.#request("said", { sentence: this.sentence.value });
    if (!said) return;
    const facts = [
      [this.translate("lexicon"), said.hits.join(", ") || "–"],
      [this.translate("spoken"), said.spoken],
      [this.translate("phonemes"), said.phonemes.join(" ")],
    ];
    this.said.replaceChildren(
      ...facts.flatMap(([name, value]) => [createElement("dt", {}, name), createElement("dd", {}, value)]),
    );
  }
}

/** @param {MountContext} context */
export const mount = (context) => void new LexiconEditor(context);
