/**
 * The list of tabs: arrow keys, Home and End between them, and the tab that was open before, or that a link names. Each
 * tab keeps how far it was scrolled while others are open; all share the page's one scroll position otherwise.
 *
 * Gradio's tabs open by a click only, and each is a stop of the Tab key.
 */

import { localize, localizeElements } from "./common.js";
import { pageState } from "./page_state.js";

/** @typedef {import("./common.js").MountContext<{ texts: import("./common.js").Texts, names: string[] }>} MountContext */

/** @type {Record<string, (at: number, last: number) => number>} */
const MOVES = {
  ArrowLeft: (at, last) => (at === 0 ? last : at - 1),
  ArrowRight: (at, last) => (at === last ? 0 : at + 1),
  Home: () => 0,
  End: (_, last) => last,
};

/**
 * Which tab a key leads to.
 * @param {string} key
 * @param {number} at the tab that has the focus
 * @param {number} count of tabs
 * @returns {number | null} null if it is another key
 */
export const moveBetween = (key, at, count) => (Object.hasOwn(MOVES, key) ? MOVES[key](at, count - 1) : null);

class TabList {
  #open = "";
  /** How far each tab was scrolled when it was left, in pixels, by its name. @type {Map<string, number>} */
  #scrolled = new Map();

  /** @param {MountContext} context */
  constructor({ element, props }) {
    this.names = props.names;
    localizeElements(element, localize(props.texts).translate);
    document.addEventListener("keydown", (event) => this.#onKey(event));
    new MutationObserver(() => this.#follow()).observe(document.body, {
      subtree: true,
      childList: true,
      attributeFilter: ["aria-selected"],
    });
    const { tab } = pageState.values;
    if (this.names.includes(tab)) openTab(tab);
    this.#follow();
    document.addEventListener("click", (event) => this.#leave(event.target), { capture: true });
  }

  /** Note how far the open tab is scrolled before another takes its place. @param {EventTarget | null} target */
  #leave(target) {
    if (target instanceof Element && target.closest('[role="tab"]')) this.#scrolled.set(this.#open, scrollY);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const at = this.names.findIndex((name) => event.target === tabOf(name));
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const next = moveBetween(event.key, at, this.names.length);
    if (next === null) return;
    event.preventDefault();
    openTab(this.names[next]);
    tabOf(this.names[next])?.focus();
  }

  /** Keep the name of the open tab, which alone is a stop of the Tab key. */
  #follow() {
    for (const name of this.names) {
      const tab = tabOf(name);
      if (!tab) continue;
      const isOpen = tab.getAttribute("aria-selected") === "true";
      tab.tabIndex = isOpen ? 0 : -1;
      if (isOpen) this.#show(name);
    }
  }

  /** @param {string} name of the tab that is open */
  #show(name) {
    if (name === this.#open) return;
    const wasLeft = this.#scrolled.has(this.#open); // not on a visit's first tab, where the browser scrolls
    this.#open = name;
    pageState.patch({ tab: name });
    if (wasLeft) scrollTo({ top: this.#scrolled.get(name) ?? 0, behavior: "instant" });
  }
}

/** @param {string} name */
const tabOf = (name) =>
  /** @type {HTMLElement | null} */ (document.querySelector(`[role="tab"][data-tab-id="${name}"]`));

/** @param {string} name */
export const openTab = (name) => tabOf(name)?.click();

/** @param {MountContext} context */
export const mount = (context) => void new TabList(context);
