/** A card of the Status tab: the server's addresses, and what to do in Home Assistant. */

import { createElement } from "./common.js";
import { fact, section } from "./status_parts.js";

/** @typedef {import("./status_parts.js").Endpoint} Endpoint */
/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Words} Words */
/** @typedef {import("./copy_buttons.js").CopyButtons} CopyButtons */

const MAX_ADDRESSES = 4;
const LOOPBACK = /^(localhost$|127\.|::1$)/;

/**
 * The endpoint to show first: the host name of this page if it was loaded from the server's own port, as others can use
 * it, too; unless that is loopback, or Wyoming listens on loopback only.
 * @param {Endpoint[]} endpoints
 * @param {Endpoint[]} http
 * @param {{ hostname: string, port: string }} location of the page
 * @returns {Endpoint | undefined} undefined if there is none
 */
export function bestEndpoint(endpoints, http, location) {
  const here = location.hostname.replace(/^\[|\]$/g, "");
  const isDirect = http.some(({ port }) => String(port) === location.port);
  const [first] = endpoints;
  if (!first || !isDirect || LOOPBACK.test(here) || LOOPBACK.test(first.host)) return first;
  const { port, url } = first;
  const known = endpoints.find(({ host }) => host === here);
  return known ?? { host: here, port, url: `${url.split("//")[0]}//${location.hostname}:${port}` };
}

export class Connect {
  #shown = "";

  /**
   * @param {Words} words
   * @param {CopyButtons} copying
   */
  constructor(words, copying) {
    this.words = words;
    this.copying = copying;
    this.content = createElement("div", { class: "status-connect" });
    this.element = section(words, "connect", this.content);
  }

  /** @param {Status} status */
  show({ addresses }) {
    const now = JSON.stringify(addresses);
    if (now === this.#shown) return;
    this.#shown = now;
    const { translate } = this.words;
    const { wyoming, http, uri, announced_as: name } = addresses;
    const best = bestEndpoint(wyoming, http, location);
    const all = best ? [...new Set([best, ...wyoming])].slice(0, MAX_ADDRESSES) : [];
    const api = bestEndpoint(http, http, location);
    const announced = name ? this.copying.code(name, translate("network_name")) : translate("not_announced");
    const facts = [
      this.#addresses("wyoming", all, uri || translate("no_wyoming")),
      this.#addresses("http", api ? [api] : [], translate("no_http")),
      fact(translate("network_name"), announced),
    ];
    const list = createElement("dl", { class: "status-addresses" }, ...facts);
    this.content.replaceChildren(list, ...(best ? [this.#steps(best, name)] : []));
  }

  /**
   * @param {string} name
   * @param {Endpoint[]} endpoints
   * @param {string} otherwise
   */
  #addresses(name, endpoints, otherwise) {
    const what = this.words.translate(name);
    const shown = endpoints.map(({ url }) => this.copying.code(url, what));
    return fact(what, ...(shown.length ? shown : [otherwise]));
  }

  /**
   * What to do in Home Assistant.
   * @param {Endpoint} endpoint
   * @param {string | null} name in the network
   */
  #steps({ host, port }, name) {
    const { translate } = this.words;
    const found = name ? [translate("step_found", { name })] : [];
    const details = [
      translate("step_host", { host }),
      translate("step_port", { port }),
      translate("step_voice"),
    ];
    const steps = [translate("step_open"), ...found, translate("step_add"), ...details];
    const list = createElement("ol", {}, ...steps.map((step) => createElement("li", {}, step)));
    const copy = this.copying.button(list, translate("steps"));
    const heading = createElement(
      "div",
      { class: "status-row" },
      createElement("h3", {}, translate("home_assistant")),
      copy,
    );
    return createElement("div", { class: "status-steps" }, heading, list);
  }
}
