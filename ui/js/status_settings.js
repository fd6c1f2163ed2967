/** A card of the Status tab: settings in force. */

import { createElement } from "./common.js";
import { section, table } from "./status_parts.js";

/** @typedef {import("./status_parts.js").Setting} Setting */
/** @typedef {import("./status_parts.js").Words} Words */

const SETTING = ["setting", "value", "source"];

export class Settings {
  /** @type {Setting[]} */
  #known = [];

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    const { translate } = words;
    this.table = table(words, "settings", SETTING);
    this.none = createElement("p", { class: "status-none" }, translate("settings_none"));
    this.all = createElement("input", { type: "checkbox", id: "status-all", onchange: () => this.#draw() });
    const label = createElement("span", {}, translate("all_settings"));
    const choice = createElement("label", { class: "check" }, this.all, label);
    this.element = section(words, "settings", choice, this.table.region, this.none);
  }

  /** @param {Setting[]} settings */
  show(settings) {
    this.#known = settings;
    this.#draw();
  }

  #draw() {
    const chosen = this.#known.filter((setting) => this.all.checked || !setting.is_default);
    this.table.show(chosen.map((setting) => this.#cells(setting)));
    this.none.hidden = chosen.length > 0;
  }

  /** @param {Setting} setting */
  #cells({ name, meaning, value, unit, source, is_secret }) {
    const shown = is_secret
      ? createElement("em", {}, this.words.translate("secret"))
      : `${value} ${unit}`.trim();
    const [kind, ...rest] = source.split(" ");
    return [
      createElement("code", { title: meaning }, name),
      shown,
      [this.words.translate(`source_${kind}`), ...rest].join(" "),
    ];
  }
}
