/**
 * The player bar, below all tabs: what speaks, its waveform and words, saving it, and what was heard before.
 *
 * The waveform grows while the sound arrives; the spectrogram, where it is unfolded, comes with its end. A click in
 * either, or on a word, plays from there.
 */

import { accentColour, prepareCanvas } from "./canvas.js";
import {
  button,
  createElement,
  find,
  isAbort,
  localize,
  localizeElements,
  request,
  setText,
} from "./common.js";
import { history } from "./history.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { ReadAlong } from "./read_along.js";
import { Spectrogram, supportsModuleWorkers } from "./spectrogram.js";
import { voiceDirectory } from "./voice_directory.js";
import { kokoroName, languageNames, shownName } from "./voice_facts.js";

/** @typedef {import("./common.js").Translate} Translate */
/** @typedef {import("./history.js").Heard} Heard */
/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */
/** @typedef {import("./common.js").Texts} Texts */

const FORMATS = ["wav", "mp3", "opus", "srt"];
const CAPTIONED = "mp3+srt"; // one choice, two files
const REVOKED_AFTER = 60000; // milliseconds that a download has to begin
const SEEK_STEP = 1; // seconds of an arrow key
const SHOWN_CHARS = 60;

class PlayerBar {
  #frame = 0;
  #isSaving = false;
  /** @type {boolean | null} null until there is a clip */
  #hasSpectrogram = null;

  /** @param {import("./common.js").MountContext<{ texts: Texts }>} context */
  constructor({ element, props }) {
    this.element = element;
    const { translate, locale, number } = localize(props.texts);
    this.translate = translate;
    this.number = number;
    this.languageName = languageNames(locale);
    this.parts = partsOf(element);
    localizeElements(element, translate);
    this.readAlong = new ReadAlong(this.parts.words, (seconds) => player.seek(seconds));
    this.spectrogram = new Spectrogram(this.parts.spectrogram);
    this.#listen();
    this.#update();
  }

