/** Kept fields: what was entered into a form or another element, kept by the browser over a reload and a restart of the server. */

import { readRecord, writeJson } from "./browser_storage.js";

const PREFIX = "wyoming-tts.fields.";

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field */

/**
 * Restore the named fields within an element from before, and keep what is entered from now on.
 * @param {HTMLElement} root
 * @param {string} key that no other element has
 * @returns {() => void} keeps the fields now, after a script wrote into them
 */
export function keepFields(root, key) {
  const name = PREFIX + key;
  const before = readRecord(name);
  for (const field of fieldsOf(root)) {
    const value = before[field.name];
    if (isCheckbox(field) && typeof value === "boolean") field.checked = value;
    else if (typeof value === "string") restore(field, value);
  }
  const keep = () => writeJson(name, valuesOf(root));
  root.addEventListener("input", keep);
  return keep;
}

/**
 * A list that is filled later has the value from the beginning.
 * @param {Field} field
 * @param {string} value
 */
function restore(field, value) {
  field.value = value;
  if (field instanceof HTMLSelectElement && field.value !== value)
    field.add(new Option(value, value, true, true));
}

/**
 * The values of the fields within an element by their names.
 * @param {HTMLElement} root
 * @returns {Record<string, string | boolean>}
 */
export const valuesOf = (root) =>
  Object.fromEntries(
    fieldsOf(root).map((field) => [field.name, isCheckbox(field) ? field.checked : field.value]),
  );

/**
 * @param {HTMLElement} root
 * @returns {Field[]}
 */
const fieldsOf = (root) =>
  /** @type {Field[]} */ ([...root.querySelectorAll("input[name], textarea[name], select[name]")]).filter(
    ({ type }) => type !== "radio" && type !== "file",
  );

/**
 * @param {Field} field
 * @returns {field is HTMLInputElement}
 */
const isCheckbox = (field) => field.type === "checkbox";
