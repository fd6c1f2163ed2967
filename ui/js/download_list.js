/** The downloads of voices with their progress, in the tabs Voices and Status. */

import { button, createElement, localize, setText } from "./common.js";
import { NO_PROBLEM, problems } from "./problems.js";
import { voiceDirectory } from "./voice_directory.js";
import { sizeText } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./voice_directory.js").Download} Download */

/** Whether a download failed, so that it can be tried again. @param {Download | undefined} download */
export const hasFailed = (download) => download?.state === "failed";

/** @param {Download | undefined} download */
export const isRunning = (download) => download !== undefined && !hasFailed(download);

/**
 * Tell at its voice why a download failed, or is tried again.
 * @param {Element} place
 * @param {Download | undefined} download
 */
export function showProblemAt(place, download) {
  const shown = place.querySelector(".download-problem");
  const problem = download ? problems.ofDownload(download) : NO_PROBLEM;
  if (!problem.text) return shown?.remove();
  const told = shown ?? createElement("div", { class: "download-problem problem", role: "status" });
  if (!shown) place.append(told);
  problems.show(told, problem);
}

export class DownloadList {
  /**
   * @param {import("./common.js").Texts} texts
   * @param {(what: "download" | "cancel", name: string) => unknown} act
   */
  constructor(texts, act) {
    const { translate, number } = localize(texts);
    this.translate = translate;
    this.number = number;
    this.act = act;
    this.element = createElement("ul", { class: "downloads", "aria-label": translate("title") });
    voiceDirectory.addEventListener("downloads", () => this.#show());
    this.#show();
  }

  #show() {
    const shown = /** @type {HTMLElement[]} */ ([...this.element.children]);
    const known = new Map(shown.map((item) => [item.dataset.voice, item]));
    const items = voiceDirectory.downloads.map((each) => this.#update(each, known.get(each.voice)));
    this.element.replaceChildren(...items);
  }

  /**
   * Update the item of a download if there is one, so that the focus stays on its button.
   * @param {Download} download
   * @param {HTMLElement | undefined} shown
   */
  #update(download, shown) {
    const isSame = shown?.dataset.failed === String(download.state === "failed");
    const item = shown && isSame ? shown : this.#make(download);
    const bar = item.querySelector("progress");
    if (bar && download.total) [bar.max, bar.value] = [download.total, download.received];
    const how = item.querySelector(".quiet");
    if (how) setText(how, download.state === "failed" ? "" : this.#progressOf(download));
    const problem = item.querySelector(".problem");
    if (problem) problems.show(problem, problems.ofDownload(download));
    return item;
  }

  /** @param {Download} download */
  #make({ voice, state }) {
    const isFailed = state === "failed";
    const bar = isFailed
      ? null
      : createElement("progress", {
          "aria-label": this.translate("progress", { name: voiceNames.full(voice) }),
        });
    const again = isFailed ? this.#button("again", voice, "download") : null;
    const stop = this.#button(isFailed ? "dismiss" : "cancel", voice, "cancel");
    const facts = [
      createElement("strong", { title: voice }, voiceNames.full(voice)),
      bar,
      createElement("span", { class: "quiet" }),
      createElement("div", { class: "problem" }),
    ];
    return createElement(
      "li",
      { "data-voice": voice, "data-failed": String(isFailed) },
      createElement("div", { class: "voices-facts" }, ...facts),
      createElement("div", { class: "voices-actions" }, again, stop),
    );
  }

  /**
   * @param {string} name
   * @param {string} voice
   * @param {"download" | "cancel"} what
   */
  #button(name, voice, what) {
    const label = this.translate(`${name}_what`, { name: voiceNames.full(voice) });
    return button(this.translate(name), () => this.act(what, voice), { "aria-label": label });
  }

  /** @param {Download} download */
  #progressOf({ state, received, total, bytes_per_second: speed }) {
    if (state === "waiting") return this.translate("waiting");
    /** @param {number} bytes */
    const size = (bytes) => sizeText(bytes, this.number);
    const share = total ? `${size(received)} / ${size(total)}` : size(received);
    return `${share} · ${this.translate("per_second", { size: size(speed) })}`;
  }
}