  #listen() {
    const { play, save, past, wave, spectrogram, unfold } = this.parts;
    const none = new Option(this.translate("save"), "");
    const formats = FORMATS.map((format) => new Option(this.translate(format), format));
    save.replaceChildren(none, ...formats, new Option(this.translate("captioned"), CAPTIONED));
    save.addEventListener("input", () => this.#save());
    play.addEventListener("click", () => this.#playOrStop());
    past.addEventListener("click", () => this.#unfoldPast());
    unfold.addEventListener("click", () =>
      pageState.patch({ showsSpectrogram: !pageState.values.showsSpectrogram }),
    );
    for (const picture of [wave, spectrogram]) {
      picture.addEventListener("click", (event) => this.#seekTo(event.offsetX / picture.clientWidth));
      new ResizeObserver(() => this.#draw()).observe(picture);
    }
    wave.addEventListener("keydown", (event) => this.#onWaveKey(event));
    document.addEventListener("keydown", (event) => this.#onKey(event), { capture: true });
    player.addEventListener("change", () => this.#update());
    player.addEventListener("words", () => this.#showWords());
    history.addEventListener("change", () => this.#showPast());
    new ResizeObserver(() => this.#keepRoom()).observe(this.element);
    pageState.addEventListener("change", () => this.#showSpectrogram());
    this.spectrogram.addEventListener("drawable", () => this.#draw());
    this.spectrogram.addEventListener("failed", () => {
      this.#hasSpectrogram = false;
      this.#showSpectrogram();
    });
  }

  // ---- What is shown

  #update() {
    const { translate } = this;
    const { state, clip, body } = player;
    const { parts } = this;
    find(this.element, ".player", HTMLElement).dataset.state = state;
    const hasSound = clip !== null && clip.samples > 0;
    parts.wave.hidden = !hasSound;
    parts.save.hidden = body === null;
    parts.plain.hidden = !player.lacksStreaming;
    setText(parts.play, translate(player.isBusy ? "stop" : "play"));
    setText(parts.title, player.label || (body ? this.#titleOf(body) : ""));
    if (state === "failed") this.#showProblem(player.error);
    else setText(parts.state, translate(`is_${state}`));
    this.#showMeasured();
    this.#showWords();
    this.#showSpectrogram();
    this.#draw();
  }

  /** Let the page end above the bar. */
  #keepRoom() {
    const height = innerHeight - this.element.getBoundingClientRect().top; // with Gradio's space below it
    document.documentElement.style.setProperty("--player-height", `${Math.ceil(height)}px`);
  }

  /** Unfold or fold the spectrogram; it is computed once all of the sound is there. */
  #showSpectrogram() {
    const { unfold, spectrogram } = this.parts;
    const clip = this.#picturedClip();
    const isShown = pageState.values.showsSpectrogram;
    unfold.hidden = clip === null;
    unfold.setAttribute("aria-expanded", String(isShown));
    spectrogram.hidden = clip === null || !isShown;
    if (clip === null || !isShown) return;
    if (clip.isComplete || !player.isBusy) this.spectrogram.show(clip);
    else this.spectrogram.clear();
  }

  /** What plays or was heard last, if its spectrogram can be computed here. */
  #picturedClip() {
    const { clip } = player;
    if (!clip?.canPlayFrom(0)) return null;
    this.#hasSpectrogram ??= supportsModuleWorkers();
    return this.#hasSpectrogram ? clip : null;
  }

  /** @param {unknown} error */
  #showProblem(error) {
    const { text, details } = problems.of(error);
    problems.show(this.parts.state, { text: this.translate("failed", { problem: text }), details });
  }

  /** @param {SpeechRequest} body */
  #titleOf({ voice }) {
    const known = voice ? voiceDirectory.find(voice) : voiceDirectory.default;
    return known ? shownName(known, this.languageName) : recipeTitle(voice ?? "");
  }

  #showMeasured() {
    const { stats } = player;
    setText(this.parts.measured, stats ? measured(stats, this.translate, this.number) : "");
  }

  #showWords() {
    const { clip } = player;
    if (clip) this.readAlong.show(clip.text, clip.words);
    if (!this.#frame) this.#follow();
  }

  /** Follow the sound: the word that sounds, and the position in the picture. */
  #follow() {
    this.#frame = 0;
    this.readAlong.mark(player.position);
    this.#showMeasured();
    this.#draw();
    if (player.isBusy && this.element.isConnected) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #draw() {
    const { wave } = this.parts;
    const { clip, position } = player;
    if (clip === null || wave.hidden || !wave.clientWidth) return;
    const heard = position === null ? 0 : position / clip.seconds;
    drawWave(wave, clip.peaks, heard);
    this.spectrogram.draw(heard);
    wave.setAttribute("aria-valuemax", clip.seconds.toFixed(1));
    wave.setAttribute("aria-valuenow", (position ?? 0).toFixed(1));
  }

  // ---- What was heard before

  #unfoldPast() {
    const { past, list } = this.parts;
    list.hidden = !list.hidden;
    past.setAttribute("aria-expanded", String(!list.hidden));
  }

  #showPast() {
    const { past, list } = this.parts;
    past.hidden = history.heard.length < 2;
    setText(past, this.translate("past", { count: history.heard.length }));
    list.replaceChildren(...history.heard.map((each) => this.#pastItem(each)));
  }

  /** @param {Heard} heard */
  #pastItem(heard) {
    const { body, clip, at } = heard;
    const text = body.input.length > SHOWN_CHARS ? `${body.input.slice(0, SHOWN_CHARS)}…` : body.input;
    const facts = [at.toLocaleTimeString(), `${this.number(clip.seconds, 1)} s`, ...settingsOf(body)].join(
      " · ",
    );
    const label = this.translate("again", { name: this.#titleOf(body), text });
    return createElement(
      "li",
      {},
      button("▶", () => player.replay(clip, 0, body), { "aria-label": label }),
      createElement("strong", {}, this.#titleOf(body)),
      createElement("span", { dir: "auto" }, text),
      createElement("span", { class: "quiet" }, facts),
    );
  }

  // ---- What is done

  #playOrStop() {
    if (player.isBusy) player.stop();
    else if (player.clip?.isReplayable) player.replay(player.clip);
    else if (player.body) player.play(player.body, player.label);
    else player.dispatchEvent(new Event("wanted")); // nothing was heard yet
  }

  /** @param {number} fraction */
  #seekTo(fraction) {
    if (player.clip) player.seek(Math.max(0, fraction) * player.clip.seconds);
  }

  /** @param {KeyboardEvent} event */
  #onWaveKey(event) {
    const step = event.key === "ArrowRight" ? SEEK_STEP : event.key === "ArrowLeft" ? -SEEK_STEP : 0;
    if (!step) return;
    event.preventDefault();
    player.seek(Math.max(0, (player.position ?? 0) + step));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Escape" || !player.isBusy || !this.element.isConnected) return;
    player.stop();
    event.preventDefault();
    event.stopPropagation();
  }

  async #save() {
    const { save, state } = this.parts;
    const formats = save.value.split("+");
    const { body } = player;
    save.value = "";
    if (!formats[0] || body === null || this.#isSaving) return;
    this.#isSaving = true;
    setText(state, this.translate("making"));
    try {
      for (const format of formats) await saveSpeech(body, format);
      this.#update();
    } catch (error) {
      if (!isAbort(error)) this.#showProblem(error);
    } finally {
      this.#isSaving = false;
    }
  }
}

/**
 * @param {SpeechRequest} body
 * @param {string} format
 */
async function saveSpeech(body, format) {
  const answer = await request("v1/audio/speech", {
    json: { ...body, response_format: format, stream: false },
  });
  saveAs(await answer.blob(), `${body.voice || "speech"}.${format}`);
}

/**
 * A recipe for people, as `Heart 40 % + Emma 60 %`; any other name stays as it is.
 * @param {string} voice
 */
const recipeTitle = (voice) =>
  voice
    .replaceAll(/(\w+)\(([\d.]+)\)/g, (_, name, share) => `${kokoroName(name)} ${share} %`)
    .replaceAll("+", " + ");

/** What was set otherwise than usual. @param {SpeechRequest} body */
function settingsOf(body) {
  const usual = new Set(["input", "voice", "sample_rate"]);
  const set = Object.entries(body).filter(([name, value]) => !usual.has(name) && value !== 1);
  return set.map(([name, value]) => `${name} ${value}`);
}

/**
 * @param {import("./playback.js").Stats} stats
 * @param {Translate} translate
 * @param {(value: number, digits?: number) => string} number
 */
function measured({ ttfa, rtf, seconds, underruns }, translate, number) {
  const parts = [];
  if (ttfa !== null) parts.push(translate("first_sound", { ms: number(ttfa) }));
  if (rtf !== null) parts.push(translate("real_time_factor", { factor: number(rtf, 2) }));
  if (seconds) parts.push(`${number(seconds, 1)} s`);
  if (underruns) parts.push(translate("underruns", { count: underruns }));
  return parts.join(" · ");
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} peaks from 0 to 1
 * @param {number} heard fraction that was heard
 */
function drawWave(canvas, peaks, heard) {
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
 * The bar's markup, which `ui/player_bar.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  /** @template {Element} Found @param {string} name @param {new () => Found} type */
  const part = (name, type) => find(element, `[data-part="${name}"]`, type);
  return {
    list: part("list", HTMLElement),
    measured: part("measured", HTMLElement),
    past: part("past", HTMLButtonElement),
    plain: part("plain", HTMLElement),
    play: part("play", HTMLButtonElement),
    save: part("save", HTMLSelectElement),
    spectrogram: part("spectrogram", HTMLCanvasElement),
    state: part("state", HTMLElement),
    title: part("title", HTMLElement),
    unfold: part("unfold", HTMLButtonElement),
    wave: part("wave", HTMLCanvasElement),
    words: find(element, ".player-words", HTMLElement),
  };
}

/**
 * Tell browsers, screen readers and translators the language that the page is in.
 * @param {Texts} titles
 */
function nameDocument(titles) {
  const { translate, locale } = localize(titles);
  document.documentElement.lang = locale;
  document.title = translate("title");
}

/** @param {import("./common.js").MountContext<{ texts: Texts, titles: Texts }>} context */
export function mount(context) {
  nameDocument(context.props.titles);
  new PlayerBar(context);
}
