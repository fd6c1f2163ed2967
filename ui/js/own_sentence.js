/** The sentence that the reader typed in the tab Listen, for the other tabs that let voices be heard. */

import { pageState } from "./page_state.js";
import { voiceDirectory } from "./voice_directory.js";
import { familyOf } from "./voice_facts.js";

/**
 * What the reader typed, if that is for a voice of this language; else "".
 * @param {string} language as `en_US`
 */
export function ownSentence(language) {
  const { text, isOwnText, voice } = pageState.values;
  const spoken = voiceDirectory.find(voice)?.language ?? "";
  return isOwnText && text.trim() && familyOf(spoken) === familyOf(language) ? text : "";
}
