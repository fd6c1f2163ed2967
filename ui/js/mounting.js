/**
 * Mounting: loads an element's script and has it fill the element, which is inert and unseen until then.
 *
 * Meanwhile the element's tab says that it is loading. While the server is away it says so, and the script is loaded
 * once the server is back, or when the reader asks for it.
 */

import { button, createElement, pause, RequestError, request, urlOf } from "./common.js";
import { problems } from "./problems.js";
import { serverConnection } from "./server_connection.js";

/** @typedef {import("./common.js").MountContext<any>} MountContext */
/** @typedef {{ mount: (context: MountContext) => unknown }} Script */

const UNTOLD = 500; // milliseconds of loading that are not told
const LONGEST_UNSEEN = 3000; // milliseconds in which a script may ask the server what to fill its element with
const LONGEST_PAUSE = 10_000; // milliseconds between two tries

/**
 * @param {string} path of the file with the script, relative to the page
 * @param {MountContext} context
 * @param {{ module: string, waitsUntilSeen: boolean }} options the name of the script in that file, and whether it is
 * loaded once the element is in sight
 */
export async function mountScript(path, context, { module, waitsUntilSeen }) {
  const { element } = context;
  element.inert = true;
  if (waitsUntilSeen) await inSight(element);
  const notice = new TabNotice(element);
  const waiting = setTimeout(() => notice.tellLoading(), UNTOLD);
  try {
    const script = (await load(path, notice))[module];
    await Promise.race([script.mount(context), pause(LONGEST_UNSEEN)]);
  } catch (error) {
    notice.tell(problems.broken, () => location.reload()); // what was typed and chosen is kept
    throw error;
  } finally {
    clearTimeout(waiting);
  }
  element.inert = false;
  notice.remove();
}

/**
 * The whole tab is watched: an element not filled yet has no height, and may lie above what is seen of a tab that opens
 * scrolled down.
 * @param {HTMLElement} element
 */
const inSight = (element) =>
  new Promise((seen) => {
    const sight = new IntersectionObserver((entries) => {
      if (!entries.some((each) => each.isIntersecting)) return;
      sight.disconnect();
      seen(undefined);
    });
    sight.observe(tabOf(element) ?? element);
  });

/**
 * Load the scripts of a file, however often that fails. Each try has an address of its own, as browsers remember a
 * module that could not be fetched.
 * @param {string} path
 * @param {TabNotice} notice
 * @returns {Promise<Record<string, Script>>}
 */
async function load(path, notice) {
  if (serverConnection.isAway) notice.tell(problems.away);
  for (let tries = 0; ; tries++) {
    const scripts = await import(urlOf(tries ? `${path}?${tries}` : path).href).catch(() => null);
    if (scripts) return scripts;
    const told = await reason(path);
    const isAsked = new Promise((asked) => notice.tell(told, () => asked(undefined)));
    await Promise.race([isAsked, isDue(tries)]);
  }
}

/**
 * Resolves when to try again by itself: as soon as the server is back, but where that did not help before, ever later.
 * @param {number} tries that failed before this one
 */
async function isDue(tries) {
  if (!serverConnection.isAway) return pause(pauseAfter(tries));
  await serverConnection.whenBack();
  if (tries) await pause(pauseAfter(tries - 1));
}

/** @param {number} tries */
const pauseAfter = (tries) => Math.min(1000 * 2 ** tries, LONGEST_PAUSE);

/** Why a script cannot be loaded. @param {string} path */
async function reason(path) {
  const error = await request(path).catch((/** @type {unknown} */ failure) => failure);
  const isRefused = error instanceof RequestError && error.status >= 400 && error.status < 500;
  return isRefused ? problems.outdated : problems.away;
}

/** What an element's tab says while the element is empty; of several elements of a tab, one is told of. */
class TabNotice {
  #notice = createElement("p", { class: "tts notice not-loaded", role: "status" });
  #tab;

  /** @param {HTMLElement} element */
  constructor(element) {
    this.#tab = tabOf(element);
  }

  /** Tell that it takes a while, unless the tab already has something to look at, or says what is wrong. */
  tellLoading() {
    const isBlank = !this.#tab?.querySelector(".not-loaded, .tts:not([inert], :has([inert]))");
    if (!isBlank) return;
    this.#notice.classList.add("loading");
    this.#show(problems.loading);
  }

  /**
   * Tell why there is nothing yet.
   * @param {string} text
   * @param {() => void} [again] what is done when the reader asks for another try
   */
  tell(text, again) {
    this.#notice.classList.remove("loading");
    const asking = again && button(problems.tryAgain, again);
    this.#show(text, ...(asking ? [asking] : []));
  }

  remove() {
    this.#notice.remove();
    this.#tab?.querySelector(".loading")?.remove();
  }

  /** @param {...(string | Node)} content */
  #show(...content) {
    this.#notice.replaceChildren(...content);
    if (!this.#notice.isConnected) this.#tab?.prepend(this.#notice);
  }
}

/** @param {HTMLElement} element */
const tabOf = (element) => element.closest('[role="tabpanel"]');
