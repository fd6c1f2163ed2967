/**
 * Streaming player: plays speech while it is being synthesized, and measures the time to first audio.
 *
 * It requests PCM, and the times of the words, from the HTTP API of the same origin and schedules it in gapless buffers, accurate to the sample: an
 * AudioWorklet does not exist on plain http pages of a home network, and media elements wait for a second of audio
 * before they start. All tabs share the one `player`: a new playback stops the one before.
 */

import { AudioContexts, contextType } from "./audio_contexts.js";
import { isAbort, RequestError, request, urlOf } from "./common.js";
import { bytesOfBase64, EventStreamReader } from "./event_stream.js";
import { Clip, rms, SampleReader, toFloats } from "./pcm.js";
import { Playback } from "./playback.js";
import { isSameRequest, mediaElementQuery } from "./speech_request.js";

/** @typedef {"idle" | "waiting" | "playing" | "done" | "stopped" | "failed"} State */

/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */

/**
 * An event of the answer: audio in base64, the words that begin in the audio that follows, its end, or a failure.
 * @typedef {{ type: "speech.audio.delta", audio: string } | { type: "speech.audio.words", words: SpokenWord[] }
 *   | { type: "speech.audio.done" } | { type: "error", error?: { message?: string, code?: string } }} SpeechEvent
 */

/** @typedef {import("./pcm.js").SpokenWord} SpokenWord */

/** @typedef {import("./playback.js").Stats} Stats */

/** @typedef {import("./playback.js").Scheduled} Scheduled */

/**
 * Audio that something else receives and the player plays.
 * @typedef {object} Reception
 * @property {AbortSignal} signal aborts when it is stopped, fails, or something else plays
 * @property {() => number} position seconds of it that were heard
 * @property {(text: string) => void} write replaces the text that is spoken, as more of it is known
 * @property {(bytes: Uint8Array) => Scheduled | null} add plays a piece; null if it has no whole sample, or was stopped
 * @property {(words: SpokenWord[]) => void} words that begin in the audio that follows
 * @property {() => Promise<void>} end resolves once all was heard
 * @property {(error: unknown) => void} fail
 */

/** @typedef {import("./audio_contexts.js").TappedContext} TappedContext */

const USUAL_RATE = 24000;
const GESTURE_AGE = 1000; // milliseconds: an older click did not cause this playback

/**
 * Plays one utterance at a time; emits "change" when `state`, `stats`, `clip` or `error` changes, "words" when more
 * words of the clip are known. The bar's button emits "wanted": a tab that has something to say then cancels that.
 */
export class Player extends EventTarget {
  #contexts = new AudioContexts();
  /** @type {Playback | null} */
  #playback = null;
  #expectedRate = USUAL_RATE;
  #gesture = -Infinity;
  /** @type {HTMLAudioElement | null} */
  #audio = null;
  /** @type {TappedContext | null} */
  #activeContext = null;
  #otherPages = typeof BroadcastChannel === "function" ? new BroadcastChannel("wyoming-tts.player") : null;

