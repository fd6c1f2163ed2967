/** The two voices that the mixer begins with. */

/** @typedef {import("./blend_api.js").MixableVoice} MixableVoice */

const FAVOURITE = "af_heart"; // the best trained voice
const BLENDS = ["preset", "own"];

/**
 * The first voice that is wanted and can be mixed, and another of its language.
 * @param {readonly MixableVoice[]} voices that can be mixed and speak
 * @param {readonly string[]} wanted names, the most wanted first
 * @returns {[string, string] | null} null without voices
 */
export function firstMix(voices, wanted) {
  const inOrder = [...wanted, FAVOURITE]
    .map((name) => voices.find((voice) => voice.name === name))
    .filter((voice) => voice !== undefined);
  const plain = voices.filter(({ kind }) => !BLENDS.includes(kind));
  const first = inOrder[0] ?? plain[0] ?? voices[0];
  if (!first) return null;
  const others = [...inOrder, ...plain, ...voices].filter(({ name }) => name !== first.name);
  const second = others.find(({ language }) => language === first.language) ?? others[0] ?? first;
  return [first.name, second.name];
}
