import assert from "node:assert/strict";
import { test } from "node:test";
import { alphaPixels, spectrogram, spectrum, WINDOW } from "../../ui/js/spectrum.js";

const RATE = 16000;

/**
 * @param {number} frequency Hz
 * @param {number} samples
 */
const tone = (frequency, samples) =>
  Float32Array.from({ length: samples }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / RATE));

/** @param {Float32Array} levels */
const loudest = (levels) => levels.indexOf(Math.max(...levels));

test("the spectrum of a tone peaks at its frequency", () => {
  for (const bin of [8, 64, 200, 400]) {
    assert.equal(loudest(spectrum(tone((bin * RATE) / WINDOW, 4 * WINDOW), 2 * WINDOW)), bin);
  }
});

test("a tone leaks at least 70 dB less into distant bins", () => {
  const levels = spectrum(tone((64 * RATE) / WINDOW, 4 * WINDOW), 2 * WINDOW);
  assert.ok(levels[64] - levels[200] > 70);
});

test("samples beyond the ends of a clip count as silence", () => {
  const levels = spectrum(tone(1000, WINDOW), -WINDOW);
  assert.ok(levels.every((level) => level === levels[0]));
});

test("a spectrogram goes up to 10 kHz or half the sample rate, normalized to a maximum of 1", () => {
  const columns = spectrogram(tone(1000, RATE), RATE, 10);
  assert.equal(columns.length, 10);
  assert.ok(columns.every((column) => column.length === WINDOW / 2));
  assert.equal(Math.max(...columns.flatMap((column) => [...column])), 1);
  assert.equal(spectrogram(tone(1000, RATE), 48000, 1)[0].length, Math.floor((10000 / 48000) * WINDOW));
});

test("the picture of a spectrogram has its lowest frequencies at the bottom, and the strongest are opaque", () => {
  const pixels = alphaPixels([Float32Array.of(1, 0.5), Float32Array.of(0, 0.2)]);
  const opacities = [...pixels].filter((_, i) => i % 4 === 3);
  assert.deepEqual(opacities, [128, 51, 255, 0]);
});
