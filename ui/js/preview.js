/**
 * The Preview tab: playback state and measurements, waveform and spectrogram, downloads, shortcut keys, A/B comparison.
 */

import { accentColour, drawingContext, prepareCanvas } from "./canvas.js";
import { find, isVisible, localize, localizeElements, RequestError, request } from "./common.js";
import { player } from "./player.js";
import { ReadAlong } from "./read_along.js";
import { envelope, spectrogram } from "./spectrum.js";
import { speechRequest } from "./speech_request.js";

/** @typedef {import("./common.js").Translate} Translate */
/** @typedef {import("./pcm.js").Clip} Clip */
/** @typedef {import("./player.js").Stats} Stats */
/** @typedef {import("./speech_request.js").Fields & Record<string, unknown>} Fields */
/** @typedef {import("./speech_request.js").VoiceFacts} VoiceFacts */

/**
 * A request, and the clip that answered it.
 * @typedef {{ asked: string, clip: Clip | null }} Heard
 */

const MAX_COLUMNS = 900; // of the spectrogram
const REVOKED_AFTER = 60000; // milliseconds that a download has to begin

class PreviewTab {
  /** @type {{ a: Heard | null, b: Heard | null }} */
  #heard = { a: null, b: null };
  /** @type {"a" | "b"} */
  #side = "a";
  /** @type {Clip | null} */
  #pictured = null;
  #frame = 0;

  /** @param {import("./common.js").MountContext} context */
  constructor({ element, props }) {
    this.element = element;
    this.translate = localize(props.texts).translate;
    /** @param {string} name */
    const text = (name) => find(element, `[data-part="${name}"]`, HTMLElement);
    /** @param {string} name */
    const canvas = (name) => find(element, `canvas[data-part="${name}"]`, HTMLCanvasElement);
    this.outputs = {
      side: text("side"),
      state: text("state"),
      measured: text("measured"),
      plain: text("plain"),
    };
    this.wave = canvas("wave");
    this.spectrogram = canvas("spectrogram");
    localizeElements(element, this.translate);
    this.readAlong = new ReadAlong(text("words"), (seconds) => player.seek(seconds));
    player.show(canvas("live"));
    this.#follow();
  }

  #follow() {
    const whileHere = new AbortController();
    /** @param {(event: Event) => void} work */
    const here = (work) => (/** @type {Event} */ event) =>
      this.element.isConnected ? work(event) : whileHere.abort();
    const { signal } = whileHere;
    player.addEventListener(
      "change",
      here(() => this.#update()),
      { signal },
    );
    player.addEventListener(
      "words",
      here(() => this.#showWords()),
      { signal },
    );
    document.addEventListener(
      "keydown",
      here((event) => this.#onKey(event)),
      { signal, capture: true },
    );
    new ResizeObserver(() => this.#drawAgain()).observe(this.wave);
    this.#update();
  }

  #update() {
    const { state, stats, clip } = player;
    this.outputs.state.textContent =
      state === "failed" ? `${this.translate("failed")} ${player.problem}` : this.translate(`is_${state}`);
    this.outputs.side.textContent = this.#heard.b ? this.#side.toUpperCase() : "";
    this.outputs.measured.textContent = stats ? measured(stats, this.translate) : "";
    this.outputs.plain.hidden = !player.lacksStreaming;
    this.element.dataset.state = state;
    this.#showWords();
    if (!clip?.isReplayable) return;
    const heard = this.#heard[this.#side];
    if (heard) heard.clip = clip;
    if (!player.isBusy) this.#draw(clip);
  }

  #showWords() {
    const { clip } = player;
    if (clip) this.readAlong.show(clip.text, clip.words);
    if (!this.#frame) this.#markWord();
  }

  #markWord() {
    this.#frame = 0;
    this.readAlong.mark(player.position);
    if (player.isBusy && this.element.isConnected)
      this.#frame = requestAnimationFrame(() => this.#markWord());
  }

  // ---- What the buttons do

  /** @param {Fields} fields */
  speak(fields) {
    return this.#hear(fields, "a");
  }

  stop() {
    player.stop();
  }

  /**
   * Turn to the other voice: from where the first is now if it was heard to its end before, else from the beginning.
   * @param {Fields} fields
   */
  async turn(fields) {
    const next = this.#side === "a" ? "b" : "a";
    if (next === "b" && !fields.other) return;
    await this.#hear(fields, next, player.fraction);
  }

  /**
   * @param {Fields} fields
   * @param {"a" | "b"} side
   * @param {number} [fraction]
   */
  async #hear(fields, side, fraction = 0) {
    if (!fields.text?.trim()) {
      player.stop();
      this.outputs.state.textContent = this.translate("nothing");
      return;
    }
    this.#side = side;
    const body = speechRequest(fields, side === "a" ? fields.voice : fields.other);
    const asked = JSON.stringify(body);
    const known = this.#heard[side];
    if (fraction && known?.asked === asked && known.clip) return player.replay(known.clip, fraction);
    this.#heard[side] = { asked, clip: null };
    await player.play(body);
  }

