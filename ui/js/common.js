/**
 * Shared by the scripts of all tabs: elements, localization, requests and debouncing.
 *
 * Importing it does not touch the page, so that it also runs under Node.
 */

import { serverConnection } from "./server_connection.js";

/** @typedef {string | number | boolean | null | undefined | ((event: Event) => unknown)} Attribute */
/** @typedef {string | Node | null} Child */
/** @typedef {Record<string, string | number>} Values */
/** @typedef {Record<string, Record<string, string>>} Texts By language, then by name. */

/**
 * What a script's `mount` gets from its `gr.HTML` component.
 * @template [Props={ texts: Texts }]
 * @typedef {{ element: HTMLElement, props: Props }} MountContext
 */

// ---- Elements

/**
 * Create an element. A function is added as listener of the event named after "on"; `true` gives an attribute without
 * value; `false`, `null` and `undefined` are left out, as are children that are `null`.
 *
 * Children are nodes or text, never markup: strings from the server cannot become elements.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, Attribute>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function createElement(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/**
 * Create a button.
 * @param {string} text
 * @param {(event: Event) => unknown} onclick
 * @param {Record<string, Attribute>} [attributes]
 */
export function button(text, onclick, attributes = {}) {
  return createElement("button", { type: "button", onclick, ...attributes }, text);
}

/**
 * The element at a selector.
 * @template {Element} Found
 * @param {ParentNode} root
 * @param {string} selector
 * @param {new () => Found} type
 * @returns {Found}
 */
export function find(root, selector, type) {
  const found = root.querySelector(selector);
  if (!(found instanceof type)) throw new Error(`There is no ${type.name} at ${selector}.`);
  return found;
}

/**
 * Finds the parts of a tab or section, whose IDs are a prefix, a hyphen and the part's name.
 * @param {ParentNode} root
 * @param {string} prefix
 * @returns {<Found extends Element>(name: string, type: new () => Found) => Found}
 */
export const partFinder = (root, prefix) => (name, type) => find(root, `#${prefix}-${name}`, type);

/**
 * Set an element's text. Without a change it is not touched, so that a selection in it stays.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Fill texts into markup: `data-text` names an element's text, `data-label` its label for screen readers, and
 * `data-placeholder` a field's placeholder.
 * @param {Element} root
 * @param {Translate} translate
 */
export function localizeElements(root, translate) {
  for (const each of root.querySelectorAll("[data-text]"))
    each.textContent = translate(each.getAttribute("data-text") ?? "");
  for (const each of root.querySelectorAll("[data-label]")) {
    each.setAttribute("aria-label", translate(each.getAttribute("data-label") ?? ""));
  }
  for (const each of root.querySelectorAll("[data-placeholder]"))
    each.setAttribute("placeholder", translate(each.getAttribute("data-placeholder") ?? ""));
}

/**
 * Whether an element is displayed, that is, its tab is open.
 * @param {HTMLElement} element
 */
export const isVisible = (element) => element.offsetParent !== null;

/**
 * Keyboard shortcuts of a tab, while it is open.
 * @param {HTMLElement} element of the tab
 * @param {(event: KeyboardEvent) => boolean} onKey returns whether the key was one of its own
 */
export function onKeyInTab(element, onKey) {
  const whileHere = new AbortController();
  document.addEventListener(
    "keydown",
    (event) => {
      if (!element.isConnected) return whileHere.abort();
      if (!isVisible(element) || !onKey(event)) return;
      event.preventDefault();
      event.stopPropagation();
    },
    { signal: whileHere.signal, capture: true },
  );
}

const SCROLL_MARGIN = 32; // pixels

/**
 * Auto-scroll: change the content of an element, and scroll to its end if that was in view before.
 * @param {Element} element
 * @param {() => void} change
 */
export function keepScrolledToEnd(element, change) {
  const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < SCROLL_MARGIN;
  change();
  if (isAtEnd) element.scrollTop = element.scrollHeight;
}

// ---- Texts and numbers

/**
 * @typedef {(name: string, values?: Values) => string} Translate Looks up a text by name and fills in its placeholders.
 */

/**
 * @typedef {(value: number, digits?: number, unit?: string) => string} FormatNumber Formats a number; a unit is one of
 *   `Intl`, as `megabyte`, and shown as the reader's language writes it: `63 MB`, `63 Mo`.
 */

/**
 * Localization: the texts in the browser's language if there are any, else in English.
 * @param {Texts} texts
 * @param {string} [tag] of the language
 * @returns {{ translate: Translate, locale: string, number: FormatNumber }}
 *   `translate` returns the name itself where there is no such text; `number` formats with that many decimals, and the unit if there is one.
 */
export function localize(texts, tag = navigator.language) {
  const own = texts[tag.split("-")[0]];
  const words = own ?? texts.en;
  const locale = own ? tag : "en";
  const formatOf = remembering((/** @type {number} */ digits, /** @type {string | undefined} */ unit) => {
    const fraction = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const measure = /** @type {const} */ ({ style: "unit", unit, unitDisplay: "short" });
    return new Intl.NumberFormat(locale, { ...fraction, ...(unit && measure) });
  });
  return {
    translate: (name, values = {}) => fill(words[name] ?? name, values),
    locale,
    number: (value, digits = 0, unit = undefined) => formatOf(digits, unit).format(value),
  };
}

