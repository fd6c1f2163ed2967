/**
 * The player bar, below all tabs: what speaks, its waveform and words, saving it, and what was heard before.
 *
 * A phone has one line of it, and the rest behind a button. The spectrogram, where it is unfolded, comes with the end
 * of the sound. A click in a picture, or on a word, plays from there.
 */

import { createElement, find, isAbort, localize, localizeElements, setText } from "./common.js";
import { Follower } from "./follower.js";
import { HeardList } from "./heard_list.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { ReadAlong } from "./read_along.js";
import { SaveMenu } from "./save_menu.js";
import { serverConnection } from "./server_connection.js";
import { shortTime } from "./short_time.js";
import { Spectrogram, supportsModuleWorkers } from "./spectrogram.js";
import { voiceDirectory } from "./voice_directory.js";
import { voiceNames } from "./voice_names.js";
import { LOADING_AFTER, WaitingClock } from "./waiting_clock.js";
import { onPointOfTime, Waveform } from "./waveform.js";

/** @typedef {import("./common.js").Translate} Translate */
/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */
/** @typedef {import("./common.js").Texts} Texts */

/** @type {import("./pcm.js").SpokenWord[]} */
const NO_WORDS = [];
const DRY_AFTER = 0.5; // seconds: a shorter gap is over before its notice is read
const TOLD_AFTER = 2; // seconds of waiting that are not told
const REDRAWN = 40; // milliseconds, at least, between two pictures of what sounds
const UNSEEN = 100; // milliseconds for which what changes without notice, as a seek does, may go unseen

class PlayerBar {
  #follower = new Follower(() => this.#follow());
  #drawnAt = 0;
  #height = 0;
  #toldState = "";
  #toldFacts = "";
  /** @type {boolean | null} null until there is a clip */
  #hasSpectrogram = null;

