/** A card of the Status tab: who is being spoken to now. */

import { createElement, setText } from "./common.js";
import { Figures, section, table, voiceCell } from "./status_parts.js";

/** @typedef {import("./status_parts.js").Listener} Listener */
/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Words} Words */

const LISTENER = ["who", "state", "ahead", "voice", "transport", "since"];
const LOOPBACK = /^(127\.|::1$|unix$)/;

/**
 * Who listens: the name of the address if there is one, and the address.
 * @param {Pick<Listener, "peer" | "name">} listener
 * @param {import("./common.js").Translate} translate
 */
export function whoListens({ peer, name }, translate) {
  if (!peer) return translate("who_server");
  const known = name || (LOOPBACK.test(peer) ? translate("who_here") : "");
  return known ? `${known} (${peer})` : peer;
}

export class Listeners {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.table = table(words, "listeners", LISTENER);
    this.none = createElement("p", { class: "status-none" }, words.translate("listeners_none"));
    this.count = createElement("span", { class: "quiet status-count" });
    this.element = section(words, "listeners", this.count, this.table.region, this.none);
  }

  /** @param {Status} status */
  show({ listeners, server: { load } }) {
    this.none.hidden = listeners.length > 0;
    const { translate } = this.words;
    this.count.hidden = !(listeners.length || load.queue);
    setText(this.count, translate("listeners_count", { count: listeners.length, waiting: load.queue }));
    this.table.region.hidden = !listeners.length;
    this.table.show(listeners.map((one) => this.#cells(one)));
  }

  /** @param {Listener} one */
  #cells(one) {
    const { translate, number } = this.words;
    const state = translate(`state_${one.state}`);
    return [
      whoListens(one, translate),
      createElement("span", { class: `status-is-${one.state.replaceAll("_", "-")}` }, state),
      `${number(one.ahead, 1)} s`,
      voiceCell(one, this.words),
      one.transport,
      `${number(one.seconds, 1)} s`,
    ];
  }
}
