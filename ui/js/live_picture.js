/** Waveform and spectrum of what sounds now, drawn on a canvas. */

import { accentColour, prepareCanvas } from "./canvas.js";

const BARS = 64;

/** @param {AnalyserNode} tap */
export function readWaveform(tap) {
  const wave = new Float32Array(tap.fftSize);
  tap.getFloatTimeDomainData(wave);
  return wave;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {AnalyserNode} tap
 * @param {boolean} isBusy
 */
export function drawLive(canvas, tap, isBusy) {
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
