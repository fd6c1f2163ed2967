/**
 * The player: plays speech while it is being made, and tells how soon it was heard.
 *
 * It asks the HTTP API of the same origin for PCM and schedules it in buffers that follow each other to the sample: an
 * AudioWorklet does not exist on plain http pages of a home network, and media elements wait for a second of audio
 * before they start. All tabs share the one `player`: whatever speaks next silences what spoke before.
 */

import { accentOf, cleared } from "./canvas.js";
import { addressOf, isAbort, isVisible, messageOf, RequestError, request } from "./common.js";
import { JitterBuffer } from "./jitter_buffer.js";
import { Clip, rms, SampleReader, toFloats } from "./pcm.js";
import { plainQuery } from "./speech_request.js";

/** @typedef {"idle" | "waiting" | "playing" | "done" | "stopped" | "failed"} State */

/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */

/**
 * @typedef {object} Stats
 * @property {number | null} ttfa milliseconds from the click to the first sound
 * @property {number | null} heard the same, with what the sound device adds
 * @property {number | null} rtf seconds of work for a second of audio
 * @property {number} seconds of audio that came
 * @property {number} underruns
 */

/** @typedef {AudioContext & { tap: AnalyserNode }} TappedContext */

const USUAL_RATE = 24000;
const MOST_CONTEXTS = 3; // phones allow few
const REST_AFTER = 30000; // milliseconds of silence until the sound device is let go
const GESTURE_AGE = 1000; // milliseconds: an older click did not ask for this
const BARS = 64;

/** One utterance on its way to the ear. */
class Run {
  /**
   * @param {number} startedAt when it was asked for
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
    this.isFed = false;
    /** @type {Stats} */
    this.stats = { ttfa: null, heard: null, rtf: null, seconds: 0, underruns: 0 };
    /** @type {Set<AudioBufferSourceNode>} */
    this.sources = new Set();
    this.whenQuiet = () => {};
  }

  /**
   * @param {Float32Array<ArrayBuffer>} floats
   * @param {number} rate
   */
  schedule(floats, rate) {
    const context = this.context;
    if (context === null) return;
    const isFirst = this.buffer.scheduled === 0;
    const now = context.currentTime;
    const start = this.buffer.add(floats.length / rate, now);
    this.stats.underruns = this.buffer.underruns;
    this.#source(context, floats, rate).start(start);
    if (isFirst) this.#begins(context, start - now);
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
    source.onended = () => this.#ended(source);
    this.sources.add(source);
    return source;
  }

  /**
   * @param {TappedContext} context
   * @param {number} ahead seconds until the first sound
   */
  #begins(context, ahead) {
    const latency = context.outputLatency || context.baseLatency || 0;
    this.stats.ttfa = performance.now() - this.startedAt + ahead * 1000;
    this.stats.heard = this.stats.ttfa + latency * 1000;
  }

  /** @param {AudioBufferSourceNode} source */
  #ended(source) {
    this.sources.delete(source);
    if (this.isFed && this.sources.size === 0) this.whenQuiet();
  }

  /** @returns {Promise<void>} resolves once all of it was heard */
  quiet() {
    if (this.sources.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenQuiet = resolve;
    });
  }

  /** Seconds into the clip that are heard now. */
  get position() {
    return this.context ? this.buffer.position(this.context.currentTime) : 0;
  }

  get isCancelled() {
    return this.abort.signal.aborted;
  }

  cancel() {
    this.abort.abort();
    for (const source of this.sources) source.stop();
    this.whenQuiet();
  }
}

/** The contexts that sound comes out of: one for each rate, so that no buffer is resampled and joins stay exact. */
class Contexts {
  /** @type {Map<number, TappedContext>} */
  #made = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting;

  get isEmpty() {
    return this.#made.size === 0;
  }

  /**
   * @param {number} rate
   * @param {TappedContext | null} [inUse] stays open, whatever else has to be closed
   */
  of(rate, inUse = null) {
    let context = this.#made.get(rate);
    if (!context) {
      this.#closeOldest(inUse);
      context = madeContext(rate);
      this.#made.set(rate, context);
    }
    if (context.state !== "running") context.resume(); // suspended, or interrupted by a call
    return context;
  }