  /** @param {import("./common.js").MountContext<{ texts: Texts }>} context */
  constructor({ element, props }) {
    this.element = element;
    const { translate, number } = localize(props.texts);
    this.translate = translate;
    this.number = number;
    this.parts = partsOf(element);
    this.waiting = new WaitingClock();
    localizeElements(element, translate);
    this.readAlong = new ReadAlong(this.parts.words, (seconds) => player.seek(seconds));
    this.waveform = new Waveform(this.parts.wave);
    this.spectrogram = new Spectrogram(this.parts.spectrogram);
    this.heard = new HeardList(this.parts, { translate, number, titleOf: (body) => this.#titleOf(body) });
    new SaveMenu(this.parts.save, {
      translate,
      begun: () => setText(this.parts.state, translate("making")),
      ended: (error) => this.#onSaved(error),
    });
    this.#listen();
    this.#update();
  }

  #listen() {
    const { play, repeat, expand, spectrogram, unfold } = this.parts;
    play.addEventListener("click", () => this.#playOrStop());
    repeat.addEventListener("click", () => this.#repeat());
    expand.addEventListener("click", () => this.#expand());
    unfold.addEventListener("click", () =>
      pageState.patch({ showsSpectrogram: !pageState.values.showsSpectrogram }),
    );
    onPointOfTime(spectrogram, () => this.#draw());
    document.addEventListener("keydown", (event) => this.#onKey(event), { capture: true });
    player.addEventListener("change", () => this.#update());
    player.addEventListener("words", () => this.#showWords());
    serverConnection.addEventListener("change", () => this.#showConnection());
    new ResizeObserver(() => this.#keepRoom()).observe(this.element);
    document.addEventListener("focusin", ({ target }) => showWhole(target));
    pageState.addEventListener("change", () => {
      this.#showSpectrogram();
      this.#showRepeat();
    });
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
    parts.root.dataset.state = state;
    const hasSound = clip !== null && clip.samples > 0;
    parts.wave.hidden = !hasSound;
    parts.save.hidden = body === null;
    parts.expand.hidden = body === null;
    parts.plain.hidden = !player.lacksStreaming;
    setText(parts.action, translate(player.isBusy ? "stop" : "play"));
    setText(parts.title, player.label || (body ? this.#titleOf(body) : ""));
    if (state === "failed") this.#showProblem(player.error);
    this.#toldState = "";
    this.#showState();
    this.#showRepeat();
    this.#showMeasured();
    this.#showWords();
    this.#showSpectrogram();
    this.#draw();
  }

  /** The bar is in sight on every tab: here it is told that the server is away. */
  #showConnection() {
    setText(this.parts.away, serverConnection.isAway ? problems.away : "");
  }

  /** Where the other button speaks what is typed, this one repeats the clip. */
  #showRepeat() {
    const isUseful = pageState.values.tab === "audition" && !player.isBusy && player.clip?.isReplayable;
    this.parts.repeat.hidden = !isUseful;
  }

  /** Tell what goes on, and for how long the listener has waited: also where the sound ran dry. */
  #showState() {
    const { state, isDry, stats, clip } = player;
    const awaited = state === "waiting" ? stats : isDry ? clip : null;
    const seconds = this.waiting.seconds(awaited, performance.now());
    setText(this.parts.elapsed, seconds >= TOLD_AFTER ? `${this.number(Math.floor(seconds))} s` : "");
    const told = this.#stateAfter(seconds);
    if (told === this.#toldState || state === "failed") return; // what is told of a file that is saved stays
    this.#toldState = told;
    setText(this.parts.state, this.translate(told));
  }

  /** @param {number} seconds of waiting */
  #stateAfter(seconds) {
    if (player.isDry && seconds >= DRY_AFTER) return "is_dry";
    if (player.awaitsAnswer && seconds >= LOADING_AFTER) return "is_loading";
    return `is_${player.state}`;
  }

  /** Let the page end above the bar, and what speaks stay above it as it grows. */
  #keepRoom() {
    const { top } = this.element.getBoundingClientRect();
    const height = innerHeight - top; // with Gradio's space below it
    document.documentElement.style.setProperty("--player-height", `${Math.ceil(height)}px`);
    const speaking = document.querySelector("[data-speaking]");
    if (speaking && height > this.#height && isBehind(speaking, top))
      speaking.scrollIntoView({ block: "nearest" });
    this.#height = height;
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
    return voiceNames.of(voice || (voiceDirectory.default?.name ?? ""));
  }

  #showMeasured() {
    const { stats } = player;
    const told = JSON.stringify(stats);
    if (told === this.#toldFacts) return;
    this.#toldFacts = told;
    const facts = stats ? measured(stats, this.translate, this.number) : [];
    const shown = facts.map(([name, text]) => createElement("span", { "data-fact": name }, text));
    this.parts.measured.replaceChildren(...shown);
  }

  #showWords() {
    const { clip, body } = player;
    const { text, words } = clip ?? { text: body?.input ?? "", words: NO_WORDS }; // before its sound, what was asked
    this.readAlong.show(text, words);
    this.#follower.follow();
  }

  /**
   * Follow the sound: mark the word that sounds, and move the position in the picture as far as is seen.
   * @returns {number | null} milliseconds until there is more to do
   */
  #follow() {
    const { position } = player;
    this.readAlong.mark(position);
    this.#showMeasured();
    this.#showState();
    const isDue = performance.now() - this.#drawnAt >= REDRAWN;
    if (isDue && !this.waveform.isCurrent) this.#draw();
    if (!player.isBusy || !this.element.isConnected) return null;
    if (position === null) return UNSEEN;
    const untilMoved = Math.max(REDRAWN, this.waveform.step * 1000);
    const untilWord = (this.readAlong.nextAt - position) * 1000;
    return Math.min(untilMoved, untilWord, UNSEEN);
  }

  #draw() {
    const { clip, position } = player;
    this.#drawnAt = performance.now();
    this.waveform.draw();
    if (clip !== null) this.spectrogram.draw(position === null ? 1 : position / clip.seconds);
  }

  // ---- What is done

  #playOrStop() {
    if (player.isBusy) player.stop();
    else if (player.dispatchEvent(new Event("wanted", { cancelable: true }))) this.#repeat();
  }

  /** Play what is in the bar once more. */
  #repeat() {
    if (player.clip?.isReplayable) player.replay(player.clip);
    else if (player.body) player.play(player.body, player.label);
  }

  get #isUnfolded() {
    return this.heard.isUnfolded || pageState.values.showsSpectrogram;
  }

  #fold() {
    this.heard.fold();
    pageState.patch({ showsSpectrogram: false });
  }

  /** Show or hide what a phone has no room for. */
  #expand() {
    const isExpanded = this.parts.root.toggleAttribute("data-expanded");
    this.parts.expand.setAttribute("aria-expanded", String(isExpanded));
    this.#draw();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key !== "Escape" || !this.element.isConnected) return;
    if (document.querySelector("dialog[open]")) return; // which it closes
    if (player.isBusy) player.stop();
    else if (this.#isUnfolded && this.element.contains(document.activeElement)) this.#fold();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {unknown} error */
  #onSaved(error) {
    if (error && !isAbort(error)) this.#showProblem(error);
    else this.#update();
  }
}

/**
 * Whether part of an element lies behind the bar; one below the screen was not in sight before, either.
 * @param {Element} element
 * @param {number} barTop
 */
function isBehind(element, barTop) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > barTop && top < innerHeight;
}

/**
 * Bring a text area above the bar that has got the focus: browsers do so with the line of its caret only. Where it was
 * pressed, that line is in sight, and the text must not move from under the pointer.
 * @param {EventTarget | null} target
 */
function showWhole(target) {
  if (target instanceof HTMLTextAreaElement && !target.matches(":active"))
    target.scrollIntoView({ block: "nearest" });
}

/**
 * @param {import("./playback.js").Stats} stats
 * @param {Translate} translate
 * @param {(value: number, digits?: number) => string} number
 */
function measured({ ttfa, received, seconds, underruns }, translate, number) {
  const time = (/** @type {number} */ value) => shortTime(value, number).replace(" ", "\u00A0");
  /** @type {[string, string][]} */
  const facts = [];
  if (seconds) facts.push(["length", translate("length", { time: `${number(seconds, 1)}\u00A0s` })]);
  if (ttfa !== null) facts.push(["first_sound", translate("first_sound", { time: time(ttfa / 1000) })]);
  if (received !== null) facts.push(["received", translate("received_in", { time: time(received) })]);
  if (underruns) facts.push(["underruns", translate("underruns", { count: underruns })]);
  return facts;
}

/**
 * The bar's markup, which `ui/player_bar.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  /** @template {Element} Found @param {string} name @param {new () => Found} type */
  const part = (name, type) => find(element, `[data-part="${name}"]`, type);
  return {
    action: part("action", HTMLElement),
    away: part("away", HTMLElement),
    elapsed: part("elapsed", HTMLElement),
    expand: part("expand", HTMLButtonElement),
    list: part("list", HTMLElement),
    measured: part("measured", HTMLElement),
    past: part("past", HTMLButtonElement),
    plain: part("plain", HTMLElement),
    play: part("play", HTMLButtonElement),
    repeat: part("repeat", HTMLButtonElement),
    root: find(element, ".player", HTMLElement),
    save: part("save", HTMLElement),
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
