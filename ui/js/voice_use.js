/** What any tab does with a voice: it becomes the default, or the tab Listen shows all that can be done with it. */

import { voiceDirectory } from "./voice_directory.js";

/**
 * Make a voice the default.
 * @param {string} voice
 * @param {string} shown its name for people
 * @param {import("./common.js").Translate} translate
 * @returns {Promise<string>} how long it is the default, to be told
 */
export async function makeDefault(voice, shown, translate) {
  const { lasts, line } = await voiceDirectory.makeDefault(voice);
  return translate(lasts ? "used" : "used_for_now", { name: shown, line });
}

/** Emits "wanted" when the use of a voice, whose name is in `detail`, is to be shown. */
class VoiceUse extends EventTarget {
  /** @param {string} voice */
  show(voice) {
    this.dispatchEvent(new CustomEvent("wanted", { detail: voice }));
  }
}

export const voiceUse = new VoiceUse();
