/**
 * Error messages in the reader's language: what a failed request or download means and what to do, by its code or
 * cause. The server's own words follow as details, in English where they have no ID.
 */

import { createElement, errorMessage, fill, localize, RequestError } from "./common.js";

/** @typedef {import("./common.js").Texts} Texts */
/** @typedef {import("./voice_directory.js").Download} Download */

/** @typedef {{ text: string, details: Said }} Problem `details` are technical, or "" */

/**
 * What the server says: a text, or one with an ID and arguments, which is said in the reader's language.
 * @typedef {string | number | null | { text: string, id: string, arguments: { [name: string]: Said } }} Said
 */

const TEXTS = "problem-texts"; // the ID of their element, which `ui/application.py` brings
/** @type {Problem} */
export const NO_PROBLEM = { text: "", details: "" };

export class Problems {
  /**
   * @param {Texts} texts of the section `problem`
   * @param {string} [tag] of the language
   */
  constructor(texts, tag) {
    const { translate, locale } = localize(texts, tag);
    this.translate = translate;
    this.language = locale.split("-")[0];
    this.isEnglish = this.language === "en";
    /** Translations by ID; until they are loaded, the server's own English stands for them. @type {Record<string, string>} */
    this.messages = {};
  }

  /** Load the translations of the server's messages, which are in English. */
  async loadMessages() {
    if (this.isEnglish) return;
    const module = await import(`./messages_${this.language}.js`).catch(() => null);
    if (module) this.messages = module.default;
  }

  /**
   * A text of the server in the reader's language.
   * @param {Said} said
   * @returns {string}
   */
  say(said) {
    if (said === null || typeof said !== "object") return String(said ?? "");
    const template = this.messages[said.id];
    if (template === undefined) return said.text;
    const values = Object.entries(said.arguments).map(([name, value]) => [name, this.say(value)]);
    return fill(template, Object.fromEntries(values));
  }

  /** @param {Said} said */
  #canSay(said) {
    return said !== null && typeof said === "object" && said.id in this.messages;
  }

  /**
   * What went wrong with a request, or in a script. In English the server's words tell it best.
   * @param {unknown} error
   * @returns {Problem}
   */
  of(error) {
    if (!(error instanceof RequestError)) return { text: errorMessage(error), details: "" };
    const { message, status, code, said } = error;
    if (!status && !code) return { text: this.translate("unreachable"), details: "" };
    if (said.length && said.every((each) => this.#canSay(each))) {
      return { text: said.map((each) => this.say(each)).join(" "), details: "" };
    }
    const known = code ? this.#known(`code_${code}`) : "";
    if (message && (this.isEnglish || !known)) return { text: message, details: "" };
    return { text: known || this.translate("failed", { status }), details: message };
  }

  /** What is told while the server does not answer. */
  get away() {
    return this.translate("away");
  }

  /** What is told of a part of the page that takes a while to load. */
  get loading() {
    return this.translate("loading");
  }

  /** What is told of a part of the page whose script failed. */
  get broken() {
    return this.translate("broken");
  }

  /** The label of the button that has what failed done once more. */
  get tryAgain() {
    return this.translate("try_again");
  }

  /** What is told where a part of the page is no longer on the server. */
  get outdated() {
    return this.translate("outdated");
  }

  /**
   * Why a download failed and what to do, or why it is tried again.
   * @param {Download} download
   * @returns {Problem}
   */
  ofDownload({ state, cause, error }) {
    const known = cause ? this.#known(`download_${cause}`) : "";
    const isFailed = state === "failed";
    const untold = isFailed ? this.say(error) || this.translate("unreachable") : "";
    if (!known) return { text: untold, details: "" };
    const next = this.translate(isFailed ? `download_${cause}_do` : "download_again");
    return { text: `${known} ${next}`, details: error };
  }

  /**
   * Show a problem in an element, which is empty without one. What is the same as before is left alone: its details
   * may be open.
   * @param {Element} element
   * @param {Problem} problem
   */
  show(element, { text, details }) {
    const shown = details ? [text, this.#details(details)] : [text];
    const before = element.textContent;
    const after = shown.map((each) => (typeof each === "string" ? each : each.textContent)).join("");
    if (before !== after) element.replaceChildren(...shown);
  }

  /** @param {Said} details */
  #details(details) {
    const language = this.#canSay(details) ? {} : { lang: "en" };
    return createElement(
      "details",
      { class: "problem-details" },
      createElement("summary", {}, this.translate("details")),
      createElement("span", { ...language, dir: "auto" }, this.say(details)),
    );
  }

  /** @param {string} name */
  #known(name) {
    const text = this.translate(name);
    return text === name ? "" : text;
  }
}

/** Without a page, as under Node, there are no texts. */
function problemsOfPage() {
  if (typeof document === "undefined") return new Problems({ en: {} }, "en");
  return new Problems(JSON.parse(document.getElementById(TEXTS)?.textContent ?? '{ "en": {} }'));
}

export const problems = problemsOfPage();
problems.loadMessages();
