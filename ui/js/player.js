/**
 * Streaming player: plays speech while it is being synthesized, and measures the time to first audio.
 *
 * It requests PCM from the HTTP API of the same origin and schedules it in gapless buffers, accurate to the sample: an
 * AudioWorklet does not exist on plain http pages of a home network, and media elements wait for a second of audio
 * before they start. All tabs share the one `player`: a new playback stops the one before.
 */

import { accentColour, prepareCanvas } from "./canvas.js";
import { errorMessage, isAbort, isVisible, RequestError, request, urlOf } from "./common.js";
import { JitterBuffer } from "./jitter_buffer.js";
import { Clip, rms, SampleReader, toFloats } from "./pcm.js";
import { mediaElementQuery } from "./speech_request.js";

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
const MAX_CONTEXTS = 3; // phones allow few
const SUSPEND_AFTER = 30000; // milliseconds of silence until the audio device is released
const GESTURE_AGE = 1000; // milliseconds: an older click did not cause this playback
const BARS = 64;

/** The playback of one utterance. */
class Playback {
  /**
   * @param {number} startedAt when it was requested
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
    this.stats = { ttfa: null, heard: null, rtf: null, seconds: 0, underruns: 0 };
    /** @type {Set<AudioBufferSourceNode>} */
    this.sources = new Set();
    this.onFinished = () => {};
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
    if (isFirst) this.#recordStart(context, start - now);
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
    const latency = context.outputLatency || context.baseLatency || 0;
    this.stats.ttfa = performance.now() - this.startedAt + ahead * 1000;
    this.stats.heard = this.stats.ttfa + latency * 1000;
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
    this.onFinished();
  }
}

