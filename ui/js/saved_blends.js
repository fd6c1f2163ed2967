/** List of saved blends and presets: a card for each, with its actions. */

import { PATH } from "./blend_api.js";
import { button, createElement, partFinder, setText, urlOf } from "./common.js";
import { CopyButtons } from "./copy_buttons.js";
import { hasFailed, isRunning } from "./download_list.js";
import { blendNames, unusedName } from "./mix.js";
import { problems } from "./problems.js";
import { voiceDirectory } from "./voice_directory.js";
import { sizeText } from "./voice_facts.js";
import { recipeParts, voiceNames } from "./voice_names.js";

/** @typedef {import("./blend_api.js").SavedVoice} SavedVoice */
/** @typedef {import("./blend_api.js").BlendingView} BlendingView */

/**
 * What the list needs of its tab.
 * @typedef {object} TabContext
 * @property {HTMLElement} element
 * @property {import("./common.js").Translate} translate
 * @property {import("./blend_api.js").BlendApi} api
 * @property {import("./common.js").FormatNumber} number
 * @property {() => BlendingView} view
 * @property {(view: BlendingView) => void} onChanged
 * @property {(old: string, renamed: string) => void} onRenamed after `onChanged`
 * @property {(kept: SavedVoice) => void} onEdit
 * @property {(name: string) => Promise<void>} hear
 */

/** @typedef {{ title: string, value?: string, confirm?: string }} Question */

/** @typedef {"fetch" | "hear" | "edit" | "use" | "duplicate" | "rename" | "export" | "remove"} Action */

/**
 * What can be done with a saved voice now. What cannot is not offered; its card or the page tells why.
 * @param {Pick<SavedVoice, "kind" | "can_speak" | "fetch">} kept
 * @param {boolean} isReady whether voices can be mixed here
 * @returns {Action[]} in the order of the buttons
 */
export function offeredActions({ kind, can_speak, fetch }, isReady) {
  const [isOwn, isPreset, isImported] = [kind === "own", kind === "preset", kind === "imported"];
  /** @type {[Action, boolean][]} */
  const actions = [
    ["fetch", isReady && !can_speak && fetch !== ""],
    ["hear", can_speak],
    ["edit", isOwn && isReady],
    ["use", isPreset && can_speak],
    ["duplicate", isOwn || (isPreset && can_speak)],
    ["rename", isOwn],
    ["export", isImported || can_speak],
    ["remove", !isPreset],
  ];
  return actions.filter(([, isOffered]) => isOffered).map(([action]) => action);
}

