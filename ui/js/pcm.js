/** PCM: bytes as the server sends them to 16-bit samples, and those to the floats that browsers play. */

export const MAX_CLIP_SECONDS = 600; // seconds of a clip kept for pictures and replays
const FULL_SCALE = 32768;
const PEAKS_PER_SECOND = 50;

/**
 * 16-bit samples as numbers from -1 to 1.
 * @param {Int16Array} samples
 */
export function toFloats(samples) {
  const floats = new Float32Array(samples.length); // no callback for each sample: it takes ten times as long
  for (let i = 0; i < samples.length; i++) floats[i] = samples[i] / FULL_SCALE;
  return floats;
}

/**
 * The loudest of some samples, from 0 to 1.
 * @param {Int16Array} samples
 * @param {number} begin
 * @param {number} end may be beyond them
 */
function peakOf(samples, begin, end) {
  let peak = 0;
  for (let i = begin; i < end && i < samples.length; i++) peak = Math.max(peak, Math.abs(samples[i]));
  return peak / FULL_SCALE;
}

/**
 * Root mean square.
 * @param {Float32Array} wave
 */
export const rms = (wave) => Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);

/** Turns bytes that come in pieces of any length into whole little-endian samples. */
export class SampleReader {
  #rest = new Uint8Array(0);

  /**
   * The samples that are whole now; half a one is kept for the next call.
   * @param {Uint8Array} bytes
   */
  read(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const whole = all.length & ~1;
    this.#rest = all.slice(whole);
    return new Int16Array(all.buffer, 0, whole / 2); // every machine with a browser is little-endian
  }
}

/**
 * A word as it was written, where (UTF-16, as strings count here), and when it sounds in seconds of the clip.
 * @typedef {{ text: string, utf16_begin: number, utf16_end: number, start_time: number, end_time: number }} SpokenWord
 */

/** Audio as it came, in 16 bit. What is longer than `MAX_CLIP_SECONDS` is counted, not kept. */
export class Clip {
  /** @type {Int16Array[]} */
  #pieces = [];
  /** The loudest sample of each part, from 0 to 1: what a picture needs. @type {number[]} */
  peaks = [];

  /**
   * @param {number} rate samples a second
   * @param {string} [text] that is spoken
   */
  constructor(rate, text = "") {
    this.rate = rate;
    this.text = text;
    /** @type {SpokenWord[]} */
    this.words = [];
    this.samples = 0;
    this.isComplete = false;
  }

  get seconds() {
    return this.samples / this.rate;
  }

  /** Whether it can be drawn and heard again. */
  get isReplayable() {
    return this.isComplete && this.samples > 0 && this.seconds <= MAX_CLIP_SECONDS;
  }

  /**
   * Whether it can be played from a position on by what is in memory now.
   * @param {number} seconds
   */
  canPlayFrom(seconds) {
    return seconds < this.seconds && this.seconds <= MAX_CLIP_SECONDS;
  }

  /** Its audio; none once it is longer than is kept. @returns {readonly Int16Array[]} */
  get pieces() {
    return this.#pieces;
  }

  /** @param {Int16Array} piece */
  add(piece) {
    this.#addPeaks(piece);
    this.samples += piece.length;
    if (this.seconds <= MAX_CLIP_SECONDS) this.#pieces.push(piece);
    else this.#pieces.length = 0;
  }

  /** @param {Int16Array} piece */
  #addPeaks(piece) {
    const length = this.rate / PEAKS_PER_SECOND;
    for (let begin = 0; begin < piece.length; ) {
      const part = Math.floor((this.samples + begin) / length);
      const end = Math.max(begin + 1, Math.ceil((part + 1) * length) - this.samples);
      this.peaks[part] = Math.max(this.peaks[part] ?? 0, peakOf(piece, begin, end));
      begin = end;
    }
  }

  /** All of it as floats. */
  joined() {
    const all = new Float32Array(this.samples);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(toFloats(piece), at);
      at += piece.length;
    }
    return all;
  }
}
