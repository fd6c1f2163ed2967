/** The playback of one utterance: audio that is scheduled as it arrives, its position and its measurements. */

import { JitterBuffer } from "./jitter_buffer.js";

/** @typedef {import("./audio_contexts.js").TappedContext} TappedContext */
/** @typedef {import("./pcm.js").Clip} Clip */

/**
 * @typedef {object} Stats
 * @property {number | null} ttfa milliseconds from the click to the first sound
 * @property {number | null} heard the same, with what the sound device adds
 * @property {number | null} received seconds until all of it had arrived
 * @property {number} seconds of audio that came
 * @property {number} underruns
 */

/**
 * When a piece of audio sounds: seconds from now, and of silence before it as the piece before had ended.
 * @typedef {{ wait: number, gap: number }} Scheduled
 */

/** The playback of one utterance. */
export class Playback {
  /**
   * @param {number | null} startedAt when it was requested; null where that tells nothing of the server
   * @param {number} [begin] seconds into the clip where it starts
   */
  constructor(startedAt, begin = 0) {
    this.startedAt = startedAt;
    this.abort = new AbortController();
    /** @type {TappedContext | null} */
    this.context = null;
    /** @type {Clip | null} */
    this.clip = null;
    this.buffer = new JitterBuffer(begin);
    this.isReceived = false;
    /** @type {Stats} */
    this.stats = { ttfa: null, heard: null, received: null, seconds: 0, underruns: 0 };
    /** @type {Set<AudioBufferSourceNode>} */
    this.sources = new Set();
    this.onFinished = () => {};
  }

  /**
   * @param {Float32Array<ArrayBuffer>} floats
   * @param {number} rate
   * @returns {Scheduled | null} null without a sound device
   */
  schedule(floats, rate) {
    const context = this.context;
    if (context === null) return null;
    const isFirst = this.buffer.scheduled === 0;
    const before = this.buffer.end;
    const now = context.currentTime;
    const start = this.buffer.add(floats.length / rate, now);
    this.stats.underruns = this.buffer.underruns;
    this.#source(context, floats, rate).start(start);
    if (isFirst && this.stats.ttfa === null) this.#recordStart(context, start - now);
    return { wait: start - now, gap: isFirst ? 0 : start - before };
  }

  /**
   * @param {TappedContext} context
   * @param {Float32Array<ArrayBuffer>} floats
   * @param {number} rate
   */
  #source(context, floats, rate) {
    const buffer = context.createBuffer(1, floats.length, rate);
    buffer.copyToChannel(floats, 0);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(context.tap);
    source.onended = () => this.#onSourceEnded(source);
    this.sources.add(source);
    return source;
  }

  /**
   * @param {TappedContext} context
   * @param {number} ahead seconds until the first sound
   */
  #recordStart(context, ahead) {
    if (this.startedAt === null) return;
    this.stats.ttfa = performance.now() - this.startedAt + ahead * 1000;
    this.stats.heard = this.stats.ttfa + latencyOf(context) * 1000;
  }

  /** @param {AudioBufferSourceNode} source */
  #onSourceEnded(source) {
    this.sources.delete(source);
    if (this.isReceived && this.sources.size === 0) this.onFinished();
  }

  /** @returns {Promise<void>} resolves once all of it was heard */
  finished() {
    if (this.sources.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onFinished = resolve;
    });
  }

  /** Seconds into the clip that are heard now, by the clock of the sound device. */
  get position() {
    const { context } = this;
    return context ? this.buffer.position(context.currentTime - latencyOf(context)) : 0;
  }

  /**
   * Go on from another position of the clip, of which that much has arrived.
   * @param {number} seconds
   */
  seek(seconds) {
    if (this.clip === null) return;
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
    this.buffer = new JitterBuffer(seconds);
    this.schedule(this.clip.joined().subarray(Math.floor(seconds * this.clip.rate)), this.clip.rate);
  }

  /** Whether all that came was heard, and more is to come. */
  get isDry() {
    const { buffer, context } = this;
    return !this.isReceived && context !== null && buffer.scheduled > 0 && buffer.end < context.currentTime;
  }

  get isCancelled() {
    return this.abort.signal.aborted;
  }

  cancel() {
    this.abort.abort();
    for (const source of this.sources) source.stop();
    this.onFinished();
  }
}

/**
 * Seconds that the sound device adds.
 * @param {AudioContext} context
 */
const latencyOf = (context) => context.outputLatency || context.baseLatency || 0;