export class SavedBlends {
  /** @param {TabContext} context */
  constructor(context) {
    this.context = context;
    this.copying = new CopyButtons({ ...context, locale: "" });
    context.element.append(this.copying.announcer);
    const part = partFinder(context.element, "blend");
    this.list = part("list", HTMLElement);
    this.title = part("kept-title", HTMLElement);
    this.nothing = part("nothing-kept", HTMLElement);
    voiceDirectory.addEventListener("downloads", () => this.#showDownloads());
  }

  /** Whether a question is open, which redrawing the list would remove. */
  get hasOpenQuestion() {
    return this.list.querySelector(".blend-question") !== null;
  }

  draw() {
    const { kept } = this.context.view();
    this.list.replaceChildren(...kept.map((each) => this.#card(each)));
    this.nothing.hidden = kept.length > 0;
    this.#showDownloads();
  }

  /** A preset is named in the reader's language, an imported voice as in the other tabs. @param {SavedVoice} kept */
  #title({ kind, draft, title }) {
    if (kind === "imported") return voiceNames.of(draft.name);
    return (kind === "preset" && voiceNames.preset(draft.name)) || title || draft.name;
  }

  /** A preset is described in the reader's language. @param {SavedVoice} kept */
  #describe({ kind, draft, title }) {
    const name = `preset.${draft.name}`;
    const description = this.context.translate(name);
    if (kind === "preset" && description !== name) return description;
    return draft.description === title ? "" : draft.description;
  }

  /** @param {SavedVoice} kept */
  #card(kept) {
    const { translate, view } = this.context;
    const { name, recipe } = kept.draft;
    const description = this.#describe(kept);
    const facts = [translate(`kind_${kept.kind}`), kept.language && voiceNames.languageName(kept.language)];
    const parts = kept.kind === "imported" ? null : recipeParts(recipe);
    const isMute = !kept.can_speak;
    const isReady = view().kokoro === "ready"; // else all of them are mute, and it is told above
    const problem = createElement("p", { class: "problem", role: "alert" });
    const question = createElement("div", { class: "blend-asked" });
    const actions = this.#actions(kept, problem, question);
    return createElement(
      "li",
      { class: "blend-card", "data-name": name },
      createElement(
        "div",
        { class: "blend-head" },
        createElement("b", { title: name }, this.#title(kept)),
        createElement("span", {}, facts.filter(Boolean).join(" · ")),
      ),
      description ? createElement("p", {}, description) : null,
      parts ? this.#recipe(voiceNames.mix(parts), recipe, this.#title(kept)) : null,
      isMute && isReady ? createElement("p", { class: "notice" }, this.#whyMute(kept)) : null,
      actions.length ? createElement("div", { class: "actions" }, ...actions) : null,
      question,
      problem,
    );
  }

  /**
   * A recipe in words, and as it is written, to be copied.
   * @param {string} said
   * @param {string} recipe
   * @param {string} what the name of the blend
   */
  #recipe(said, recipe, what) {
    const breakable = recipe
      .split("+")
      .flatMap((part, i) => (i ? ["+", createElement("wbr"), part] : [part]));
    const written = createElement("code", { class: "voice-id" }, ...breakable);
    return createElement(
      "div",
      { class: "blend-recipe" },
      createElement("span", {}, said),
      written,
      this.copying.button(written, what),
    );
  }

  /** @param {SavedVoice} kept */
  #whyMute({ missing }) {
    const names = missing.map((each) => voiceNames.of(each)).join(", ");
    return names ? this.context.translate("lacks_voices", { names }) : this.context.translate("cannot_speak");
  }