/**
 * Memoize a function of strings and numbers, as those of `Intl` are slow.
 * @template {(string | number | undefined)[]} Given
 * @template Answer
 * @param {(...given: Given) => Answer} work
 * @returns {(...given: Given) => Answer}
 */
export function remembering(work) {
  /** @type {Map<string, Answer>} */
  const known = new Map();
  return (...given) => {
    const key = given.join("\n");
    const answer = known.get(key) ?? work(...given);
    known.set(key, answer);
    return answer;
  };
}

/**
 * Replace a text's {placeholders} by values; one without a value stays.
 * @param {string} text
 * @param {Values} values
 */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}

// ---- Requests

/** A failed request: the server was not reached or answered with an error. */
export class RequestError extends Error {
  /**
   * @param {string} message the server's own, or ""
   * @param {number} status 0 if the server was not reached
   * @param {{ code?: string, said?: import("./problems.js").Said[], cause?: unknown }} [more] `code` is the server's
   *   for this kind of failure, `said` its message in parts that can be said in other languages
   */
  constructor(message, status, { code = "", said = [], cause } = {}) {
    super(message, { cause });
    this.said = said;
    this.name = "RequestError";
    this.status = status;
    this.code = code;
  }
}

/**
 * The URL of a path of the server, also behind a proxy that adds a prefix.
 * @param {string} path without a slash at its beginning
 */
export const urlOf = (path) => new URL(path, document.baseURI);

/**
 * @typedef {object} Request
 * @property {unknown} [json] sent as the body of a POST
 * @property {BodyInit} [body] the same, not encoded
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal] cancels the request
 */

/**
 * Send a request and return the response once its headers have arrived.
 * @param {string} path
 * @param {Request} [request]
 * @returns {Promise<Response>}
 * @throws {RequestError} the server is not reached or answers with an error; an abort throws as with `fetch`.
 */
export async function request(path, { json, body, headers = {}, signal } = {}) {
  const sent = json === undefined ? body : JSON.stringify(json);
  /** @type {Record<string, string>} */
  const kind = json === undefined ? {} : { "Content-Type": "application/json" };
  const method = sent === undefined ? "GET" : "POST";
  const answer = await mapNetworkErrors(
    fetch(urlOf(path), { method, signal, body: sent, headers: { ...kind, ...headers } }),
  ).catch((error) => {
    if (!isAbort(error)) serverConnection.failed();
    throw error;
  });
  if (answer.ok) {
    serverConnection.answered();
    return answer;
  }
  const failure = await answer.json().catch(() => null);
  const { message = "", code = "", said = [] } = failure?.error ?? {};
  throw new RequestError(message, answer.status, { code, said });
}

/**
 * Send a request and return the JSON of the response.
 * @param {string} path
 * @param {Request & { timeout?: number }} [options] `timeout` cancels the request after this many milliseconds
 * @returns {Promise<any>}
 * @throws {RequestError} as `request`, also if the response is not JSON.
 */
export async function requestJson(path, { timeout, signal, ...options } = {}) {
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = timeout === undefined ? undefined : setTimeout(end, timeout);
  signal?.addEventListener("abort", end);
  if (signal?.aborted) end();
  try {
    const answer = await request(path, { ...options, signal: ending.signal });
    return await mapNetworkErrors(answer.json());
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", end);
  }
}

/**
 * @template Outcome
 * @param {Promise<Outcome>} work
 */
async function mapNetworkErrors(work) {
  try {
    return await work;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new RequestError("", 0, { cause: error });
  }
}

/**
 * Whether an error means that work was aborted.
 * @param {unknown} error
 */
export const isAbort = (error) => error instanceof Error && error.name === "AbortError";

/**
 * The message of an error for readers, or "" if it has none.
 * @param {unknown} error
 */
export const errorMessage = (error) => (error instanceof Error ? error.message : String(error));

// ---- Timing

/**
 * @typedef {object} DebounceControls
 * @property {() => void} cancel
 * @property {() => void} flush runs pending work now
 * @property {() => boolean} isPending
 */

/**
 * Debounce: work runs once `pause` milliseconds after the last call, with the arguments of that call.
 * @template {any[]} Given
 * @param {(...given: Given) => unknown} work
 * @param {number} pause
 * @returns {((...given: Given) => void) & DebounceControls}
 */
export function debounce(work, pause) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {(() => void) | null} */
  let waiting = null;
  const cancel = () => {
    clearTimeout(timer);
    waiting = null;
  };
  const flush = () => {
    const run = waiting;
    cancel();
    run?.();
  };
  /** @param {Given} given */
  const later = (...given) => {
    cancel();
    waiting = () => void work(...given);
    timer = setTimeout(flush, pause);
  };
  return Object.assign(later, { cancel, flush, isPending: () => waiting !== null });
}

/**
 * Ignore all responses but that to the latest call, in whatever order they arrive.
 * @template {any[]} Given
 * @template Answer
 * @param {(...given: Given) => Promise<Answer>} question
 * @returns {(...given: Given) => Promise<Answer | null>} null for an outdated response or failure
 */
export function latestOnly(question) {
  let asked = 0;
  return async (...given) => {
    const number = ++asked;
    try {
      const answer = await question(...given);
      return number === asked ? answer : null;
    } catch (error) {
      if (number !== asked) return null;
      throw error;
    }
  };
}

/** @param {number} milliseconds */
export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
