import assert from "node:assert/strict";
import { test } from "node:test";
import { envelope, spectrogram, spectrum, WINDOW } from "../../ui/js/spectrum.js";

const RATE = 16000;

/**
 * @param {number} frequency Hz
 * @param {number} samples
 */
const tone = (frequency, samples) =>
  Float32Array.from({ length: samples }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / RATE));

/** @param {Float32Array} levels */
const loudest = (levels) => levels.indexOf(Math.max(...levels));

test("a tone is loudest at its own frequency", () => {
  for (const bin of [8, 64, 200, 400]) {
    assert.equal(loudest(spectrum(tone((bin * RATE) / WINDOW, 4 * WINDOW), 2 * WINDOW)), bin);
  }
});

test("far from its frequency a tone is not seen", () => {
  const levels = spectrum(tone((64 * RATE) / WINDOW, 4 * WINDOW), 2 * WINDOW);
  assert.ok(levels[64] - levels[200] > 70);
});

test("around the ends of a clip there is silence", () => {
  const levels = spectrum(tone(1000, WINDOW), -WINDOW);
  assert.ok(levels.every((level) => level === levels[0]));
});

test("a spectrogram goes up to 10 kHz, or to half the rate, and its loudest point is 1", () => {
  const columns = spectrogram(tone(1000, RATE), RATE, 10);
  assert.equal(columns.length, 10);
  assert.ok(columns.every((column) => column.length === WINDOW / 2));
  assert.equal(Math.max(...columns.flatMap((column) => [...column])), 1);
  assert.equal(spectrogram(tone(1000, RATE), 48000, 1)[0].length, Math.floor((10000 / 48000) * WINDOW));
});

test("an envelope has the extremes of each part, and zero between them", () => {
  const parts = envelope(Float32Array.of(0.5, 0.25, -0.5, -0.25), 2);
  assert.deepEqual(parts, [
    { low: 0, high: 0.5 },
    { low: -0.5, high: 0 },
  ]);
});

test("an envelope of fewer samples than columns repeats them", () => {
  assert.deepEqual(envelope(Float32Array.of(0.5), 2), [
    { low: 0, high: 0.5 },
    { low: 0, high: 0.5 },
  ]);
});
