/** Body of a speech request, from a text, a voice and what is set of it. */

/**
 * A body of `v1/audio/speech`.
 * @typedef {{ input: string, voice?: string, speaker?: string, language?: string, speed?: number, [field: string]: unknown }} SpeechRequest
 */

/** @typedef {{ name: string, minimum: number, maximum: number, step: number, value: number }} Slider */

/**
 * What is known of a voice, as the server tells it.
 * @typedef {object} VoiceFacts
 * @property {string} name
 * @property {number} sample_rate
 * @property {string[]} speakers
 * @property {string | null} speaker the usual one
 * @property {Slider[]} sliders its engine's parameters, with the values in force
 * @property {string[]} examples texts in its language
 */

/**
 * What a request is made of.
 * @typedef {object} Fields
 * @property {string} text
 * @property {string} speaker "" for the usual one
 * @property {number} speed
 * @property {number} volume
 * @property {Record<string, number>} sliders those that were set
 */

/**
 * Build the request for a voice; what is as usual is not sent.
 * @param {Fields} fields
 * @param {VoiceFacts} facts of the voice
 * @returns {SpeechRequest}
 */
export function speechRequest({ text, speaker, speed, volume, sliders }, facts) {
  const { name, sample_rate } = facts;
  /** @type {SpeechRequest} */
  const body = { input: text, speed, volume, voice: name, sample_rate };
  if (speaker && speaker !== facts.speaker) body.speaker = speaker;
  for (const slider of facts.sliders) {
    const value = sliders[slider.name] ?? slider.value;
    if (value !== slider.value) body[slider.name] = value;
  }
  return body;
}

/**
 * Whether two requests are answered by the same speech.
 * @param {SpeechRequest} one
 * @param {SpeechRequest} other
 */
export const isSameRequest = (one, other) => JSON.stringify(one) === JSON.stringify(other);

const NAMED_WORDS = 6;
const NAMED_CHARS = 40;

/**
 * Name of a file of speech, without its ending: the voice and the first words, of letters and digits that every file
 * system takes.
 * @param {SpeechRequest} body
 */
export function fileStem({ voice, input }) {
  const words = input.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  const first = Array.from(words.slice(0, NAMED_WORDS).join("-")).slice(0, NAMED_CHARS).join("");
  const safe = (voice || "speech").replace(/[^\p{L}\p{M}\p{N}_-]+/gu, "-").slice(0, NAMED_CHARS);
  return [safe, first]
    .map((part) => part.replace(/^-+|-+$/g, ""))
    .filter(Boolean)
    .join("-");
}

/**
 * Query string of a media element's URL, with the part of a request that it supports.
 * @param {SpeechRequest} body
 */
export function mediaElementQuery({ input, voice, speaker, speed }) {
  const query = new URLSearchParams({ text: input });
  if (voice) query.set("voice", speaker ? `${voice}#${speaker}` : voice);
  if (speed) query.set("speed", String(speed));
  return query;
}
