/** Kept fields: what was entered into a form, kept by the browser over a reload and a restart of the server. */

const PREFIX = "wyoming-tts.fields.";

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Field */

/**
 * Restore a form's fields from before, and keep what is entered from now on.
 * @param {HTMLFormElement} form
 * @param {string} key that no other form has
 */
export function keepFields(form, key) {
  const name = PREFIX + key;
  const before = read(name);
  for (const field of fieldsOf(form)) {
    const value = before[field.name];
    if (isCheckbox(field) && typeof value === "boolean") field.checked = value;
    else if (typeof value === "string") field.value = value;
  }
  form.addEventListener("input", () => write(name, valuesOf(form)));
}

/**
 * The values of a form's fields by their names.
 * @param {HTMLFormElement} form
 * @returns {Record<string, string | boolean>}
 */
export const valuesOf = (form) =>
  Object.fromEntries(
    fieldsOf(form).map((field) => [field.name, isCheckbox(field) ? field.checked : field.value]),
  );

/**
 * @param {HTMLFormElement} form
 * @returns {Field[]}
 */
const fieldsOf = (form) =>
  /** @type {Field[]} */ ([...form.elements]).filter(
    ({ name, type }) => name && type !== "radio" && type !== "file",
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
