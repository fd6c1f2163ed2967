/** What the Blend tab shows instead of the mixer while the server has no Kokoro model: why, and its download. */

import { EMPTY_VIEW } from "./blend_api.js";
import { partFinder, setText } from "./common.js";
import { hasFailed, isRunning } from "./download_list.js";
import { NO_PROBLEM, problems } from "./problems.js";
import { voiceDirectory } from "./voice_directory.js";

/** @typedef {import("./blend_api.js").BlendingView} BlendingView */

const WHOLE = 100;

export class AbsentModel {
  #view = EMPTY_VIEW;

  /**
   * @param {{ element: HTMLElement, translate: import("./common.js").Translate, api: import("./blend_api.js").BlendApi }} context
   */
  constructor({ element, translate, api }) {
    this.translate = translate;
    const part = partFinder(element, "blend");
    this.parts = {
      absent: part("absent", HTMLElement),
      words: part("absent-words", HTMLElement),
      fetch: part("fetch", HTMLButtonElement),
      fetching: part("fetching", HTMLElement),
      problem: part("absent-problem", HTMLElement),
    };
    const { fetch, problem } = this.parts;
    const download = () => voiceDirectory.change("download", this.#view.model_voice);
    fetch.addEventListener("click", api.trying(problem, download));
    voiceDirectory.addEventListener("downloads", () => this.#showDownload());
  }

  /** @param {BlendingView} view */
  show(view) {
    this.#view = view;
    const { kokoro } = view;
    const { absent, words, fetch } = this.parts;
    const isReady = kokoro === "ready";
    absent.hidden = isReady;
    fetch.hidden = kokoro !== "absent";
    setText(words, isReady ? "" : this.translate(`kokoro_${kokoro}`));
    this.#showDownload();
  }

  /** Show how far the model's download is, or why it failed: then it can be tried again. */
  #showDownload() {
    const { fetch, fetching, problem } = this.parts;
    const download = voiceDirectory.findDownload(this.#view.model_voice);
    const share = Math.floor((WHOLE * (download?.received ?? 0)) / (download?.total || 1));
    fetch.disabled = isRunning(download);
    setText(fetch, this.translate(hasFailed(download) ? "fetch_again" : "fetch") + sizeOf(this.#view));
    setText(fetching, isRunning(download) ? this.translate("fetching", { share }) : "");
    problems.show(problem, download ? problems.ofDownload(download) : NO_PROBLEM);
  }
}

/** @param {BlendingView} view */
const sizeOf = ({ model_bytes: bytes }) => (bytes === null ? "" : ` (${Math.round(bytes / 1e6)} MB)`);
