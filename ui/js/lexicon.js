/** The lexicon as a text: checked by the server whenever typing pauses, saved only over what was loaded. */

import { ask, button, debounced, make, messageOf, newest, wordsOf } from "./common.js";
import { player } from "./player.js";

/** @typedef {{ line: number, column: number, message: string }} Problem */
/** @typedef {{ entries: number, problems: Problem[], warnings: Problem[] }} Checked */
/** @typedef {{ version: string, text: string, path: string, checked: Checked }} Lexicon */
/** @typedef {{ spoken: string, phonemes: string[], hits: string[] }} Said */
/** @typedef {import("./common.js").Place<{ texts: import("./common.js").Texts, path: string }>} Place */

const PAUSE = 400; // milliseconds without a key

class LexiconEditor {
  #version = "";
  #saved = "";

  /** @param {Place} place */
  constructor({ element, props }) {
    this.path = props.path;
    this.say = wordsOf(props.texts).say;
    const { say } = this;
    this.label = make("label", { for: "voices-lexicon-text" }, say("lexicon"));
    this.text = make("textarea", {
      id: "voices-lexicon-text",
      rows: 12,
      spellcheck: "false",
      autocomplete: "off",
      wrap: "off",
      oninput: () => this.checkSoon(),
    });
    this.state = make("p", { class: "voices-message", role: "status", "aria-live": "polite" });
    this.problems = make("ul", { class: "voices-problems" });
    this.saving = button(say("save"), () => this.#save(), { class: "voices-primary" });
    this.sentence = make("input", {
      type: "text",
      id: "voices-sentence",
      maxlength: 500,
      value: say("example"),
    });
    this.said = make("dl", { class: "voices-said", "aria-live": "polite" });
    this.checked = newest(() => this.#ask("check", { text: this.text.value }));
    this.checkSoon = debounced(() => this.#check(), PAUSE);
    element.replaceChildren(this.#section());
    this.#load();
  }

  #section() {
    const { say } = this;
    const reload = button(say("reload"), () => this.#load());
    const hear = button(say("hear"), () => this.#hear());
    const label = make("label", { for: "voices-sentence" }, say("sentence"));
    return make(
      "section",
      { class: "voices-lexicon" },
      make("h2", {}, say("lexicon")),
      make("p", { class: "voices-quiet" }, say("lexicon_hint")),
      this.label,
      this.text,
      this.problems,
      this.state,
      make("div", { class: "voices-line" }, this.saving, reload),
      make("div", { class: "voices-line voices-try" }, label, this.sentence, hear),
      this.said,
    );
  }

  /**
   * @param {string} what
   * @param {object} [json]
   */
  #ask(what, json) {
    return this.#trying(() => ask(what ? `${this.path}/${what}` : this.path, { json }));
  }

  /**
   * @template Outcome
   * @param {() => Promise<Outcome>} work
   */
  async #trying(work) {
    try {
      return await work();
    } catch (error) {
      this.#tell(messageOf(error) || this.say("failed"), true);
      return null;
    }
  }

  /** @param {string} what */
  #tell(what, isProblem = false) {
    this.state.textContent = what;
    this.state.classList.toggle("voices-problem", isProblem);
  }

  // ---- Loading, checking, saving

  async #load() {
    /** @type {Lexicon | null} */
    const lexicon = await this.#ask("");
    if (!lexicon) return;
    this.label.textContent = this.say("lexicon_text", { path: lexicon.path });
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
    const lexicon = await this.#ask("save", { text: this.text.value, version: this.#version });
    if (!lexicon) return;
    this.#take(lexicon);
    this.#tell(this.say("saved"));
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
    this.saving.disabled = hasProblems;
    this.text.setAttribute("aria-invalid", String(hasProblems));
    if (hasProblems) this.#tell("");
    else
      this.#tell(
        this.text.value === this.#saved ? this.say("entries", { count: entries }) : this.say("unsaved"),
      );
  }

  /** @param {Problem} problem */
  #problem({ line, column, message }) {
    const place = button(this.say("place", { line, column }), () => this.#goTo(line, column));
    return make("li", {}, place, ` ${message}`);
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

  async #hear() {
    player.play({ input: this.sentence.value });
    /** @type {Said | null} */
    const said = await this.#ask("said", { sentence: this.sentence.value });
    if (!said) return;
    const facts = [
      [this.say("lexicon"), said.hits.join(", ") || "–"],
      [this.say("spoken"), said.spoken],
      [this.say("phonemes"), said.phonemes.join(" ")],
    ];
    this.said.replaceChildren(
      ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
    );
  }
}

/** @param {Place} place */
export const mount = (place) => void new LexiconEditor(place);
