/**
 * Live speech: text that is sent to the realtime WebSocket as it is written, and heard by the page's one player.
 *
 * A run is what is heard as one: it begins with its first text, and ends when all of it was declared complete and heard,
 * or when it is stopped. Text that follows after `complete` is another response of the same run.
 */

import { RequestError } from "./common.js";
import { player } from "./player.js";
import { RealtimeSocket } from "./stream_live_socket.js";
import { piecesOf } from "./stream_live_text.js";
import { StreamTimeline } from "./stream_timeline.js";

/** @typedef {import("./pcm.js").SpokenWord} SpokenWord */
/** @typedef {import("./player.js").Reception} Reception */
/** @typedef {import("./stream_live_socket.js").RealtimeEvent} RealtimeEvent */

/** @typedef {{ voice: string, speaker: string, speed: number }} Speaking `voice` is "" for the server's default */

/**
 * A response of a run; its text and audio begin where those of the responses before end.
 * @typedef {{ id: string, text: number, seconds: number, isOver: boolean }} LiveResponse
 */

const RATE = 24000; // samples a second
const BYTES_PER_SECOND = 2 * RATE;
const LONGEST = 100_000; // code units of a message: the server closes the connection at one of more than 1 MB

/** What is written and heard as one. */
class Run {
  text = "";
  seconds = 0; // of audio that came
  /** @type {LiveResponse[]} */
  responses = [];
  /** The one that text is appended to. @type {LiveResponse | null} */
  open = null;
  startedAt = performance.now();

  /**
   * @param {Reception} reception
   * @param {StreamTimeline} timeline
   */
  constructor(reception, timeline) {
    this.reception = reception;
    this.timeline = timeline;
  }

  /** Seconds since its start. */
  get now() {
    return (performance.now() - this.startedAt) / 1000;
  }

  get isOver() {
    return this.open === null && this.responses.every(({ isOver }) => isOver);
  }

  /** The response that is heard now, or was last. */
  get heard() {
    const position = this.reception.position();
    return this.responses.filter(({ seconds }) => seconds <= position).at(-1) ?? this.responses[0];
  }
}

/**
 * Emits "change" whenever more was sent or is heard; "stopped" when a run is stopped here or by the player, "done" when
 * all of it was heard; "failed" with the error that ended it, "problem" with one that did not, "heard" with the text that was heard of what was stopped, and "voice"
 * with the name of the voice that speaks instead of the chosen one, in `detail`.
 */
export class LiveSpeech extends EventTarget {
  /** @type {Run | null} */
  #run = null;
  /** The response whose audio comes; null for that of one that was stopped. @type {LiveResponse | null} */
  #receiving = null;
  #responses = 0;
  flushIdle = 0.16;
  /** The timeline of the run, or of the last one. @type {StreamTimeline | null} */
  timeline = null;
  #startedAt = 0;

  constructor() {
    super();
    this.socket = new RealtimeSocket({
      onEvent: (event) => this.#onEvent(event),
      onAudio: (audio) => this.#onAudio(audio),
      onClosed: (error) => this.#onClosed(error),
    });
  }

  /** Whether something is being written or heard. */
  get isActive() {
    return this.#run !== null;
  }

