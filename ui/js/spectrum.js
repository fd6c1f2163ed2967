/** The spectrogram of a clip, by a fast Fourier transform. */

export const WINDOW = 1024; // samples of a column of the spectrogram
const TOP = 10000; // Hz
const RANGE = 70; // dB below the loudest that are seen

// The transform's factors, which are the same in each column.
const HANN = Float64Array.from(
  { length: WINDOW },
  (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW),
);
const COSINE = Float64Array.from({ length: WINDOW / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / WINDOW));
const SINE = Float64Array.from({ length: WINDOW / 2 }, (_, i) => -Math.sin((2 * Math.PI * i) / WINDOW));
const BIT_REVERSED = Uint16Array.from({ length: WINDOW }, (_, i) => bitReversed(i));

/**
 * How strong each frequency is at each time, from 0 for what is not seen to 1 for the loudest.
 * @param {Float32Array} samples
 * @param {number} rate samples a second
 * @param {number} columns
 * @returns {Float32Array[]} a column each, the lowest frequency first
 */
export function spectrogram(samples, rate, columns) {
  const bins = Math.floor((Math.min(TOP, rate / 2) / rate) * WINDOW);
  const levels = Array.from({ length: columns }, (_, x) => spectrum(samples, (x / columns) * samples.length));
  const loudest = levels.reduce((most, column) => column.reduce((a, b) => Math.max(a, b), most), -Infinity);
  return levels.map((column) => column.subarray(0, bins).map((level) => strength(loudest - level)));
}

/**
 * A picture of a spectrogram: one colour, as opaque as each frequency is strong, the lowest at the bottom.
 * @param {Float32Array[]} columns
 * @returns {Uint8ClampedArray<ArrayBuffer>} red, green, blue and opacity of each pixel, row by row
 */
export function alphaPixels(columns) {
  const height = columns[0].length;
  const pixels = new Uint8ClampedArray(4 * columns.length * height);
  for (const [x, column] of columns.entries()) {
    for (let y = 0; y < height; y++) {
      pixels[4 * ((height - 1 - y) * columns.length + x) + 3] = 255 * column[y];
    }
  }
  return pixels;
}

/** @param {number} below dB */
const strength = (below) => Math.max(0, 1 - below / RANGE) ** 1.5;

/**
 * Decibels of each frequency around a sample, by a transform of Cooley and Tukey with a Hann window.
 * @param {Float32Array} samples
 * @param {number} centre
 */
export function spectrum(samples, centre) {
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  for (let i = 0; i < WINDOW; i++) {
    real[BIT_REVERSED[i]] = HANN[i] * (samples[Math.floor(centre) + i - WINDOW / 2] ?? 0);
  }
  for (let size = 2; size <= WINDOW; size *= 2) butterflies(real, imaginary, size);
  return Float32Array.from(
    real.subarray(0, WINDOW / 2),
    (x, i) => 10 * Math.log10(x * x + imaginary[i] ** 2 + 1e-9),
  );
}

/** @param {number} index */
function bitReversed(index) {
  const bits = Math.log2(WINDOW);
  let turned = 0;
  for (let bit = 0; bit < bits; bit++) turned |= ((index >> bit) & 1) << (bits - 1 - bit);
  return turned;
}

/**
 * @param {Float32Array} real
 * @param {Float32Array} imaginary
 * @param {number} size
 */
function butterflies(real, imaginary, size) {
  const half = size / 2;
  for (let k = 0; k < half; k++) {
    const cosine = COSINE[(k * WINDOW) / size];
    const sine = SINE[(k * WINDOW) / size];
    for (let even = k; even < WINDOW; even += size) {
      const odd = even + half;
      const r = real[odd] * cosine - imaginary[odd] * sine;
      const i = real[odd] * sine + imaginary[odd] * cosine;
      real[odd] = real[even] - r;
      imaginary[odd] = imaginary[even] - i;
      real[even] += r;
      imaginary[even] += i;
    }
  }
}