  /**
   * Have the text spoken into a file.
   * @param {Fields} fields
   * @param {string} format
   */
  async download(fields, format) {
    if (!fields.text?.trim()) {
      this.outputs.state.textContent = this.translate("nothing");
      return;
    }
    const body = speechRequest(fields, this.#side === "b" && fields.other ? fields.other : fields.voice);
    this.outputs.state.textContent = this.translate("making");
    try {
      const answer = await request("v1/audio/speech", {
        json: { ...body, response_format: format, stream: false },
      });
      saveAs(await answer.blob(), `${body.voice || "speech"}.${format}`);
      this.#update();
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      this.outputs.state.textContent = `${this.translate("failed")} ${error.message || error.status || ""}`;
    }
  }

  /** @param {Event} event */
  #onKey(event) {
    if (!(event instanceof KeyboardEvent) || !isVisible(this.element)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey))
      document.getElementById("preview-speak")?.click();
    else if (event.key === "Escape" && player.isBusy) player.stop();
    else if (event.key === "F2" && !event.repeat) document.getElementById("preview-turn")?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ---- Pictures

  /** @param {Clip} clip */
  #draw(clip) {
    if (this.#pictured === clip || !this.wave.clientWidth) return;
    this.#pictured = clip;
    const samples = clip.joined();
    drawWave(this.wave, samples);
    drawSpectrogram(this.spectrogram, samples, clip.rate);
    this.element.dataset.pictured = "true";
  }

  #drawAgain() {
    const clip = this.#pictured;
    if (!clip || !this.wave.clientWidth) return;
    this.#pictured = null;
    this.#draw(clip);
  }
}

/**
 * @param {Stats} stats
 * @param {Translate} translate
 */
function measured({ ttfa, rtf, seconds, underruns }, translate) {
  const parts = [];
  if (ttfa !== null) parts.push(`${translate("first_sound")} ${Math.round(ttfa)} ms`);
  if (rtf !== null) parts.push(`${translate("real_time_factor")} ${rtf.toFixed(2)}`);
  if (seconds) parts.push(`${seconds.toFixed(1)} s`);
  if (underruns) parts.push(`${translate("underruns")} ${underruns}`);
  return parts.join(" · ");
}

/**
 * @param {Blob} content
 * @param {string} name
 */
function saveAs(content, name) {
  const href = URL.createObjectURL(content);
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), REVOKED_AFTER);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} samples
 */
function drawWave(canvas, samples) {
  const { pen, width, height } = prepareCanvas(canvas);
  pen.fillStyle = accentColour(canvas);
  for (const [x, { low, high }] of envelope(samples, width).entries()) {
    pen.fillRect(x, ((1 - high) * height) / 2, 1, Math.max(1, ((high - low) * height) / 2));
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} samples
 * @param {number} rate
 */
function drawSpectrogram(canvas, samples, rate) {
  const { pen, width, height } = prepareCanvas(canvas);
  const columns = spectrogram(samples, rate, Math.min(width, MAX_COLUMNS));
  const bins = columns[0].length;
  const colour = pixelOf(pen, accentColour(canvas));
  const image = new ImageData(columns.length, bins);
  for (const [x, column] of columns.entries()) {
    for (const [bin, strength] of column.entries()) {
      image.data.set([...colour, 255 * strength], 4 * ((bins - 1 - bin) * columns.length + x));
    }
  }
  const small = Object.assign(document.createElement("canvas"), { width: columns.length, height: bins });
  drawingContext(small).putImageData(image, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.drawImage(small, 0, 0, width, height);
}

/**
 * Red, green and blue of a colour, however it is written.
 * @param {CanvasRenderingContext2D} pen what it draws is lost
 * @param {string} colour
 */
function pixelOf(pen, colour) {
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data.subarray(0, 3)];
}

// ---- What Gradio calls

/** @type {(tab: PreviewTab) => void} */
let made = () => {};
/** @type {Promise<PreviewTab>} */
const tab = new Promise((resolve) => {
  made = resolve;
});

/** @param {import("./common.js").MountContext} context */
export const mount = (context) => made(new PreviewTab(context));

/**
 * What a button of the tab does when it is pressed.
 * @param {"speak" | "stop" | "turn" | "wav" | "mp3" | "opus" | "srt"} name
 * @param {Fields} fields
 */
export async function press(name, fields) {
  const pressed = await tab;
  if (name === "speak" || name === "stop" || name === "turn") await pressed[name](fields);
  else await pressed.download(fields, name);
}

/**
 * Another voice was chosen.
 * @param {VoiceFacts | null} facts
 */
export const expect = (facts) => facts && player.expect(facts.sample_rate);
