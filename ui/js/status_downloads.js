/** A card of the Status tab: downloads of voices. */

import { createElement } from "./common.js";
import { DownloadList } from "./download_list.js";
import { NO_PROBLEM, problems } from "./problems.js";
import { section } from "./status_parts.js";
import { voiceDirectory } from "./voice_directory.js";

/** @typedef {import("./status_parts.js").Words} Words */

export class Downloads {
  /**
   * @param {Words} words
   * @param {import("./common.js").Texts} texts of the list
   */
  constructor(words, texts) {
    const list = new DownloadList(texts, (what, name) => this.#act(what, name));
    this.none = createElement("p", { class: "quiet" }, words.translate("downloads_none"));
    this.problem = createElement("div", { class: "problem", role: "status" });
    this.element = section(words, "downloads", list.element, this.none, this.problem);
    voiceDirectory.addEventListener("downloads", () => this.#show());
    voiceDirectory.start();
    this.#show();
  }

  #show() {
    this.none.hidden = voiceDirectory.downloads.length > 0;
  }

  /**
   * @param {"download" | "cancel"} what
   * @param {string} name
   */
  async #act(what, name) {
    problems.show(this.problem, NO_PROBLEM);
    try {
      await voiceDirectory.change(what, name);
    } catch (error) {
      problems.show(this.problem, problems.of(error));
    }
  }
}
