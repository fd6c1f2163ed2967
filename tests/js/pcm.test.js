import assert from "node:assert/strict";
import { test } from "node:test";
import { Clip, MAX_CLIP_SECONDS, rms, SampleReader, toFloats } from "../../ui/js/pcm.js";

/** @param {number[]} samples */
const bytesOf = (samples) => {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  for (const [i, sample] of samples.entries()) view.setInt16(2 * i, sample, true);
  return new Uint8Array(view.buffer);
};

test("16-bit samples are converted to floats from -1 to 1", () => {
  assert.deepEqual([...toFloats(Int16Array.of(-32768, -16384, 0, 16384))], [-1, -0.5, 0, 0.5]);
  assert.ok(toFloats(Int16Array.of(32767))[0] < 1);
});

test("bytes split at any position give the same samples", () => {
  const samples = [1, -2, 300, -32768, 32767, 0];
  const bytes = bytesOf(samples);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const reader = new SampleReader();
      const pieces = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
      assert.deepEqual(
        pieces.flatMap((piece) => [...reader.read(piece)]),
        samples,
      );
    }
  }
});

test("a view into a larger buffer is read from its offset", () => {
  assert.deepEqual([...new SampleReader().read(bytesOf([5, 6, 7]).subarray(2))], [6, 7]);
});

test("the RMS of a square wave is its amplitude", () => {
  assert.equal(rms(Float32Array.of(0.5, -0.5, 0.5, -0.5)), 0.5);
  assert.equal(rms(new Float32Array(8)), 0);
});

test("a clip joins its chunks in order", () => {
  const clip = new Clip(8000);
  clip.add(Int16Array.of(8192, 16384));
  clip.add(Int16Array.of(-16384));
  assert.deepEqual([...clip.joined()], [0.25, 0.5, -0.5]);
  assert.equal(clip.seconds, 3 / 8000);
});

test("the peaks of a picture do not depend on how the audio is cut, nor on parts that are no whole samples", () => {
  const samples = Int16Array.from({ length: 1000 }, (_, i) => ((i * 7919) % 65536) - 32768);
  const peaksOf = (/** @type {number} */ size) => {
    const clip = new Clip(11025); // 220.5 samples in each part
    for (let begin = 0; begin < samples.length; begin += size) clip.add(samples.slice(begin, begin + size));
    return clip.peaks;
  };
  const loudest = (/** @type {number} */ begin, /** @type {number} */ end) =>
    Math.max(...Array.from(samples.slice(begin, end), Math.abs)) / 32768;
  const bounds = [0, 221, 441, 662, 882, 1000];
  for (const size of [1, 7, 221, 1000]) {
    const expected = bounds.slice(1).map((end, part) => loudest(bounds[part], end));
    assert.deepEqual(peaksOf(size), expected);
  }
});

test("only a complete, non-empty clip up to the maximum length is cached", () => {
  const clip = new Clip(1);
  clip.isComplete = true;
  assert.equal(clip.isReplayable, false);
  clip.add(new Int16Array(MAX_CLIP_SECONDS));
  assert.equal(clip.isReplayable, true);
  clip.add(new Int16Array(1));
  assert.equal(clip.isReplayable, false);
  assert.equal(clip.seconds, MAX_CLIP_SECONDS + 1);
});
