// The Preview tab beside its fields: what is said while it speaks, its picture, downloads, keys, two voices.
// `texts` (by language), `sliders` (their names) and `element` are given.
const player = window.ttsPlayer;
const words = texts[navigator.language.split("-")[0]] ?? texts.en;
const find = (name) => element.querySelector(`[data-part="${name}"]`);
const WINDOW = 1024; // samples of a column of the spectrogram
const MOST_COLUMNS = 900;
const TOP = 10000; // Hz
const RANGE = 70; // dB below the loudest that are seen

const live = find("live");
const wave = find("wave");
const spectrogram = find("spectrogram");
const heard = { a: null, b: null }; // what was asked for, and what came
let side = "a";
let pictured = null;

for (const part of element.querySelectorAll("[data-text]")) part.textContent = words[part.dataset.text];
for (const part of element.querySelectorAll("[data-label]")) part.setAttribute("aria-label", words[part.dataset.label]);
player.show(live);

const milliseconds = (value) => `${Math.round(value)} ms`;

function measured(stats) {
  const told = [];
  if (stats.ttfa !== null) told.push(`${words.first_sound} ${milliseconds(stats.ttfa)}`);
  if (stats.rtf !== null) told.push(`${words.real_time_factor} ${stats.rtf.toFixed(2)}`);
  if (stats.seconds) told.push(`${stats.seconds.toFixed(1)} s`);
  if (stats.underruns) told.push(`${words.underruns} ${stats.underruns}`);
  return told.join(" · ");
}

function tell() {
  if (!element.isConnected) return player.removeEventListener("change", tell);
  const state = player.state;
  find("state").textContent = state === "failed" ? `${words.failed} ${player.problem}` : words[`is_${state}`];
  find("side").textContent = heard.b ? side.toUpperCase() : "";
  find("measured").textContent = player.stats ? measured(player.stats) : "";
  find("plain").hidden = !player.isPlain;
  element.dataset.state = state;
  if (!player.clip?.isKept) return;
  if (heard[side]) heard[side].clip = player.clip;
  if (!player.isBusy) draw(player.clip);
}
player.addEventListener("change", tell);
tell();

// Of the voice that the sliders belong to; what was not moved is not sent.
function bodyOf(values, voice) {
  const body = { input: values.text, speed: values.speed, volume: values.volume };
  if (voice) body.voice = voice;
  const facts = values.facts;
  if (!facts || facts.name !== voice) return body;
  body.sample_rate = facts.sample_rate;
  if (values.speaker && values.speaker !== facts.speaker) body.speaker = values.speaker;
  for (const name of sliders) {
    if (name in facts.sliders && values[name] !== facts.sliders[name]) body[name] = values[name];
  }
  return body;
}

async function hear(values, wanted, fraction = 0) {
  if (!values.text?.trim()) {
    player.stop();
    find("state").textContent = words.nothing;
    return;
  }
  side = wanted;
  const body = bodyOf(values, wanted === "a" ? values.voice : values.other);
  const asked = JSON.stringify(body);
  const known = heard[wanted];
  if (fraction && known?.asked === asked && known.clip) return player.replay(known.clip, fraction);
  heard[wanted] = { asked, clip: null };
  await player.play(body);
}

// The other voice from where the first is now, if it was heard to its end before; else from the beginning.
function turn(values) {
  const next = side === "a" ? "b" : "a";
  if (next === "b" && !values.other) return;
  hear(values, next, player.isBusy ? player.fraction || 0 : 0);
}

function draw(clip) {
  if (pictured === clip || !wave.clientWidth) return;
  pictured = clip;
  const samples = clip.joined();
  drawWave(samples);
  drawSpectrogram(samples, clip.rate);
  element.dataset.pictured = "true";
}

function drawWave(samples) {
  const { pen, width, height } = player.canvas.cleared(wave);
  pen.fillStyle = player.canvas.colour(wave);
  for (let x = 0; x < width; x++) {
    const from = Math.floor((x * samples.length) / width);
    const to = Math.max(from + 1, Math.floor(((x + 1) * samples.length) / width));
    let low = 0;
    let high = 0;
    for (let i = from; i < to && i < samples.length; i++) {
      low = Math.min(low, samples[i]);
      high = Math.max(high, samples[i]);
    }
    pen.fillRect(x, ((1 - high) * height) / 2, 1, Math.max(1, ((high - low) * height) / 2));
  }
}

