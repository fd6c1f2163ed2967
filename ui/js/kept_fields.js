/** Kept fields: what was entered into a form or another element, kept by the browser over a reload and a restart of the server. */

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
  const before = read(name);
  for (const field of fieldsOf(root)) {
    const value = before[field.name];
    if (isCheckbox(field) && typeof value === "boolean") field.checked = value;
    else if (typeof value === "string") restore(field, value);
  }
  const keep = () => write(name, valuesOf(root));
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

/**
 * @param {string} name
 * @returns {Record<string, unknown>}
 */
function read(name) {
  try {
    return JSON.parse(window.localStorage.getItem(name) ?? "{}") ?? {};
  } catch {
    return {}; // the browser keeps nothing, or something else wrote there
  }
}

/**
 * @param {string} name
 * @param {object} values
 */
function write(name, values) {
  try {
    window.localStorage.setItem(name, JSON.stringify(values));
  } catch {
    // Full, or forbidden: they last as long as the page then.
  }
}