  /** Whether text was written that was not declared complete. */
  get isOpen() {
    return Boolean(this.#run?.open);
  }

  /** Seconds since the start of the run, or of the last one. */
  get now() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** Seconds of audio ahead of what is heard. */
  get left() {
    return this.#run ? this.#run.seconds - this.#run.reception.position() : 0;
  }

  // ---- What is sent

  /**
   * Send text, and begin to speak if nothing does.
   * @param {string} piece
   * @param {Speaking} speaking what a new run is spoken by
   */
  write(piece, speaking) {
    if (!piece || (!this.#run && !piece.trim())) return;
    const run = this.#run ?? this.#begin(speaking);
    const isNew = run.open === null;
    run.open ??= this.#respond(run);
    run.text += piece;
    run.reception.write(run.text);
    run.timeline.send(run.now, piece);
    let named = isNew ? { response_id: run.open.id } : {};
    for (const text of piecesOf(piece, LONGEST)) {
      this.socket.send({ type: "input.append", text, ...named });
      named = {};
    }
    this.#emit("change");
  }

  /** Declare the text complete. */
  complete() {
    const run = this.#run;
    if (!run?.open) return;
    run.open = null;
    run.timeline.complete(run.now);
    this.socket.send({ type: "input.commit" });
    this.#emit("change");
  }

  /** Stop to speak what was sent. */
  stop() {
    if (this.#run) player.stop(); // which ends the run
  }

  /** @param {Speaking} speaking */
  #begin({ voice, speaker, speed }) {
    const spoken = { ...(voice && { voice }), ...(speaker && { speaker }), speed, sample_rate: RATE };
    const reception = player.receive(RATE, { input: "", ...spoken });
    const run = new Run(reception, new StreamTimeline(this.flushIdle));
    reception.signal.addEventListener("abort", () => this.#onStopped(run));
    this.#run = run;
    this.timeline = run.timeline;
    this.#startedAt = run.startedAt;
    this.socket.send({
      type: "session.update",
      session: {
        voice: (speaker ? `${voice}#${speaker}` : voice) || null,
        speed,
        audio: { format: "pcm", sample_rate: RATE, binary: true },
      },
    });
    return run;
  }

  /** @param {Run} run */
  #respond(run) {
    this.#responses += 1;
    const response = {
      id: `live_${this.#responses}`,
      text: run.text.length,
      seconds: Infinity,
      isOver: false,
    };
    run.responses.push(response);
    return response;
  }

  // ---- What comes

  /** @param {RealtimeEvent} event */
  #onEvent(event) {
    const response = this.#run?.responses.find(({ id }) => id === event.response);
    switch (event.type) {
      case "response.created":
        this.#receiving = response ?? null;
        if (response) response.seconds = this.#run?.seconds ?? 0;
        break;
      case "response.output_audio.words":
        if (response) this.#onWords(response, event.words);
        break;
      case "response.voice":
        if (response && event.reason === "fallback") this.#emit("voice", event.voice);
        break;
      case "response.completed":
        if (response) this.#onCompleted(response);
        break;
      case "response.canceled":
      case "response.truncated":
        if (event.heard?.text) this.#emit("heard", event.heard.text);
        break;
      case "response.error":
        this.#onError(event, response);
        break;
    }
  }

  /**
   * @param {LiveResponse} response
   * @param {{ word: string, start_ms: number, end_ms: number, utf16_begin: number, utf16_end: number }[]} words
   */
  #onWords({ text, seconds }, words) {
    const run = this.#run;
    if (!run) return;
    /** @type {SpokenWord[]} */
    const told = words.map((each) => ({
      text: each.word,
      utf16_begin: text + each.utf16_begin,
      utf16_end: text + each.utf16_end,
      start_time: seconds + each.start_ms / 1000,
      end_time: seconds + each.end_ms / 1000,
    }));
    run.timeline.tell(run.now, told);
    run.reception.words(told);
  }

  /** @param {Uint8Array} audio */
  #onAudio(audio) {
    const run = this.#run;
    if (!run || !this.#receiving) return;
    const at = run.now;
    const scheduled = run.reception.add(audio);
    if (!scheduled) return;
    const seconds = audio.length / BYTES_PER_SECOND;
    run.seconds += seconds;
    run.timeline.receive(at, { starts: at + scheduled.wait, seconds, gap: scheduled.gap });
    this.#emit("change");
  }

  /** @param {LiveResponse} response */
  #onCompleted(response) {
    response.isOver = true;
    this.#receiving = null;
    if (this.#run) this.#endOnceHeard(this.#run);
  }

  /**
   * End a run when all of it was heard, unless more text is written before.
   * @param {Run} run
   */
  #endOnceHeard(run) {
    if (this.#run !== run || !run.isOver) return;
    const left = run.seconds - run.reception.position();
    if (left > 0.001) setTimeout(() => this.#endOnceHeard(run), Math.max(20, left * 1000));
    else this.#end(run);
  }

  /** @param {Run} run */
  #end(run) {
    this.#run = null;
    run.timeline.end(run.now);
    run.reception.end();
    this.#emit("done");
  }

  // ---- Why it ends otherwise

  /** The player stopped it: by its user, by something else that plays, in this tab of the browser or another. @param {Run} run */
  #onStopped(run) {
    if (this.#run !== run) return;
    const { heard } = run;
    const played = Math.max(0, run.reception.position() - heard.seconds);
    this.#run = null;
    this.#receiving = null;
    run.timeline.end(run.now);
    const told =
      heard.seconds === Infinity ? {} : { response: heard.id, played_ms: Math.round(played * 1000) };
    this.socket.send({ type: "barge", ...told });
    this.#emit("stopped");
  }

  /**
   * @param {RealtimeEvent} event
   * @param {LiveResponse | undefined} response
   */
  #onError({ message, code, said, response: named }, response) {
    const error = new RequestError(message, 0, { code, said });
    if (response) this.#fail(error);
    else if (!named) this.#emit("problem", error);
  }

  /** @param {RequestError | null} error */
  #onClosed(error) {
    this.#receiving = null;
    if (error) this.#fail(error);
    else if (this.#run) this.#end(this.#run); // idle for so long that all was heard
  }

  /** @param {RequestError} error */
  #fail(error) {
    const run = this.#run;
    if (!run) return;
    this.#run = null;
    run.timeline.end(run.now);
    run.reception.fail(error);
    this.socket.close(); // which drops what else was sent
    this.#emit("failed", error);
  }

  /**
   * @param {string} type
   * @param {unknown} [detail]
   */
  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