  /** @param {TappedContext | null} inUse */
  #closeOldest(inUse) {
    if (this.#made.size < MOST_CONTEXTS) return;
    const oldest = [...this.#made].find(([, context]) => context !== inUse);
    if (!oldest) return;
    this.#made.delete(oldest[0]);
    oldest[1].close();
  }

  resume() {
    for (const context of this.#made.values()) if (context.state !== "running") context.resume();
  }

  restSoon() {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      for (const context of this.#made.values()) context.suspend();
    }, REST_AFTER);
  }

  stayAwake() {
    clearTimeout(this.#resting);
  }
}

/** Plays one utterance at a time; an event "change" says that `state`, `stats`, `clip` or `problem` is another. */
export class Player extends EventTarget {
  #contexts = new Contexts();
  /** @type {Run | null} */
  #run = null;
  /** @type {Set<HTMLCanvasElement>} */
  #canvases = new Set();
  #frame = 0;
  #gesture = -Infinity;
  /** @type {HTMLAudioElement | null} */
  #audio = null;
  /** @type {TappedContext | null} */
  #heardWith = null;

  constructor() {
    super();
    /** @type {State} */
    this.state = "idle";
    /** @type {Stats | null} */
    this.stats = null;
    /** @type {Clip | null} */
    this.clip = null;
    this.problem = "";
    /** Whether this browser cannot play audio while it arrives. */
    this.isPlain = !canStream();
    preventMuting();
    for (const kind of ["pointerup", "touchend", "click", "keydown"]) {
      document.addEventListener(kind, (event) => this.#unlock(event), { capture: true, passive: true });
    }
  }

  /** Root mean square of what sounds now. */
  get rms() {
    return this.#heardWith ? rms(waveOf(this.#heardWith.tap)) : 0;
  }

  get isBusy() {
    return this.state === "waiting" || this.state === "playing";
  }

  /** How much of the clip was heard, from 0 to 1; 0 as long as its length is not known. */
  get fraction() {
    const run = this.#run;
    return this.isBusy && run?.clip?.isWhole ? Math.min(1, run.position / run.clip.seconds) : 0;
  }

  /**
   * Draw waveform and spectrum of what sounds.
   * @param {HTMLCanvasElement} canvas
   */
  show(canvas) {
    this.#canvases.add(canvas);
  }

  /**
   * Make ready for audio of a rate, as soon as the browser allows any.
   * @param {number} rate
   */
  expect(rate) {
    if (!this.isPlain && !this.#contexts.isEmpty) this.#context(rate);
  }

  /**
   * Speak; what played before is cancelled.
   * @param {SpeechRequest} body
   * @returns {Promise<Clip | null>} once all was heard; null if it was stopped or failed
   */
  async play(body) {
    const run = this.#next(new Run(this.#asked()));
    this.clip = null;
    this.#become(run, "waiting");
    if (this.isPlain) return this.#playPlainly(run, body);
    try {
      await this.#stream(run, body);
      await run.quiet();
      this.#become(run, "done");
      return this.#run === run && this.state === "done" ? run.clip : null;
    } catch (error) {
      this.#fail(run, error);
      return null;
    }
  }

  /**
   * Play what was heard, again.
   * @param {Clip} clip
   * @param {number} [fraction] of it that is left out
   */
  async replay(clip, fraction = 0) {
    const run = this.#next(new Run(this.#asked(), Math.min(fraction, 0.999) * clip.seconds));
    run.clip = this.clip = clip;
    run.stats.seconds = clip.seconds;
    this.#sound(run, clip.rate);
    run.schedule(clip.joined().subarray(Math.floor(run.buffer.begin * clip.rate)), clip.rate);
    run.isFed = true;
    this.#become(run, "playing");
    await run.quiet();
    this.#become(run, "done");
  }

  stop() {
    const run = this.#run;
    if (run === null || !this.isBusy) return;
    this.#cancel();
    this.#become(run, "stopped");
  }

  /** @param {Run} run */
  #next(run) {
    this.#cancel();
    this.#run = run;
    return run;
  }

  #cancel() {
    this.#run?.cancel();
    this.#audio?.pause();
    this.#audio?.removeAttribute("src");
    this.#audio?.load(); // which gives up the request
  }

  /**
   * @param {Run} run
   * @param {State} state
   */
  #become(run, state) {
    if (this.#run !== run || (run.isCancelled && state !== "stopped")) return;
    this.state = state;
    this.stats = run.stats;
    this.problem = "";
    this.#tell();
    if (!this.isBusy) this.#contexts.restSoon();
  }

  /**
   * @param {Run} run
   * @param {unknown} error
   */
  #fail(run, error) {
    if (isAbort(error) || this.#run !== run || run.isCancelled) return;
    run.cancel();
    this.state = "failed";
    this.problem = problemOf(error);
    this.#tell();
    this.#contexts.restSoon();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {Run} run
   * @param {SpeechRequest} body
   */
  async #stream(run, body) {
    const sentAt = performance.now();
    const json = { ...body, response_format: "pcm" };
    const answer = await request("v1/audio/speech", { json, signal: run.abort.signal });
    const rate = Number(answer.headers.get("X-Sample-Rate")) || USUAL_RATE;
    const clip = new Clip(rate);
    run.clip = this.clip = clip;
    this.#sound(run, rate);
    await this.#receive(run, clip, answer);
    clip.isWhole = run.isFed = true;
    run.stats.rtf = clip.samples ? (performance.now() - sentAt) / 1000 / clip.seconds : null;
    this.#tell();
  }

  /**
   * @param {Run} run
   * @param {Clip} clip
   * @param {Response} answer
   */
  async #receive(run, clip, answer) {
    const samples = new SampleReader();
    const reader = answer.body?.getReader();
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || !value) return;
      const piece = samples.read(value);
      if (piece.length) this.#hear(run, clip, piece);
    }
  }

  /**
   * @param {Run} run
   * @param {Clip} clip
   * @param {Int16Array} piece
   */
  #hear(run, clip, piece) {
    clip.add(piece);
    run.stats.seconds = clip.seconds;
    run.schedule(toFloats(piece), clip.rate);
    if (this.state === "waiting") this.#become(run, "playing");
  }

  /**
   * @param {Run} run
   * @param {number} rate
   */
  #sound(run, rate) {
    run.context = this.#heardWith = this.#context(rate);
    this.#contexts.stayAwake();
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** @param {number} rate */
  #context(rate) {
    return this.#contexts.of(rate, this.#run?.context);
  }

  /**
   * Browsers let sound begin only in the handler of a gesture.
   * @param {Event} event
   */
  #unlock(event) {
    if (!event.isTrusted) return;
    this.#gesture = event.timeStamp;
    if (this.isPlain) return;
    if (this.#contexts.isEmpty) this.#context(USUAL_RATE);
    this.#contexts.resume();
  }

  #asked() {
    const now = performance.now();
    return now - this.#gesture < GESTURE_AGE ? this.#gesture : now;
  }

  /**
   * Have the browser's own player do it, which starts later and knows fewer wishes.
   * @param {Run} run
   * @param {SpeechRequest} body
   */
  async #playPlainly(run, body) {
    this.#audio ??= new Audio();
    const audio = this.#audio;
    audio.onplaying = () => {
      run.stats.ttfa ??= performance.now() - run.startedAt;
      this.#become(run, "playing");
    };
    audio.onended = () => this.#become(run, "done");
    audio.onerror = () => this.#fail(run, new Error(audio.error?.message || ""));
    audio.src = addressOf(`synthesize-stream?${plainQuery(body)}`).href;
    try {
      await audio.play();
    } catch (error) {
      this.#fail(run, error);
    }
    return null;
  }

  #draw() {
    this.#frame = 0;
    const tap = this.#heardWith?.tap;
    if (!tap) return;
    for (const canvas of this.#canvases) {
      if (!canvas.isConnected) this.#canvases.delete(canvas);
      else if (isVisible(canvas)) drawLive(canvas, tap, this.isBusy);
    }
    if (this.isBusy) this.#frame = requestAnimationFrame(() => this.#draw());
  }
}

