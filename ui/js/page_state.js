/**
 * Page state: what the user typed and chose, kept over a reload and a restart of the server, and taken from links.
 *
 * A link is the page's address with `#voice=…&text=…&speed=…`; it takes precedence over what was kept, once: its part
 * of the address is removed, so that a later reload shows what was changed since.
 */

import { browserStorage, readRecord, writeJson } from "./browser_storage.js";

/** @typedef {import("./browser_storage.js").ItemStorage} ItemStorage */

/**
 * @typedef {object} PageValues
 * @property {string} text to be spoken
 * @property {boolean} isOwnText whether the user wrote it; an example may be replaced by one in another language
 * @property {string} voice chosen voice, "" for the server's default
 * @property {string} previous the voice chosen before it, to switch back to
 * @property {string} speaker of the chosen voice, "" for its usual one
 * @property {number} speed
 * @property {number} volume
 * @property {Record<string, number>} sliders what was set of the chosen voice's own parameters
 * @property {string[]} shortlist voices that the user marked
 * @property {string} search
 * @property {string} tab
 * @property {boolean} showsSpectrogram whether the player bar shows it
 * @property {string} savedAs the kind of file that was saved last, "" for none
 */

export const STORAGE_KEY = "wyoming-tts.page";
const MAX_LINKED_CHARS = 200_000; // two hours of speech: a text of a million holds a text area up for a minute
const LINKED = /** @type {const} */ (["voice", "speaker", "tab", "search"]);

/** @type {Readonly<PageValues>} */
export const INITIAL = Object.freeze({
  text: "",
  isOwnText: false,
  voice: "",
  previous: "",
  speaker: "",
  speed: 1,
  volume: 1,
  sliders: {},
  shortlist: [],
  search: "",
  tab: "",
  showsSpectrogram: false,
  savedAs: "",
});

/** The values; emits "change" with the names of those that changed in `detail`. */
export class PageState extends EventTarget {
  /** @type {PageValues} */
  #values;
  #storage;

  /**
   * @param {ItemStorage | null} storage null where the browser allows none
   * @param {string} [fragment] of the page's address, with its "#"
   */
  constructor(storage, fragment = "") {
    super();
    this.#storage = storage;
    this.#values = { ...INITIAL, ...readKept(storage), ...readLink(fragment) };
  }

  /** @returns {Readonly<PageValues>} */
  get values() {
    return this.#values;
  }

  /**
   * Change values and keep them.
   * @param {Partial<PageValues>} changes
   */
  patch(changes) {
    const before = this.#values;
    const names = namesOf(changes).filter((name) => !isEqual(before[name], changes[name]));
    if (!names.length) return;
    this.#values = { ...before, ...changes };
    writeJson(STORAGE_KEY, this.#values, this.#storage);
    this.dispatchEvent(new CustomEvent("change", { detail: names }));
  }
}

/**
 * A link's part of the address, for these values.
 * @param {PageValues} values
 */
export function linkTo({ voice, speaker, text, speed }) {
  const query = new URLSearchParams();
  if (voice) query.set("voice", voice);
  if (speaker) query.set("speaker", speaker);
  if (text) query.set("text", text);
  if (speed !== INITIAL.speed) query.set("speed", String(speed));
  return `#${query}`;
}

/**
 * Whether a fragment of an address is a link to values.
 * @param {string} fragment
 */
export const isLink = (fragment) => Object.keys(readLink(fragment)).length > 0;

/**
 * @param {string} fragment
 * @returns {Partial<PageValues>}
 */
function readLink(fragment) {
  const query = new URLSearchParams(fragment.replace(/^#/, ""));
  /** @type {Partial<PageValues>} */
  const linked = {};
  for (const name of LINKED) if (query.get(name)) linked[name] = query.get(name) ?? "";
  const text = query.get("text")?.slice(0, MAX_LINKED_CHARS);
  if (text) Object.assign(linked, { text, isOwnText: true });
  const speed = Number(query.get("speed"));
  if (speed > 0 && Number.isFinite(speed)) linked.speed = speed;
  if (Object.keys(linked).length && !linked.tab) linked.tab = "audition"; // not the tab that was kept
  // The speaker and parameters that were kept belong to another voice.
  if (linked.voice) return { speaker: "", sliders: {}, ...linked };
  return linked;
}

/**
 * What was kept by this version or another: only what has the type that is expected.
 * @param {ItemStorage | null} storage
 * @returns {Partial<PageValues>}
 */
function readKept(storage) {
  const known = readRecord(STORAGE_KEY, storage);
  const fitting = namesOf(INITIAL).filter((name) => hasKindOf(known[name], INITIAL[name]));
  return Object.fromEntries(fitting.map((name) => [name, known[name]]));
}

/**
 * @param {unknown} value
 * @param {unknown} example
 */
function hasKindOf(value, example) {
  if (typeof value !== typeof example || value === null) return false;
  if (Array.isArray(example)) return Array.isArray(value) && value.every((each) => typeof each === "string");
  if (typeof value === "object") return Object.values(value).every(Number.isFinite);
  return typeof value !== "number" || Number.isFinite(value);
}

/**
 * @param {Partial<PageValues>} values
 * @returns {(keyof PageValues)[]}
 */
const namesOf = (values) => /** @type {(keyof PageValues)[]} */ (Object.keys(values));

/**
 * @param {unknown} one
 * @param {unknown} other
 */
const isEqual = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// ---- The one of this page

function ofThisPage() {
  if (typeof window === "undefined") return new PageState(null);
  const state = new PageState(browserStorage(), location.hash);
  if (isLink(location.hash)) history.replaceState(history.state, "", location.pathname + location.search);
  return state;
}

export const pageState = ofThisPage();
