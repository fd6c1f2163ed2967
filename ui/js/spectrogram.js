/** The spectrogram of a clip on a canvas. A Web Worker computes it, as that takes longer than a frame. */

import { accentColour, drawingContext, prepareCanvas } from "./canvas.js";

/** @typedef {import("./pcm.js").Clip} Clip */
/** @typedef {import("./spectrogram_worker.js").SpectrogramAnswer} SpectrogramAnswer */

const COLUMNS = 900;
const OPACITY_AHEAD = 0.5; // of what was not heard yet

/** A canvas with the spectrogram of one clip; emits "drawable" once it is computed, "failed" if it cannot be. */
export class Spectrogram extends EventTarget {
  /** @type {Worker | null} */
  #worker = null;
  /** @type {Clip | null} */
  #clip = null;
  #asked = 0;
  /** @type {HTMLCanvasElement | null} */
  #pixels = null;
  #scaled = document.createElement("canvas");
  #scaledFor = "";

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    super();
    this.canvas = canvas;
  }

  /**
   * Have the spectrogram of a clip computed, unless it is the one that is shown.
   * @param {Clip} clip all of whose audio came
   */
  show(clip) {
    if (clip === this.#clip) return;
    this.clear();
    this.#clip = clip;
    this.#worker ??= this.#start();
    this.#worker.postMessage({ id: this.#asked, pieces: clip.pieces, rate: clip.rate, columns: COLUMNS });
  }

  clear() {
    this.#asked += 1;
    this.#clip = this.#pixels = null;
    this.canvas.removeAttribute("data-drawable");
  }

  #start() {
    const worker = new Worker(new URL("./spectrogram_worker.js", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }) => this.#receive(data));
    worker.addEventListener("error", () => this.dispatchEvent(new Event("failed")));
    return worker;
  }

  /** @param {SpectrogramAnswer} answer */
  #receive({ id, image }) {
    if (id !== this.#asked) return; // another clip is shown by now
    const { width, height } = image;
    this.#pixels = Object.assign(document.createElement("canvas"), { width, height });
    drawingContext(this.#pixels).putImageData(image, 0, 0);
    this.#scaledFor = "";
    this.canvas.setAttribute("data-drawable", "true");
    this.dispatchEvent(new Event("drawable"));
  }

  /**
   * @param {number} heard fraction that was heard; 1 while nothing plays: all of it is to be read then
   */
  draw(heard) {
    if (!this.canvas.clientWidth) return;
    const { pen, width, height } = prepareCanvas(this.canvas);
    if (this.#pixels === null) return;
    this.#scale(this.#pixels, width, height);
    const until = Math.round(heard * width);
    pen.globalAlpha = OPACITY_AHEAD;
    pen.drawImage(this.#scaled, 0, 0);
    pen.globalAlpha = 1;
    if (until) pen.drawImage(this.#scaled, 0, 0, until, height, 0, 0, until, height);
  }

  /**
   * The picture in its size and colour, made anew only where they changed: it is drawn in each frame.
   * @param {HTMLCanvasElement} pixels
   * @param {number} width
   * @param {number} height
   */
  #scale(pixels, width, height) {
    const colour = accentColour(this.canvas);
    const wanted = `${width} ${height} ${colour}`;
    if (wanted === this.#scaledFor) return;
    this.#scaledFor = wanted;
    Object.assign(this.#scaled, { width, height }); // which clears it
    const pen = drawingContext(this.#scaled);
    pen.drawImage(pixels, 0, 0, width, height);
    pen.globalCompositeOperation = "source-in";
    pen.fillStyle = colour;
    pen.fillRect(0, 0, width, height);
  }
}

/** Whether workers can be modules: a browser that knows them reads the option. */
export function supportsModuleWorkers() {
  let isRead = false;
  const options = {
    /** @returns {WorkerType} */
    get type() {
      isRead = true;
      return "module";
    },
  };
  const empty = URL.createObjectURL(new Blob([], { type: "text/javascript" }));
  try {
    new Worker(empty, options).terminate();
  } catch {
    return false; // no workers at all, or none allowed
  } finally {
    URL.revokeObjectURL(empty);
  }
  return isRead;
}
