/**
 * Mounting: loads an element's script and has it fill the element, which is inert and unseen until then.
 *
 * While the server is away the tab says so, and the script is loaded once the server is back.
 */

import { createElement, pause, RequestError, request, setText, urlOf } from "./common.js";
import { problems } from "./problems.js";
import { serverConnection } from "./server_connection.js";

/** @typedef {import("./common.js").MountContext<any>} MountContext */
/** @typedef {{ mount: (context: MountContext) => unknown }} Script */

const LONGEST_UNSEEN = 3000; // milliseconds in which a script may ask the server what to fill its element with
const LONGEST_PAUSE = 10_000; // milliseconds between two tries

/**
 * @param {string} path of the script, relative to the page
 * @param {MountContext} context
 * @param {{ waitsUntilSeen: boolean }} options whether the script is loaded once the element is in sight
 */
export async function mountScript(path, context, { waitsUntilSeen }) {
  const { element } = context;
  element.inert = true;
  if (waitsUntilSeen) await inSight(element);
  const script = await load(path, element);
  await Promise.race([script.mount(context), pause(LONGEST_UNSEEN)]);
  element.inert = false;
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
    sight.observe(element.closest('[role="tabpanel"]') ?? element);
  });

/**
 * Load a script, however often that fails. Each try has an address of its own, as browsers remember a module that
 * could not be fetched.
 * @param {string} path
 * @param {HTMLElement} element
 * @returns {Promise<Script>}
 */
async function load(path, element) {
  if (serverConnection.isAway) tell(element, problems.away);
  for (let tries = 0; ; tries++) {
    const script = await import(urlOf(tries ? `${path}?${tries}` : path).href).catch(() => null);
    if (script) {
      tell(element, "");
      return script;
    }
    tell(element, await reason(path));
    if (serverConnection.isAway) await serverConnection.whenBack();
    else await pause(Math.min(1000 * 2 ** tries, LONGEST_PAUSE));
  }
}

/** Why a script cannot be loaded. @param {string} path */
async function reason(path) {
  const error = await request(path).catch((/** @type {unknown} */ failure) => failure);
  const isRefused = error instanceof RequestError && error.status >= 400 && error.status < 500;
  return isRefused ? problems.outdated : problems.away;
}

/**
 * Tell in an element's tab why it is empty; several elements of a tab tell it once.
 * @param {HTMLElement} element
 * @param {string} text "" to take it back
 */
function tell(element, text) {
  const tab = element.closest('[role="tabpanel"]');
  if (!tab) return;
  const told = tab.querySelector(".not-loaded");
  if (!text) return told?.remove();
  const notice = told ?? createElement("p", { class: "tts notice not-loaded", role: "status" });
  if (!told) tab.prepend(notice);
  setText(notice, text);
}