  constructor() {
    super();
    /** @type {State} */
    this.state = "idle";
    /** @type {Stats | null} */
    this.stats = null;
    /** @type {Clip | null} */
    this.clip = null;
    /** The request that `clip` answers. @type {SpeechRequest | null} */
    this.body = null;
    /** What hides the voice's name, while that must not be known. */
    this.label = "";
    /** What failed, and so why nothing sounds. @type {unknown} */
    this.error = null;
    /** Whether this browser cannot play audio while it arrives. */
    this.lacksStreaming = !supportsStreaming();
    preventMuting();
    this.#otherPages?.addEventListener("message", () => this.stop());
    for (const kind of ["pointerup", "touchend", "click", "keydown"]) {
      document.addEventListener(kind, (event) => this.#unlock(event), { capture: true, passive: true });
    }
  }

  /** Root mean square of what sounds now. */
  get rms() {
    return this.#activeContext ? rms(waveformOf(this.#activeContext.tap)) : 0;
  }

  get isBusy() {
    return this.state === "waiting" || this.state === "playing";
  }

  /** Whether the server was asked to speak, and nothing is heard yet; not while a text is still being typed. */
  get awaitsAnswer() {
    return this.state === "waiting" && this.#playback !== null && this.#playback.startedAt !== null;
  }

  /** Whether the sound has run dry: more of it is on its way. */
  get isDry() {
    return this.state === "playing" && this.#playback !== null && this.#playback.isDry;
  }

  /** How much of the clip was heard, from 0 to 1; 0 as long as its length is not known. */
  get fraction() {
    const playback = this.#playback;
    return this.isBusy && playback?.clip?.isComplete
      ? Math.min(1, playback.position / playback.clip.seconds)
      : 0;
  }

  /**
   * What was heard last, if it answers a request and can be heard again.
   * @param {SpeechRequest} body
   */
  clipOf(body) {
    const isAnswer = this.body !== null && !this.label && isSameRequest(this.body, body);
    return isAnswer && this.clip?.isReplayable ? this.clip : null;
  }

  /**
   * Make ready for audio of a rate, as soon as the browser allows any.
   * @param {number} rate
   */
  expect(rate) {
    this.#expectedRate = rate;
    if (this.lacksStreaming || this.#contexts.isEmpty) return;
    const isAwaited = this.awaitsAnswer && this.#playback?.context === null;
    if (isAwaited) this.#contexts.use(rate);
    else this.#contexts.prepare(rate);
  }

  /**
   * Speak; what played before is cancelled.
   * @param {SpeechRequest} body
   * @param {string} [label] shown in place of the voice's name
   * @returns {Promise<Clip | null>} once all was heard; null if it was stopped or failed
   */
  async play(body, label = "") {
    const startedAt = this.#requestedAt();
    const playback = this.#next(new Playback(startedAt));
    this.clip = null;
    this.body = body;
    this.label = label;
    this.#setState(playback, "waiting");
    if (this.lacksStreaming) return this.#playWithMediaElement(playback, body, startedAt);
    this.#contexts.use(this.#expectedRate); // the sound device wakes while the server is asked
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
   * Play audio that is received elsewhere, as over a WebSocket; what played before is cancelled. How soon it sounds
   * is not measured: its text may not be written yet.
   * @param {number} rate
   * @param {SpeechRequest} body that would give the same, to be saved or heard again
   * @returns {Reception}
   */
  receive(rate, body) {
    const playback = this.#next(new Playback(null));
    const clip = new Clip(rate, body.input);
    const samples = new SampleReader();
    playback.clip = this.clip = clip;
    this.body = body;
    this.label = "";
    this.#startSound(playback, rate);
    this.#setState(playback, "waiting");
    return {
      signal: playback.abort.signal,
      position: () => playback.position,
      write: (text) => {
        clip.text = text;
        if (this.#playback === playback) this.body = { ...body, input: text };
      },
      add: (bytes) => {
        const piece = playback.isCancelled ? new Int16Array() : samples.read(bytes);
        return piece.length ? this.#receivePiece(playback, clip, piece) : null;
      },
      words: (words) => this.#receiveWords(clip, words),
      end: async () => {
        clip.isComplete = true;
        playback.isReceived = true;
        this.#notify();
        await playback.finished();
        this.#setState(playback, "done");
      },
      fail: (error) => this.#fail(playback, error),
    };
  }

  /**
   * Replay a clip.
   * @param {Clip} clip
   * @param {number} [fraction] of its beginning to skip
   * @param {SpeechRequest | null} [body] the request that it answered
   */
  async replay(clip, fraction = 0, body = this.body) {
    const playback = this.#next(new Playback(this.#requestedAt(), Math.min(fraction, 0.999) * clip.seconds));
    playback.clip = this.clip = clip;
    if (body !== this.body) this.label = "";
    this.body = body;
    playback.stats.seconds = clip.seconds;
    this.#startSound(playback, clip.rate);
    playback.schedule(clip.joined().subarray(Math.floor(playback.buffer.begin * clip.rate)), clip.rate);
    playback.isReceived = true;
    this.#setState(playback, "playing");
    await playback.finished();
    this.#setState(playback, "done");
  }

  /** Seconds into the clip that are heard now; null while nothing plays. */
  get position() {
    return this.state === "playing" && this.#playback?.clip ? this.#playback.position : null;
  }

  /**
   * Play from a position of the clip, as far as it is in memory; one that is still arriving goes on from there.
   * @param {number} seconds
   */
  seek(seconds) {
    const playback = this.#playback;
    if (this.state === "playing" && playback?.clip?.canPlayFrom(seconds)) playback.seek(seconds);
    else if (!this.isBusy && this.clip?.isReplayable) this.replay(this.clip, seconds / this.clip.seconds);
  }

  stop() {
    const playback = this.#playback;
    if (playback === null || !this.isBusy) return;
    this.#cancel();
    this.#setState(playback, "stopped");
  }

  /** Name the voice that was hidden behind a label. */
  reveal() {
    if (!this.label) return;
    this.label = "";
    this.#notify();
  }

  /** @param {Playback} playback */
  #next(playback) {
    this.#cancel();
    this.#otherPages?.postMessage("speaking"); // two tabs of a browser do not speak over each other
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
    this.error = null;
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
    this.error = error;
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
    const json = { ...body, response_format: "pcm", stream_format: "sse", return_timestamps: true };
    const answer = await request("v1/audio/speech", { json, signal: playback.abort.signal });
    const rate = Number(answer.headers.get("X-Sample-Rate")) || USUAL_RATE;
    const clip = new Clip(rate, body.input);
    playback.clip = this.clip = clip;
    this.#startSound(playback, rate);
    await this.#receive(playback, clip, answer);
    playback.isReceived = true;
    playback.stats.received = clip.samples ? (performance.now() - sentAt) / 1000 : null;
    this.#notify();
  }

  /**
   * @param {Playback} playback
   * @param {Clip} clip
   * @param {Response} answer
   */
  async #receive(playback, clip, answer) {
    const samples = new SampleReader();
    const events = new EventStreamReader();
    const reader = answer.body?.getReader();
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || !value) break;
      for (const event of events.read(value)) this.#receiveEvent(playback, clip, samples, event);
    }
    if (!clip.isComplete) throw new RequestError("The answer ended early.", 0, { code: "broken_off" });
  }

