/**
 * Saves what was heard last as a file: sound in three formats, captions, or both. A button saves as the last time, and
 * the menu beside it as otherwise.
 */

import { find, request, setText } from "./common.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { fileStem } from "./speech_request.js";

/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */

/**
 * @typedef {object} SaveOptions
 * @property {import("./common.js").Translate} translate
 * @property {() => void} begun the file is being made
 * @property {(error?: unknown) => void} ended it was given to the browser, or why not
 */

const FORMATS = ["wav", "mp3", "opus", "srt"];
const CAPTIONED = "mp3+srt"; // one choice, two files
const KINDS = [...FORMATS, CAPTIONED];
const REVOKED_AFTER = 60000; // milliseconds that a download has to begin

export class SaveMenu {
  #isSaving = false;

  /**
   * @param {HTMLElement} element
   * @param {SaveOptions} options
   */
  constructor(element, options) {
    this.button = find(element, "button", HTMLButtonElement);
    this.select = find(element, "select", HTMLSelectElement);
    this.options = options;
    const { button, select } = this;
    this.#fill();
    this.#show();
    button.addEventListener("click", () => this.#save(kindOf(pageState.values.savedAs)));
    select.addEventListener("input", () => this.#choose());
    select.addEventListener("keydown", (event) => this.#onKey(event));
    pageState.addEventListener("change", () => this.#show());
  }

  #fill() {
    const { translate } = this.options;
    const kinds = KINDS.map((kind) => new Option(translate(kind === CAPTIONED ? "captioned" : kind), kind));
    const none = new Option("", "");
    none.hidden = true;
    this.select.replaceChildren(none, ...kinds);
    this.select.value = "";
  }

  #show() {
    const kind = shortKind(kindOf(pageState.values.savedAs));
    setText(this.button, this.options.translate("save_kind", { kind }));
  }

  #choose() {
    const { value } = this.select;
    this.select.value = "";
    if (!value) return;
    pageState.patch({ savedAs: value });
    this.#save(value);
  }

  /** Arrow keys would choose from the closed menu, and so save at once. @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.altKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    event.preventDefault();
    this.select.showPicker?.();
  }

  /** @param {string} kind */
  async #save(kind) {
    const { options } = this;
    const { body } = player;
    if (body === null || this.#isSaving) return;
    this.#isSaving = true;
    options.begun();
    try {
      for (const format of kind.split("+")) await saveSpeech(body, format);
      options.ended();
    } catch (error) {
      options.ended(error);
    } finally {
      this.#isSaving = false;
    }
  }
}

/** What was kept, if it is one of the kinds. @param {string} kept */
const kindOf = (kept) => (KINDS.includes(kept) ? kept : "mp3");

/** For a button, as `MP3 + SRT`. @param {string} kind */
const shortKind = (kind) =>
  kind
    .split("+")
    .map((format) => (format === "opus" ? "Opus" : format.toUpperCase()))
    .join(" + ");

/**
 * @param {SpeechRequest} body
 * @param {string} format
 */
async function saveSpeech(body, format) {
  const answer = await request("v1/audio/speech", {
    json: { ...body, response_format: format, stream: false },
  });
  saveAs(await answer.blob(), `${fileStem(body)}.${format}`);
}

/**
 * @param {Blob} content
 * @param {string} name
 */
function saveAs(content, name) {
  const href = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), REVOKED_AFTER);
}
