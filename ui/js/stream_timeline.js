/**
 * Timeline of speech whose text is still being typed: what was sent and what is heard when, and whose each gap is.
 *
 * A gap is silence after the player has played all that it had. Whose it is follows from the first word after it:
 *
 * - The server was late if that word could have been spoken before the player ran dry.
 * - Else the speech waited for text.
 *
 * A word can be spoken as soon as one of these has been sent or has happened, as the server goes by the same:
 *
 * - The text up to the end of its sentence, with the first letter of the next, which shows this to be the end.
 * - A pause in the text of `flushIdle`, after which the server speaks what it has. If the text ends with the word, whose
 *   rest may be missing, the pause takes `WORD_IDLE`.
 * - The end of the text ("Done").
 *
 * A word that was told before the player ran dry, or that the gap interrupts, could have been spoken, whatever else.
 * For a voice that tells no words, the server was late if all that was sent by the end of the gap could have been spoken
 * before the player ran dry; else it cannot be told.
 *
 * The rule is that of simulated clients (`page/stream_test/gaps.py`), and both are tested by one table.
 *
 * Times are seconds on one clock, which is passed in; nothing here plays or sends anything.
 */

import { sentenceEnd } from "./sentences.js";

/** @typedef {import("./pcm.js").SpokenWord} SpokenWord */
/** @typedef {import("./stream_buffer.js").Level} Level */

/** @typedef {[at: number, piece: string]} Sent */
/** @typedef {import("./stream_lanes.js").Owner} Owner */
/** @typedef {{ at: number, seconds: number, owner: Owner, word: string }} Gap `word` is the first after it, or "" */
/** @typedef {"sentence" | "pause" | "end" | "word"} Cause what let a word be spoken */

/**
 * The lanes of one run.
 * @typedef {object} Lane
 * @property {Sent[]} text words and parts of words, each when its first letter was sent
 * @property {[at: number, word: string][]} words when each is heard
 * @property {Level[]} buffer
 * @property {Gap[]} gaps
 * @property {number | null} first_audio
 * @property {number | null} ended
 */

/**
 * Text that was sent.
 * @typedef {object} SentText
 * @property {readonly Sent[]} sent
 * @property {readonly [at: number, length: number][]} ends when the text was declared complete, and its length then
 * @property {number} flushIdle
 */