  /**
   * @param {SavedVoice} kept
   * @param {Element} problem shows what went wrong
   * @param {Element} place of questions
   */
  #actions(kept, problem, place) {
    const { translate, view, hear, api, onEdit } = this.context;
    const { name } = kept.draft;
    const title = this.#title(kept);
    /** @param {"rename" | "duplicate" | "remove"} what @param {Question} question */
    const changing = (what, question) => () =>
      askUser(place, question, translate, (answer) => this.#change(what, name, answer, problem));
    const newName = translate("new_name");
    const other = () => ({ title: newName, value: unusedName(name, takenNames(view())) });
    const edit = () => onEdit(kept);
    /** @type {Record<Action, () => Element>} */
    const made = {
      fetch: () => this.#fetchButton(kept, problem),
      hear: () =>
        this.#button(
          "hear",
          title,
          api.trying(problem, () => hear(name)),
        ),
      edit: () => this.#button("edit", title, edit),
      use: () => this.#button("use", title, edit),
      duplicate: () => this.#button("duplicate", title, () => changing("duplicate", other())()),
      rename: () => this.#button("rename", title, changing("rename", { title: newName, value: title })),
      export: () => this.#export(name, title),
      remove: () => this.#button("remove", title, changing("remove", this.#sure(title))),
    };
    return offeredActions(kept, view().kokoro === "ready").map((action) => made[action]());
  }

  /**
   * The button that downloads what a blend lacks; all that lack something have the same one.
   * @param {SavedVoice} kept
   * @param {Element} problem
   */
  #fetchButton(kept, problem) {
    const { fetch, missing } = kept;
    const start = this.context.api.trying(problem, () => voiceDirectory.change("download", fetch));
    const names = missing.map((each) => voiceNames.of(each)).join(", ");
    return button("", start, { "data-fetch": fetch, "data-names": names, "data-for": this.#title(kept) });
  }

  /**
   * @param {HTMLButtonElement} fetching
   * @param {import("./voice_directory.js").Download | undefined} download
   */
  #nameFetching(fetching, download) {
    const { translate, number } = this.context;
    const { fetch = "", names = "", for: name = "" } = fetching.dataset;
    const size = voiceDirectory.find(fetch)?.size;
    const action =
      translate(hasFailed(download) ? "fetch_voices_again" : "fetch_voices", { names }) +
      (size ? ` (${sizeText(size, number)})` : "");
    setText(fetching, action);
    fetching.setAttribute("aria-label", translate("of_card", { action, name }));
  }

  /** While one download runs, no second one brings the same files; a failure is told where it was asked for. */
  #showDownloads() {
    for (const fetching of this.list.querySelectorAll("button")) {
      const { fetch } = fetching.dataset;
      if (!fetch) continue;
      const download = voiceDirectory.downloads.find(({ voice }) => voice === fetch);
      const problem = fetching.closest(".blend-card")?.querySelector(".problem");
      fetching.disabled = isRunning(download);
      this.#nameFetching(fetching, download);
      if (problem && download) problems.show(problem, problems.ofDownload(download));
    }
  }

  /** @param {string} name */
  #sure(name) {
    return {
      title: this.context.translate("remove_sure", { name }),
      confirm: this.context.translate("remove"),
    };
  }

  /**
   * @param {string} action
   * @param {string} name
   */
  #label(action, name) {
    return this.context.translate("of_card", { action: this.context.translate(action), name });
  }

  /**
   * @param {string} action
   * @param {string} name
   * @param {() => unknown} onclick
   */
  #button(action, name, onclick) {
    return button(this.context.translate(action), () => onclick(), {
      "aria-label": this.#label(action, name),
    });
  }

  /**
   * @param {string} name
   * @param {string} title
   */
  #export(name, title) {
    const { href } = urlOf(`${PATH}/export?name=${encodeURIComponent(name)}`);
    const attributes = { href, download: `${name}.npy`, "aria-label": this.#label("export", title) };
    return createElement("a", attributes, this.context.translate("export"));
  }

  /**
   * @param {"rename" | "duplicate" | "remove"} what
   * @param {string} name
   * @param {string} renamed
   * @param {Element} problem
   */
  #change(what, name, renamed, problem) {
    const { api, onChanged, onRenamed } = this.context;
    const change = async () => {
      const { name: changed, title } = blendNames(renamed);
      onChanged(await api.change(what, what === "remove" ? { name } : { name, new: changed, title }));
      if (what === "rename") onRenamed(name, changed);
      this.#focus(changed);
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
export const takenNames = ({ voices, kept }) => [
  ...voices.map(({ name }) => name),
  ...kept.map(({ draft }) => draft.name),
];

/**
 * Confirmation form: ask whether to proceed and, if a value is proposed, with which one.
 * @param {Element} place
 * @param {Question} question
 * @param {import("./common.js").Translate} translate
 * @param {(answer: string) => unknown} onYes
 */
function askUser(place, { title, value, confirm }, translate, onYes) {
  const opener = /** @type {HTMLElement | null} */ (document.activeElement);
  const close = () => {
    place.replaceChildren();
    opener?.focus();
  };
  const text = { type: "text", value, maxlength: 64, autocapitalize: "off" };
  const input = value === undefined ? null : createElement("input", text);
  const yes = createElement(
    "button",
    { type: "submit", class: input ? "primary" : "danger" },
    confirm ?? translate("ok"),
  );
  const onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    onYes(input?.value.trim() ?? "");
  };
  const onkeydown = (/** @type {Event} */ event) =>
    event instanceof KeyboardEvent && event.key === "Escape" && close();
  const label = createElement("span", {}, title);
  const asked = input ? createElement("label", {}, label, input) : label;
  place.replaceChildren(
    createElement(
      "form",
      { class: "blend-question", onsubmit, onkeydown },
      asked,
      yes,
      button(translate("cancel"), close),
    ),
  );
  (input ?? yes).focus();
  input?.select();
}
