/** Buttons that copy a text, also where there is no clipboard API. */

import { button, createElement } from "./common.js";

/** @typedef {import("./status_parts.js").Words} Words */

const COPIED_MILLISECONDS = 2000; // how long a button says so

/**
 * Copy an element's text. On plain http in a home there is no clipboard API; an old command may still copy what is
 * selected, and where that is gone too the text stays selected.
 * @param {HTMLElement} source
 */
export async function copyText(source) {
  try {
    // biome-ignore lint/performance/useDomNodeTextContent: the lines of a list stay lines
    await navigator.clipboard.writeText(source.innerText);
    return true;
  } catch {
    getSelection()?.selectAllChildren(source);
    return document.execCommand("copy");
  }
}

/** Makes buttons that copy text and announce it to screen readers. */
export class CopyButtons {
  /** @param {Words} words */
  constructor({ translate }) {
    this.translate = translate;
    this.announcer = createElement("span", { class: "unseen", role: "status" });
  }

  /**
   * @param {HTMLElement} source
   * @param {string} what
   */
  button(source, what) {
    const label = this.translate("copy_what", { what });
    const made = button(this.translate("copy"), () => this.#copy(source, made, label), {
      class: "status-copy",
      "aria-label": label,
    });
    return made;
  }

  /**
   * @param {HTMLElement} source
   * @param {HTMLElement} pressed
   * @param {string} label
   */
  async #copy(source, pressed, label) {
    const message = this.translate((await copyText(source)) ? "copied" : "selected");
    /** @type {(text: string, label: string, announced: string) => void} */
    const show = (text, label, announced) => {
      pressed.textContent = text;
      pressed.setAttribute("aria-label", label);
      this.announcer.textContent = announced;
    };
    show(message, message, message);
    setTimeout(() => show(this.translate("copy"), label, ""), COPIED_MILLISECONDS);
  }

  /**
   * A text with a button that copies it.
   * @param {string} text
   * @param {string} what
   */
  code(text, what) {
    const code = createElement("code", {}, text);
    return createElement("span", { class: "status-address" }, code, this.button(code, what));
  }
}
