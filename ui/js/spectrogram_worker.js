/** Web Worker: computes the spectrogram of a clip, which would block the page for up to a second. */

import { toFloats } from "./pcm.js";
import { alphaPixels, spectrogram } from "./spectrum.js";

/** @typedef {{ id: number, pieces: Int16Array[], rate: number, columns: number }} SpectrogramRequest */
/** @typedef {{ id: number, image: ImageData }} SpectrogramAnswer */

/** @param {readonly Int16Array[]} pieces */
function joined(pieces) {
  const all = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(toFloats(piece), at);
    at += piece.length;
  }
  return all;
}

addEventListener("message", (/** @type {MessageEvent<SpectrogramRequest>} */ { data }) => {
  const { id, pieces, rate, columns } = data;
  const image = new ImageData(alphaPixels(spectrogram(joined(pieces), rate, columns)), columns);
  /** @type {SpectrogramAnswer} */
  const answer = { id, image };
  postMessage(answer, { transfer: [image.data.buffer] });
});
