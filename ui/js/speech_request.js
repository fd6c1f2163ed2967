/** Body of a speech request, from the fields of the Preview tab. */

/**
 * A body of `v1/audio/speech`.
 * @typedef {{ input: string, voice?: string, speaker?: string, speed?: number, [field: string]: unknown }} SpeechRequest
 */

/**
 * What is known of a voice: its usual speaker and what its sliders say at first.
 * @typedef {{ name: string, sample_rate: number, speaker: string | null, sliders: Record<string, number> }} VoiceFacts
 */

/**
 * The tab's fields. Each slider that a voice may have is one of its own, by its name.
 * @typedef {object} Fields
 * @property {string | null} text
 * @property {string | null} voice
 * @property {string | null} other the voice that is compared
 * @property {string | null} speaker
 * @property {number} speed
 * @property {number} volume
 * @property {VoiceFacts | null} facts of `voice`
 */

/**
 * Build the request for a voice. Speaker and sliders belong to the voice of the facts; defaults are not sent.
 * @param {Fields & Record<string, unknown>} fields
 * @param {string | null} voice
 * @returns {SpeechRequest}
 */
export function speechRequest(fields, voice) {
  const { text, speed, volume, facts, speaker } = fields;
  /** @type {SpeechRequest} */
  const body = { input: text ?? "", speed, volume };
  if (voice) body.voice = voice;
  if (!facts || facts.name !== voice) return body;
  body.sample_rate = facts.sample_rate;
  if (speaker && speaker !== facts.speaker) body.speaker = speaker;
  for (const [name, usual] of Object.entries(facts.sliders)) {
    if (fields[name] !== usual) body[name] = fields[name];
  }
  return body;
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