export const FLUSH_IDLE = 0.16; // the server's default of realtime_flush_idle_ms
export const WORD_IDLE = 1; // how long the server waits for the rest of a word
const NEVER = { at: Infinity, by: /** @type {Cause} */ ("end") };
const SENTENCE_END = /[.!?…؟۔।॥。！？][\p{Pe}\p{Pf}"'’]*\s*$/u;
const CLOCK_ERROR = 0.005; // seconds: a shorter gap is none
const ROUNDING = 0.05; // seconds by which the end of a word may be told too late

/**
 * When a word could be spoken first, and why then; at infinity as long as it cannot.
 * @param {number} end of the word in the text, in UTF-16 code units
 * @param {SentText} text
 * @param {number} now
 * @returns {{ at: number, by: Cause }}
 */
export function speakableAt(end, { sent, ends, flushIdle }, now) {
  const found = [bySentence(end, sent), byPause(end, { sent, flushIdle, now }), byEnd(end, ends)];
  return found.reduce((first, each) => (each.at < first.at ? each : first), NEVER);
}

/**
 * @param {number} end
 * @param {readonly Sent[]} sent
 * @returns {{ at: number, by: Cause }}
 */
function bySentence(end, sent) {
  const until = sentenceEnd(sent.map(([, piece]) => piece).join(""), end);
  let length = 0;
  for (const [at, piece] of sent) {
    length += piece.length;
    if (until !== null && length > until) return { at, by: "sentence" };
  }
  return NEVER;
}

/**
 * @param {number} end
 * @param {{ sent: readonly Sent[], flushIdle: number, now: number }} text
 * @returns {{ at: number, by: Cause }}
 */
function byPause(end, { sent, flushIdle, now }) {
  if (!flushIdle) return NEVER; // the server's setting for never
  let length = 0;
  for (const [index, [at, piece]] of sent.entries()) {
    length += piece.length;
    if (length < end) continue;
    const idle = length > end ? flushIdle : Math.max(flushIdle, WORD_IDLE);
    if ((sent[index + 1]?.[0] ?? now) - at >= idle) return { at: at + idle, by: "pause" };
  }
  return NEVER;
}

/**
 * @param {number} end
 * @param {readonly [at: number, length: number][]} ends
 * @returns {{ at: number, by: Cause }}
 */
function byEnd(end, ends) {
  const declared = ends.find(([, length]) => length >= end);
  return declared ? { at: declared[0], by: "end" } : NEVER;
}

/**
 * Whose a gap is.
 * @param {{ dry: number, now: number, position: number }} gap when the player ran dry and when audio came again, and
 *   the seconds of audio that it had played
 * @param {(SpokenWord & { told: number }) | undefined} word the first that ends after the gap, and when it was told
 * @param {SentText} text
 * @returns {Owner}
 */
export function ownerOf({ dry, now, position }, word, text) {
  if (word) {
    if (word.start_time < position - ROUNDING || word.told <= dry) return "server";
    return speakableAt(word.utf16_end, text, now).at <= dry ? "server" : "text";
  }
  const { length } = text.sent
    .map(([, piece]) => piece)
    .join("")
    .trimEnd();
  return length > 0 && speakableAt(length, text, now).at <= dry ? "server" : "unknown";
}

/** What was sent and heard of one run, in the order in which it happened. */
export class StreamTimeline {
  /** @type {Sent[]} */
  #sent = [];
  /** @type {[at: number, length: number][]} */
  #ends = [];
  #length = 0;
  /** @type {(SpokenWord & { told: number })[]} */
  #told = [];
  #heard = 0; // how many of the words have a time
  #position = 0; // seconds of audio that came
  /** @type {Omit<Lane, "text">} */
  #lane = { words: [], buffer: [], gaps: [], first_audio: null, ended: null };

  /** @param {number} [flushIdle] seconds, the server's realtime_flush_idle_ms */
  constructor(flushIdle = FLUSH_IDLE) {
    this.flushIdle = flushIdle;
  }

  /** @returns {SentText} */
  get #text() {
    return { sent: this.#sent, ends: this.#ends, flushIdle: this.flushIdle };
  }

  /**
   * Text was sent.
   * @param {number} at
   * @param {string} piece
   */
  send(at, piece) {
    this.#sent.push([at, piece]);
    this.#length += piece.length;
  }

  /** The text was declared complete. @param {number} at */
  complete(at) {
    this.#ends.push([at, this.#length]);
  }

  /**
   * Words were told, which begin in the audio that follows.
   * @param {number} at
   * @param {readonly SpokenWord[]} words
   */
  tell(at, words) {
    this.#told.push(...words.map((word) => ({ ...word, told: at })));
  }

  /**
   * Audio came.
   * @param {number} at
   * @param {{ starts: number, seconds: number, gap: number }} audio when it starts to sound, its length, and the silence
   *   before it since the player ran dry
   */
  receive(at, { starts, seconds, gap }) {
    const lane = this.#lane;
    lane.first_audio ??= starts;
    lane.buffer.push([at, starts + seconds - at]);
    if (gap > CLOCK_ERROR) this.#addGap(at, starts - gap, gap);
    for (; this.#heard < this.#told.length; this.#heard++) {
      const { start_time, text } = this.#told[this.#heard];
      if (start_time >= this.#position + seconds) break;
      lane.words.push([starts + Math.max(0, start_time - this.#position), text]);
    }
    this.#position += seconds;
  }

  /**
   * @param {number} now
   * @param {number} dry
   * @param {number} seconds
   */
  #addGap(now, dry, seconds) {
    const word = this.#told.find(({ end_time }) => end_time > this.#position + ROUNDING);
    const owner = ownerOf({ dry, now, position: this.#position }, word, this.#text);
    this.#lane.gaps.push({ at: dry, seconds, owner, word: word?.text ?? "" });
  }

  /** All was heard, or it was stopped. @param {number} at */
  end(at) {
    this.#lane.ended ??= at;
  }

  /**
   * How long after its text could be spoken the first sound came, and what let it be spoken; null before the first sound.
   * A server that is slow may begin with the first words of a sentence: then it counts from the end of the first.
   * @returns {{ seconds: number, by: Cause } | null}
   */
  get firstSound() {
    const { first_audio, buffer } = this.#lane;
    if (first_audio === null) return null;
    const end = this.#told[0]?.utf16_end ?? 1;
    const { at, by } = this.#firstSpeakable(end, buffer[0][0]);
    if (Number.isFinite(at)) return { seconds: Math.max(0, first_audio - at), by };
    return { seconds: first_audio - sentAt(end, this.#sent), by: "word" };
  }

  /**
   * A pause behind a mark that ends a sentence is no pause of who types: the sentence was complete.
   * @param {number} end of the word
   * @param {number} now
   * @returns {{ at: number, by: Cause }}
   */
  #firstSpeakable(end, now) {
    const found = speakableAt(end, this.#text, now);
    if (found.by !== "pause" || !Number.isFinite(found.at)) return found;
    const before = this.#sent.filter(([at]) => at + this.flushIdle <= found.at + CLOCK_ERROR);
    const typed = before.map(([, piece]) => piece).join("");
    return SENTENCE_END.test(typed) ? { at: before[before.length - 1][0], by: "sentence" } : found;
  }

  /**
   * The lanes, or what is in them from some moment on, which becomes their 0.
   * @param {number} [from]
   * @returns {Lane}
   */
  lane(from = 0) {
    const { words, buffer, gaps, first_audio, ended } = this.#lane;
    return {
      text: later(byWords(this.#sent), from),
      words: later(words, from),
      buffer: later(buffer, from),
      gaps: gaps.filter(({ at }) => at >= from).map((gap) => ({ ...gap, at: gap.at - from })),
      first_audio: first_audio === null || first_audio < from ? null : first_audio - from,
      ended: ended === null ? null : ended - from,
    };
  }

  get gaps() {
    return this.#lane.gaps;
  }
}

/**
 * @template Value
 * @param {readonly [at: number, value: Value][]} moments
 * @param {number} from
 * @returns {[at: number, value: Value][]}
 */
function later(moments, from) {
  if (!from) return [...moments];
  return moments.filter(([at]) => at >= from).map(([at, value]) => [at - from, value]);
}

/**
 * When the text up to a place was sent.
 * @param {number} end
 * @param {readonly Sent[]} sent
 */
function sentAt(end, sent) {
  let length = 0;
  for (const [at, piece] of sent) {
    length += piece.length;
    if (length >= end) return at;
  }
  return 0;
}

/**
 * Letters of a word that were sent one by one as one piece.
 * @param {readonly Sent[]} sent
 * @returns {Sent[]}
 */
function byWords(sent) {
  /** @type {Sent[]} */
  const words = [];
  for (const [at, piece] of sent) {
    const last = words.at(-1);
    if (last && goesOn(last[1], piece)) last[1] += piece;
    else words.push([at, piece]);
  }
  return words;
}

const WITHOUT_SPACES = /[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Thai}]/u;

/**
 * Whether a piece belongs to the word before it, as its rest or as the space behind it.
 * @param {string} word
 * @param {string} piece
 */
const goesOn = (word, piece) =>
  /^\s+$/.test(piece) || (!/\s$/.test(word) && !/^\s/.test(piece) && !WITHOUT_SPACES.test(piece));
