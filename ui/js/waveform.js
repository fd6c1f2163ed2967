/** The waveform of what plays: it grows while the sound arrives, and a click or an arrow key in it plays from there. */

import { accentColour, prepareCanvas } from "./canvas.js";
import { player } from "./player.js";

const SEEK_STEP = 1; // seconds of an arrow key
const SEEN = 3; // pixels by which the position moves before the picture is drawn again

export class Waveform {
  #drawn = "";

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
    onPointOfTime(canvas, () => this.draw());
  }

  /** Draw what is there; what was heard is stronger. */
  draw() {
    const { canvas } = this;
    const { clip, position } = player;
    if (clip === null || canvas.hidden || !canvas.clientWidth) return;
    drawPeaks(canvas, clip.peaks, position === null ? 0 : position / clip.seconds);
    this.#drawn = this.#wanted;
    canvas.setAttribute("aria-valuemax", clip.seconds.toFixed(1));
    canvas.setAttribute("aria-valuenow", (position ?? 0).toFixed(1));
  }

  /** Seconds in which the position moves by what is seen of it. */
  get step() {
    return player.clip ? (SEEN * player.clip.seconds) / Math.max(1, this.canvas.clientWidth) : Infinity;
  }

  /** Whether another picture would look the same. */
  get isCurrent() {
    return this.#drawn === this.#wanted;
  }

  get #wanted() {
    return `${player.clip?.peaks.length} ${Math.floor((player.position ?? 0) / this.step)}`;
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = event.key === "ArrowRight" ? SEEK_STEP : event.key === "ArrowLeft" ? -SEEK_STEP : 0;
    if (!step) return;
    event.preventDefault();
    player.seek(Math.max(0, (player.position ?? 0) + step));
  }
}

/**
 * Play from where a picture of the sound is clicked, and draw it again when its size changes.
 * @param {HTMLCanvasElement} picture whose width is the length of the sound
 * @param {() => void} draw
 */
export function onPointOfTime(picture, draw) {
  picture.addEventListener("click", ({ offsetX }) => {
    const fraction = Math.max(0, offsetX / picture.clientWidth);
    if (player.clip) player.seek(fraction * player.clip.seconds);
  });
  new ResizeObserver(draw).observe(picture);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} peaks from 0 to 1
 * @param {number} heard fraction that was heard
 */
function drawPeaks(canvas, peaks, heard) {
  const { pen, width, height } = prepareCanvas(canvas);
  pen.fillStyle = accentColour(canvas);
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x * peaks.length) / width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * peaks.length) / width));
    let peak = 0;
    for (let i = from; i < to; i++) peak = Math.max(peak, peaks[i] ?? 0);
    pen.globalAlpha = x < heard * width ? 1 : 0.5;
    const bar = Math.max(1, peak * height);
    pen.fillRect(x, (height - bar) / 2, 1, bar);
  }
}