/** Audio contexts, one for each sample rate, so that no buffer is resampled and joins stay exact. */
class AudioContexts {
  /** @type {Map<number, TappedContext>} */
  #made = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #suspendTimer;

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
      context = createTappedContext(rate);
      this.#made.set(rate, context);
    }
    if (context.state !== "running") context.resume(); // suspended, or interrupted by a call
    return context;
  }

  /** @param {TappedContext | null} inUse */
  #closeOldest(inUse) {
    if (this.#made.size < MAX_CONTEXTS) return;
    const oldest = [...this.#made].find(([, context]) => context !== inUse);
    if (!oldest) return;
    this.#made.delete(oldest[0]);
    oldest[1].close();
  }

  resume() {
    for (const context of this.#made.values()) if (context.state !== "running") context.resume();
  }

  suspendSoon() {
    clearTimeout(this.#suspendTimer);
    this.#suspendTimer = setTimeout(() => {
      for (const context of this.#made.values()) context.suspend();
    }, SUSPEND_AFTER);
  }

  keepRunning() {
    clearTimeout(this.#suspendTimer);
  }
}

/** Plays one utterance at a time; emits "change" when `state`, `stats`, `clip` or `problem` changes. */
export class Player extends EventTarget {
  #contexts = new AudioContexts();
  /** @type {Playback | null} */
  #playback = null;
  /** @type {Set<HTMLCanvasElement>} */
  #canvases = new Set();
  #frame = 0;
  #gesture = -Infinity;
  /** @type {HTMLAudioElement | null} */
  #audio = null;
  /** @type {TappedContext | null} */
  #activeContext = null;

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
    this.lacksStreaming = !supportsStreaming();
    preventMuting();
    for (const kind of ["pointerup", "touchend", "click", "keydown"]) {
      document.addEventListener(kind, (event) => this.#unlock(event), { capture: true, passive: true });
    }
  }

  /** Root mean square of what sounds now. */
  get rms() {
    return this.#activeContext ? rms(readWaveform(this.#activeContext.tap)) : 0;
  }

  get isBusy() {
    return this.state === "waiting" || this.state === "playing";
  }

  /** How much of the clip was heard, from 0 to 1; 0 as long as its length is not known. */
  get fraction() {
    const playback = this.#playback;
    return this.isBusy && playback?.clip?.isComplete
      ? Math.min(1, playback.position / playback.clip.seconds)
      : 0;
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
    if (!this.lacksStreaming && !this.#contexts.isEmpty) this.#context(rate);
  }

  /**
   * Speak; what played before is cancelled.
   * @param {SpeechRequest} body
   * @returns {Promise<Clip | null>} once all was heard; null if it was stopped or failed
   */
  async play(body) {
    const playback = this.#next(new Playback(this.#requestedAt()));
    this.clip = null;
    this.#setState(playback, "waiting");
    if (this.lacksStreaming) return this.#playWithMediaElement(playback, body);
    try {
      await this.#stream(playback, body);
      await playback.finished();
      this.#setState(playback, "done");
      return this.#playback === playback && this.state === "done" ? playback.clip : null;
    } catch (error) {
      this.#fail(playback, error);
      return null;
    }
  }

  /**
   * Replay a clip.
   * @param {Clip} clip
   * @param {number} [fraction] of its beginning to skip
   */
  async replay(clip, fraction = 0) {
    const playback = this.#next(new Playback(this.#requestedAt(), Math.min(fraction, 0.999) * clip.seconds));
    playback.clip = this.clip = clip;
    playback.stats.seconds = clip.seconds;
    this.#startSound(playback, clip.rate);
    playback.schedule(clip.joined().subarray(Math.floor(playback.buffer.begin * clip.rate)), clip.rate);
    playback.isReceived = true;
    this.#setState(playback, "playing");
    await playback.finished();
    this.#setState(playback, "done");
  }

  stop() {
    const playback = this.#playback;
    if (playback === null || !this.isBusy) return;
    this.#cancel();
    this.#setState(playback, "stopped");
  }

  /** @param {Playback} playback */
  #next(playback) {
    this.#cancel();
    this.#playback = playback;
    return playback;
  }

  #cancel() {
    this.#playback?.cancel();
    this.#audio?.pause();
    this.#audio?.removeAttribute("src");
    this.#audio?.load(); // which aborts the request
  }

  /**
   * @param {Playback} playback
   * @param {State} state
   */
  #setState(playback, state) {
    if (this.#playback !== playback || (playback.isCancelled && state !== "stopped")) return;
    this.state = state;
    this.stats = playback.stats;
    this.problem = "";
    this.#notify();
    if (!this.isBusy) this.#contexts.suspendSoon();
  }

  /**
   * @param {Playback} playback
   * @param {unknown} error
   */
  #fail(playback, error) {
    if (isAbort(error) || this.#playback !== playback || playback.isCancelled) return;
    playback.cancel();
    this.state = "failed";
    this.problem = errorText(error);
    this.#notify();
    this.#contexts.suspendSoon();
  }

  #notify() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * @param {Playback} playback
   * @param {SpeechRequest} body
   */
  async #stream(playback, body) {
    const sentAt = performance.now();
    const json = { ...body, response_format: "pcm" };
    const answer = await request("v1/audio/speech", { json, signal: playback.abort.signal });
    const rate = Number(answer.headers.get("X-Sample-Rate")) || USUAL_RATE;
    const clip = new Clip(rate);
    playback.clip = this.clip = clip;
    this.#startSound(playback, rate);
    await this.#receive(playback, clip, answer);
    clip.isComplete = playback.isReceived = true;
    playback.stats.rtf = clip.samples ? (performance.now() - sentAt) / 1000 / clip.seconds : null;
    this.#notify();
  }

  /**
   * @param {Playback} playback
   * @param {Clip} clip
   * @param {Response} answer
   */
  async #receive(playback, clip, answer) {
    const samples = new SampleReader();
    const reader = answer.body?.getReader();
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || !value) return;
      const piece = samples.read(value);
      if (piece.length) this.#receivePiece(playback, clip, piece);
    }
  }

  /**
   * @param {Playback} playback
   * @param {Clip} clip
   * @param {Int16Array} piece
   */
  #receivePiece(playback, clip, piece) {
    clip.add(piece);
    playback.stats.seconds = clip.seconds;
    playback.schedule(toFloats(piece), clip.rate);
    if (this.state === "waiting") this.#setState(playback, "playing");
  }

  /**
   * @param {Playback} playback
   * @param {number} rate
   */
  #startSound(playback, rate) {
    playback.context = this.#activeContext = this.#context(rate);
    this.#contexts.keepRunning();
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  /** @param {number} rate */
  #context(rate) {
    return this.#contexts.of(rate, this.#playback?.context);
  }

  /**
   * Browsers let sound begin only in the handler of a gesture.
   * @param {Event} event
   */
  #unlock(event) {
    if (!event.isTrusted) return;
    this.#gesture = event.timeStamp;
    if (this.lacksStreaming) return;
    if (this.#contexts.isEmpty) this.#context(USUAL_RATE);
    this.#contexts.resume();
  }

  #requestedAt() {
    const now = performance.now();
    return now - this.#gesture < GESTURE_AGE ? this.#gesture : now;
  }

  /**
   * Fall back to a media element, which starts later and supports fewer parameters.
   * @param {Playback} playback
   * @param {SpeechRequest} body
   */
  async #playWithMediaElement(playback, body) {
    this.#audio ??= new Audio();
    const audio = this.#audio;
    audio.onplaying = () => {
      playback.stats.ttfa ??= performance.now() - playback.startedAt;
      this.#setState(playback, "playing");
    };
    audio.onended = () => this.#setState(playback, "done");
    audio.onerror = () => this.#fail(playback, new Error(audio.error?.message || ""));
    audio.src = urlOf(`synthesize-stream?${mediaElementQuery(body)}`).href;
    try {
      await audio.play();
    } catch (error) {
      this.#fail(playback, error);
    }
    return null;
  }

  #draw() {
    this.#frame = 0;
    const tap = this.#activeContext?.tap;
    if (!tap) return;
    for (const canvas of this.#canvases) {
      if (!canvas.isConnected) this.#canvases.delete(canvas);
      else if (isVisible(canvas)) drawLive(canvas, tap, this.isBusy);
    }
    if (this.isBusy) this.#frame = requestAnimationFrame(() => this.#draw());
  }
}

