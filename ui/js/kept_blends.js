/** The blends that are kept, and the presets: each a card with what can be done with it. */

import { PATH, shownTag } from "./blend_api.js";
import { addressOf, button, find, make } from "./common.js";
import { freeName } from "./mix.js";

/** @typedef {import("./blend_api.js").SavedVoice} SavedVoice */
/** @typedef {import("./blend_api.js").BlendingView} BlendingView */

/**
 * What the list asks of the tab that it is in.
 * @typedef {object} Surroundings
 * @property {HTMLElement} element
 * @property {import("./common.js").Say} say
 * @property {import("./blend_api.js").BlendApi} api
 * @property {() => BlendingView} view
 * @property {(view: BlendingView) => void} onChanged
 * @property {(kept: SavedVoice) => void} onEdit
 * @property {(name: string) => Promise<void>} hear
 */

/** @typedef {{ title: string, value?: string, confirm?: string }} Question */

export class KeptBlends {
  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.around = surroundings;
    this.list = find(surroundings.element, "#blend-list", HTMLElement);
    this.title = find(surroundings.element, "#blend-kept-title", HTMLElement);
    this.nothing = find(surroundings.element, "#blend-nothing-kept", HTMLElement);
  }

  /** Whether somebody is asked something, which a new list would take away. */
  get isAsking() {
    return this.list.querySelector(".blend-question") !== null;
  }

  draw() {
    const { kept } = this.around.view();
    this.list.replaceChildren(...kept.map((each) => this.#card(each)));
    this.nothing.hidden = kept.length > 0;
  }

  /** @param {SavedVoice} kept */
  #card(kept) {
    const { say, view } = this.around;
    const { name, recipe, description } = kept.draft;
    const facts = [say(`kind_${kept.kind}`), shownTag(kept.language), kept.kind === "imported" ? "" : recipe];
    const isMute = !kept.can_speak && view().kokoro === "ready";
    const problem = make("p", { class: "blend-problem", role: "alert" });
    const question = make("div", { class: "blend-asked" });
    return make(
      "li",
      { class: "blend-card", "data-name": name },
      make(
        "div",
        { class: "blend-head" },
        make("b", {}, name),
        make("span", {}, facts.filter(Boolean).join(" · ")),
      ),
      description ? make("p", {}, description) : null,
      isMute ? make("p", { class: "blend-hint" }, say("cannot_speak")) : null,
      make("div", { class: "blend-actions" }, ...this.#actions(kept, problem, question)),
      question,
      problem,
    );
  }

  /**
   * @param {SavedVoice} kept
   * @param {Element} problem tells what went wrong
   * @param {Element} place of questions
   */
  #actions(kept, problem, place) {
    const { say, view, hear, api, onEdit } = this.around;
    const { name } = kept.draft;
    const [isOwn, isImported] = [kept.kind === "own", kept.kind === "imported"];
    /** @param {"rename" | "duplicate" | "remove"} what @param {Question} question */
    const changing = (what, question) => () =>
      ask(place, question, say, (answer) => this.#change(what, name, answer, problem));
    const newName = say("new_name");
    const other = () => ({ title: newName, value: freeName(name, namesOn(view())) });
    return [
      this.#button(
        "hear",
        name,
        api.trying(problem, () => hear(name)),
        !kept.can_speak,
      ),
      isImported
        ? null
        : this.#button(isOwn ? "edit" : "use", name, () => onEdit(kept), view().kokoro !== "ready"),
      isImported ? null : this.#button("duplicate", name, () => changing("duplicate", other())()),
      isOwn ? this.#button("rename", name, changing("rename", { title: newName, value: name })) : null,
      isImported || kept.can_speak ? this.#export(name) : null,
      kept.kind === "preset" ? null : this.#button("remove", name, changing("remove", this.#sure(name))),
    ];
  }

  /** @param {string} name */
  #sure(name) {
    return { title: this.around.say("remove_sure", { name }), confirm: this.around.say("remove") };
  }

  /**
   * @param {string} action
   * @param {string} name
   */
  #label(action, name) {
    return this.around.say("of_card", { action: this.around.say(action), name });
  }

  /**
   * @param {string} action
   * @param {string} name
   * @param {() => unknown} onclick
   */
  #button(action, name, onclick, disabled = false) {
    return button(this.around.say(action), () => onclick(), {
      "aria-label": this.#label(action, name),
      disabled,
    });
  }

  /** @param {string} name */
  #export(name) {
    const { href } = addressOf(`${PATH}/export?name=${encodeURIComponent(name)}`);
    const attributes = { href, download: `${name}.npy`, "aria-label": this.#label("export", name) };
    return make("a", attributes, this.around.say("export"));
  }

  /**
   * @param {"rename" | "duplicate" | "remove"} what
   * @param {string} name
   * @param {string} renamed
   * @param {Element} problem
   */
  #change(what, name, renamed, problem) {
    const { api, onChanged } = this.around;
    const change = async () => {
      onChanged(await api.change(what, what === "remove" ? { name } : { name, new: renamed }));
      this.#focus(renamed);
    };
    return api.trying(problem, change)();
  }

  /** @param {string} name */
  #focus(name) {
    const cards = /** @type {HTMLElement[]} */ ([...this.list.children]);
    const card = cards.find(({ dataset }) => dataset.name === name);
    const target = /** @type {HTMLElement | null | undefined} */ (
      card?.querySelector("button:not(:disabled)")
    );
    (target ?? this.title).focus();
  }
}

/**
 * All names that are taken.
 * @param {BlendingView} view
 */
export const namesOn = ({ voices, kept }) => [
  ...voices.map(({ name }) => name),
  ...kept.map(({ draft }) => draft.name),
];

/**
 * Ask whether something is to be done, and if a value is proposed, with which one.
 * @param {Element} place
 * @param {Question} question
 * @param {import("./common.js").Say} say
 * @param {(answer: string) => unknown} onYes
 */
function ask(place, { title, value, confirm }, say, onYes) {
  const opener = /** @type {HTMLElement | null} */ (document.activeElement);
  const close = () => {
    place.replaceChildren();
    opener?.focus();
  };
  const text = { type: "text", value, maxlength: 64, autocapitalize: "off" };
  const input = value === undefined ? null : make("input", text);
  const yes = make(
    "button",
    { type: "submit", class: input ? "blend-primary" : "blend-danger" },
    confirm ?? say("ok"),
  );
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onYes(input?.value.trim() ?? "");
  };
  const onkeydown = (/** @type {Event} */ event) =>
    event instanceof KeyboardEvent && event.key === "Escape" && close();
  const label = make("span", {}, title);
  const asked = input ? make("label", {}, label, input) : label;
  place.replaceChildren(
    make("form", { class: "blend-question", onsubmit, onkeydown }, asked, yes, button(say("cancel"), close)),
  );
  (input ?? yes).focus();
  input?.select();
}