function drawSpectrogram(samples, rate) {
  const { pen, width, height } = player.canvas.cleared(spectrogram);
  pen.fillStyle = player.canvas.colour(spectrogram);
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  const columns = Math.min(width, MOST_COLUMNS);
  const bins = Math.floor((Math.min(TOP, rate / 2) / rate) * WINDOW);
  const levels = Array.from({ length: columns }, (_, x) => spectrum(samples, (x / columns) * samples.length));
  const loudest = levels.reduce((most, column) => column.reduce((a, b) => Math.max(a, b), most), -Infinity);
  const image = new ImageData(columns, bins);
  levels.forEach((column, x) => {
    for (let bin = 0; bin < bins; bin++) {
      const alpha = Math.max(0, 1 - (loudest - column[bin]) / RANGE) ** 1.5;
      image.data.set([red, green, blue, 255 * alpha], 4 * ((bins - 1 - bin) * columns + x));
    }
  });
  const small = Object.assign(document.createElement("canvas"), { width: columns, height: bins });
  small.getContext("2d").putImageData(image, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.drawImage(small, 0, 0, width, height);
}

// Decibels of each frequency around a sample, by a transform of Cooley and Tukey with a Hann window.
function spectrum(samples, centre) {
  const real = new Float32Array(WINDOW);
  const imaginary = new Float32Array(WINDOW);
  const bits = Math.log2(WINDOW);
  for (let i = 0; i < WINDOW; i++) {
    let turned = 0;
    for (let bit = 0; bit < bits; bit++) turned |= ((i >> bit) & 1) << (bits - 1 - bit);
    const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW);
    real[turned] = hann * (samples[Math.floor(centre) + i - WINDOW / 2] ?? 0);
  }
  for (let size = 2; size <= WINDOW; size *= 2) butterflies(real, imaginary, size);
  return Float32Array.from(real.subarray(0, WINDOW / 2), (x, i) => 10 * Math.log10(x * x + imaginary[i] ** 2 + 1e-9));
}

function butterflies(real, imaginary, size) {
  const half = size / 2;
  for (let k = 0; k < half; k++) {
    const cosine = Math.cos((2 * Math.PI * k) / size);
    const sine = -Math.sin((2 * Math.PI * k) / size);
    for (let even = k; even < WINDOW; even += size) {
      const odd = even + half;
      const r = real[odd] * cosine - imaginary[odd] * sine;
      const i = real[odd] * sine + imaginary[odd] * cosine;
      [real[odd], imaginary[odd]] = [real[even] - r, imaginary[even] - i];
      real[even] += r;
      imaginary[even] += i;
    }
  }
}

new ResizeObserver(() => {
  const clip = pictured;
  if (!clip || !wave.clientWidth) return;
  pictured = null;
  draw(clip);
}).observe(wave);

async function download(values, format) {
  if (!values.text?.trim()) {
    find("state").textContent = words.nothing;
    return;
  }
  const body = bodyOf(values, side === "b" && values.other ? values.other : values.voice);
  find("state").textContent = words.making;
  const answer = await fetch(new URL("v1/audio/speech", document.baseURI), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, response_format: format, stream: false }),
  });
  if (!answer.ok) {
    const told = await answer.json().catch(() => null);
    find("state").textContent = `${words.failed} ${told?.error?.message ?? answer.status}`;
    return;
  }
  const address = URL.createObjectURL(await answer.blob());
  Object.assign(document.createElement("a"), { href: address, download: `${body.voice || "speech"}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  tell();
}

function onKey(event) {
  if (!element.isConnected) return document.removeEventListener("keydown", onKey, true);
  if (!element.offsetParent) return; // another tab is open
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) document.getElementById("preview-speak").click();
  else if (event.key === "Escape" && player.isBusy) player.stop();
  else if (event.key === "F2" && !event.repeat) document.getElementById("preview-turn").click();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
document.addEventListener("keydown", onKey, true);

window.ttsPreview = {
  speak: (values) => hear(values, "a"),
  turn,
  stop: () => player.stop(),
  expect: (facts) => facts && player.expect(facts.sample_rate),
  wav: (values) => download(values, "wav"),
  mp3: (values) => download(values, "mp3"),
  opus: (values) => download(values, "opus"),
};