function supportsStreaming() {
  const canRead =
    typeof ReadableStream === "function" && typeof Response === "function" && "body" in Response.prototype;
  return Boolean(contextType()) && canRead;
}

/** @returns {typeof AudioContext | undefined} */
function contextType() {
  return window.AudioContext || /** @type {any} */ (window).webkitAudioContext;
}

/** Keep the mute switch of phones from silencing the page: it applies unless the page declares playback. */
function preventMuting() {
  const { audioSession } = /** @type {{ audioSession?: { type: string } }} */ (navigator);
  if (audioSession) audioSession.type = "playback";
}

/**
 * @param {number} rate
 * @returns {TappedContext}
 */
function createTappedContext(rate) {
  const context = createContext(rate);
  const tap = context.createAnalyser();
  tap.fftSize = 1024;
  tap.smoothingTimeConstant = 0.6;
  tap.connect(context.destination);
  return Object.assign(context, { tap });
}

/** @param {number} rate */
function createContext(rate) {
  const Context = contextType() ?? AudioContext;
  try {
    return new Context({ sampleRate: rate, latencyHint: "interactive" });
  } catch {
    return new Context(); // a rate that it cannot do: it resamples
  }
}

/** @param {unknown} error */
function errorText(error) {
  if (!(error instanceof RequestError) || error.message) return errorMessage(error);
  return error.status ? `HTTP ${error.status}` : errorMessage(error.cause);
}

/** @param {AnalyserNode} tap */
function readWaveform(tap) {
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
  const { pen, width, height, scale } = prepareCanvas(canvas);
  if (!isBusy) return;
  pen.fillStyle = pen.strokeStyle = accentColour(canvas);
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
  const wave = readWaveform(tap);
  for (const [i, x] of wave.entries()) pen.lineTo((i / wave.length) * width, (height * (1 - x)) / 2);
  pen.stroke();
}

export const player = new Player();