  /**
   * @param {Playback} playback
   * @param {Clip} clip
   * @param {SampleReader} samples
   * @param {SpeechEvent} event
   */
  #receiveEvent(playback, clip, samples, event) {
    if (event.type === "speech.audio.delta") {
      const piece = samples.read(bytesOfBase64(event.audio));
      if (piece.length) this.#receivePiece(playback, clip, piece);
    } else if (event.type === "speech.audio.words") {
      this.#receiveWords(clip, event.words);
    } else if (event.type === "speech.audio.done") clip.isComplete = true;
    else if (event.type === "error") {
      throw new RequestError(event.error?.message ?? "", 0, { code: event.error?.code ?? "internal" });
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
    const scheduled = playback.schedule(toFloats(piece), clip.rate);
    if (this.state === "waiting") this.#setState(playback, "playing");
    return scheduled;
  }

  /**
   * @param {Clip} clip
   * @param {SpokenWord[]} words
   */
  #receiveWords(clip, words) {
    clip.words.push(...words);
    this.dispatchEvent(new Event("words"));
  }

  /**
   * @param {Playback} playback
   * @param {number} rate
   */
  #startSound(playback, rate) {
    playback.context = this.#activeContext = this.#contexts.use(rate);
  }

  /**
   * Browsers let sound begin only in the handler of a gesture.
   * @param {Event} event
   */
  #unlock(event) {
    if (!event.isTrusted) return;
    this.#gesture = event.timeStamp;
    if (this.lacksStreaming) return;
    if (this.#contexts.isEmpty) this.#contexts.prepare(this.#expectedRate);
    this.#contexts.unlock();
  }

  #requestedAt() {
    const now = performance.now();
    return now - this.#gesture < GESTURE_AGE ? this.#gesture : now;
  }

  /**
   * Fall back to a media element, which starts later and supports fewer parameters.
   * @param {Playback} playback
   * @param {SpeechRequest} body
   * @param {number} startedAt
   */
  async #playWithMediaElement(playback, body, startedAt) {
    this.#audio ??= new Audio();
    const audio = this.#audio;
    audio.onplaying = () => {
      playback.stats.ttfa ??= performance.now() - startedAt;
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
}

/** @param {AnalyserNode} tap */
function waveformOf(tap) {
  const wave = new Float32Array(tap.fftSize);
  tap.getFloatTimeDomainData(wave);
  return wave;
}

function supportsStreaming() {
  const canRead =
    typeof ReadableStream === "function" && typeof Response === "function" && "body" in Response.prototype;
  return Boolean(contextType()) && canRead;
}

/** Keep the mute switch of phones from silencing the page: it applies unless the page declares playback. */
function preventMuting() {
  const { audioSession } = /** @type {{ audioSession?: { type: string } }} */ (navigator);
  if (audioSession) audioSession.type = "playback";
}

export const player = new Player();
