/** Dialog before a voice is deleted: which files go, and what follows from it. */

import { button, createElement } from "./common.js";
import { problems } from "./problems.js";
import { voiceNames } from "./voice_names.js";

/**
 * @typedef {object} Removal
 * @property {string[]} files
 * @property {number} size bytes
 * @property {import("./problems.js").Said[]} problems
 * @property {import("./problems.js").Said[]} kept
 * @property {boolean} is_default
 * @property {string[]} silenced voices that would no longer work
 */

/** @typedef {{ translate: import("./common.js").Translate, size: (bytes: number) => string }} Words */

/**
 * Ask whether a voice is to be deleted.
 * @param {HTMLDialogElement} dialog
 * @param {string} name
 * @param {Removal} planned
 * @param {Words} words
 * @returns {Promise<boolean>}
 */
export function confirmRemoval(dialog, name, planned, words) {
  const { translate } = words;
  const keep = button(translate("keep"), () => dialog.close());
  const disabled = !planned.files.length;
  const go = button(translate("delete"), () => dialog.close("confirmed"), { class: "danger", disabled });
  dialog.replaceChildren(
    createElement("h2", { id: "voices-dialog-title" }, translate("removal", { name })),
    ...consequencesOf(planned, words).map((line) => createElement("p", {}, line)),
    createElement("ul", {}, ...planned.files.map((file) => createElement("li", {}, file))),
    createElement("div", { class: "voices-actions" }, keep, go),
  );
  return new Promise((settle) => {
    dialog.addEventListener("close", () => settle(dialog.returnValue === "confirmed"), { once: true });
    dialog.returnValue = "";
    dialog.showModal();
    keep.focus();
  });
}

/**
 * @param {Removal} planned
 * @param {Words} words
 */
function consequencesOf({ problems: reasons, kept, files, size, is_default, silenced }, words) {
  const { translate } = words;
  const lines = [...reasons, ...kept].map((each) => problems.say(each));
  if (files.length) lines.push(translate("removal_frees", { size: words.size(size) }));
  if (is_default) lines.push(translate("removal_default"));
  if (silenced.length)
    lines.push(
      translate("removal_silences", { names: silenced.map((each) => voiceNames.of(each)).join(", ") }),
    );
  return lines;
}
