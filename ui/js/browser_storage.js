/**
 * Browser storage (localStorage) of JSON. Nothing here throws: what a browser does not keep lasts as long as the page.
 *
 * A browser may forbid storage (private windows, blocked cookies: even reading its name throws), it may be full,
 * and what is read may come from another version of the page or from somebody's hand: its type is the reader's to check.
 */

/** @typedef {Pick<Storage, "getItem" | "setItem">} ItemStorage */

/** The browser's storage, null where a site may keep nothing. */
export function browserStorage() {
  try {
    return typeof window === "undefined" ? null : window.localStorage;
  } catch {
    return null;
  }
}

/**
 * What was kept by this name; null where that is nothing, or no JSON.
 * @param {string} key
 * @param {ItemStorage | null} [storage]
 * @returns {unknown}
 */
export function readJson(key, storage = browserStorage()) {
  try {
    return JSON.parse(storage?.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/**
 * The object that was kept by this name, empty where something else was; its values may be anything.
 * @param {string} key
 * @param {ItemStorage | null} [storage]
 * @returns {Record<string, unknown>}
 */
export function readRecord(key, storage = browserStorage()) {
  const kept = readJson(key, storage);
  const isRecord = typeof kept === "object" && kept !== null && !Array.isArray(kept);
  return isRecord ? /** @type {Record<string, unknown>} */ (kept) : {};
}

/**
 * Keep a value by this name.
 * @param {string} key
 * @param {unknown} value
 * @param {ItemStorage | null} [storage]
 * @returns {boolean} whether it was kept: there may be no room
 */
export function writeJson(key, value, storage = browserStorage()) {
  const json = JSON.stringify(value);
  try {
    storage?.setItem(key, json);
    return storage !== null;
  } catch {
    return false;
  }
}