function canStream() {
  const canRead =
    typeof ReadableStream === "function" && typeof Response === "function" && "body" in Response.prototype;
  return Boolean(contextType()) && canRead;
}

/** @returns {typeof AudioContext | undefined} */
function contextType() {
  return window.AudioContext || /** @type {any} */ (window).webkitAudioContext;
}

/** The mute switch of phones holds for pages that do not say they play something. */
function preventMuting() {
  const { audioSession } = /** @type {{ audioSession?: { type: string } }} */ (navigator);
  if (audioSession) audioSession.type = "playback";
}

/**
 * @param {number} rate
 * @returns {TappedContext}
 */
function madeContext(rate) {
  const context = untappedContext(rate);
  const tap = context.createAnalyser();
  tap.fftSize = 1024;
  tap.smoothingTimeConstant = 0.6;
  tap.connect(context.destination);
  return Object.assign(context, { tap });
}

/** @param {number} rate */
function untappedContext(rate) {
  const Context = contextType() ?? AudioContext;
  try {
    return new Context({ sampleRate: rate, latencyHint: "interactive" });
  } catch {
    return new Context(); // a rate that it cannot do: it resamples
  }
}

/** @param {unknown} error */
function problemOf(error) {
  if (!(error instanceof RequestError) || error.message) return messageOf(error);
  return error.status ? `HTTP ${error.status}` : messageOf(error.cause);
}

/** @param {AnalyserNode} tap */
function waveOf(tap) {
  const wave = new Float32Array(tap.fftSize);
  tap.getFloatTimeDomainData(wave);
  return wave;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {AnalyserNode} tap
 * @param {boolean} isBusy
 */
function drawLive(canvas, tap, isBusy) {
  const { pen, width, height, scale } = cleared(canvas);
  if (!isBusy) return;
  pen.fillStyle = pen.strokeStyle = accentOf(canvas);
  const levels = new Uint8Array(tap.frequencyBinCount);
  tap.getByteFrequencyData(levels);
  pen.globalAlpha = 0.35;
  for (let i = 0; i < BARS; i++) {
    const bar = (levels[Math.floor((i * levels.length) / BARS)] / 255) * height;
    pen.fillRect((i * width) / BARS, height - bar, width / BARS - scale, bar);
  }
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5 * scale;
  pen.beginPath();
  const wave = waveOf(tap);
  for (const [i, x] of wave.entries()) pen.lineTo((i / wave.length) * width, (height * (1 - x)) / 2);
  pen.stroke();
}

export const player = new Player();
