/** A card of the Status tab: everything for a bug report in one copy, without secrets. */

import { button, createElement, request } from "./common.js";
import { copyText } from "./copy_buttons.js";
import { section } from "./status_parts.js";

/** @typedef {import("./status_parts.js").Words} Words */

export class BugReport {
  /**
   * @param {Words} words
   * @param {string} path
   */
  constructor(words, path) {
    const { translate } = words;
    this.translate = translate;
    this.path = path;
    this.text = createElement("pre", { tabindex: 0, class: "status-report" });
    this.shown = createElement(
      "details",
      { hidden: true },
      createElement("summary", {}, translate("report_shown")),
      this.text,
    );
    this.message = createElement("p", { class: "quiet", role: "status" });
    const copying = button(translate("report_copy"), () => this.#copy(), { class: "status-copy" });
    const hint = createElement("p", { class: "quiet" }, translate("report_hint"));
    this.element = section(words, "report", hint, copying, this.message, this.shown);
  }

  async #copy() {
    this.message.textContent = "";
    try {
      this.text.textContent = await (await request(this.path)).text();
    } catch {
      this.message.textContent = this.translate("no_answer");
      return;
    }
    this.shown.hidden = false;
    this.shown.open = true; // what is not displayed cannot be selected
    this.message.textContent = this.translate((await copyText(this.text)) ? "copied" : "selected");
  }
}
