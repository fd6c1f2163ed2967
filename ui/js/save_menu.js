/** The menu that saves what was heard last as a file: sound in three formats, captions, or both. */

import { request } from "./common.js";
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
const REVOKED_AFTER = 60000; // milliseconds that a download has to begin

export class SaveMenu {
  #isSaving = false;

  /**
   * @param {HTMLSelectElement} select
   * @param {SaveOptions} options
   */
  constructor(select, options) {
    this.select = select;
    this.options = options;
    const { translate } = options;
    const formats = FORMATS.map((format) => new Option(translate(format), format));
    select.replaceChildren(
      new Option(translate("save"), ""),
      ...formats,
      new Option(translate("captioned"), CAPTIONED),
    );
    select.addEventListener("input", () => this.#save());
  }

  async #save() {
    const { select, options } = this;
    const formats = select.value.split("+");
    const { body } = player;
    select.value = "";
    if (!formats[0] || body === null || this.#isSaving) return;
    this.#isSaving = true;
    options.begun();
    try {
      for (const format of formats) await saveSpeech(body, format);
      options.ended();
    } catch (error) {
      options.ended(error);
    } finally {
      this.#isSaving = false;
    }
  }
}

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
