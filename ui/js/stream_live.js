/**
 * Typing that is heard live: each letter is sent as it is typed, and sentences are heard while the next is written.
 *
 * What was sent cannot be taken back. So a change of anything but the end stops the speech, as an interruption does, and
 * it begins again from the sentence that was changed: when typing goes on, or pauses. Text that an input method composes
 * is sent once it is chosen. What stood in the box before, as after a reload, is not spoken by itself.
 */

import {
  createElement,
  debounce,
  find,
  isVisible,
  localize,
  localizeElements,
  onKeyInTab,
  partFinder,
  requestJson,
  setText,
} from "./common.js";
import { keepFields } from "./kept_fields.js";
import { languageNames } from "./language_names.js";
import { pageState } from "./page_state.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { sentenceStart } from "./sentences.js";
import { countGaps, LaneChart } from "./stream_lanes.js";
import { LiveSpeech } from "./stream_live_speech.js";
import { changeOf, Typist } from "./stream_live_text.js";
import { FLUSH_IDLE } from "./stream_timeline.js";
import { voiceDirectory } from "./voice_directory.js";
import { familyOf, isRobot } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./common.js").Texts} Texts */
/** @typedef {import("./stream_timeline.js").StreamTimeline} StreamTimeline */
/** @typedef {import("./voice_facts.js").Voice} Voice */

const CHANGED = 500; // milliseconds that typing pauses until a change is spoken
const REDRAWN = 100; // milliseconds
const SHOWN = 20; // seconds of the chart while it runs
const MAX_GAPS = 100; // in the list
const SETTINGS_PATH = "page/settings.json";
const IDLE_SETTING = "realtime_flush_idle_ms";

class StreamLive {
  /** The text of the box whose change was dealt with. */
  #known = "";
  /** Where to begin again after a change, once typing goes on or pauses. @type {number | null} */
  #restartAt = null;
  #isComposing = false;
  /** What the box holds when the typist has ended. */
  #whole = "";
  /** How the latest run ended, as the name of its text. */
  #ended = "done";
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #redrawing;

  /** @param {import("./common.js").MountContext<{ texts: Texts, chart_texts: Texts }>} context */
  constructor({ element, props }) {
    this.element = element;
    const { translate, locale, number } = localize(props.texts);
    this.translate = translate;
    this.number = number;
    this.locale = locale;
    this.languageName = languageNames(locale);
    this.parts = partsOf(element);
    localizeElements(element, translate);
    this.keep = keepFields(this.parts.form, "stream_live");
    this.#known = this.parts.text.value;
    this.chart = new LaneChart(localize(props.chart_texts));
    this.parts.chart.replaceChildren(this.chart.element);
    setText(this.parts.rule, this.chart.rule);
    this.speech = new LiveSpeech();
    this.typist = new Typist();
    /** @type {(() => void) & import("./common.js").DebounceControls} */
    this.restartSoon = debounce(() => this.#restart(), CHANGED);
    this.#listen();
    this.#showVoices();
    this.#showPace();
    this.#showButtons();
    this.#readIdle();
    voiceDirectory.start();
  }

  #listen() {
    const { form, text, typing, voice, pace } = this.parts;
    text.addEventListener("input", (event) => this.#onInput(event));
    text.addEventListener("compositionstart", () => {
      this.#isComposing = true;
    });
    text.addEventListener("compositionend", () => {
      this.#isComposing = false;
      this.#follow();
    });
    text.addEventListener("focus", () => !player.lacksStreaming && this.speech.socket.open());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#complete();
    });
    typing.addEventListener("click", () => (this.typist.isTyping ? this.speech.stop() : this.#letType()));
    pace.addEventListener("input", () => this.#showPace());
    voice.addEventListener("input", () => this.#choose(voice.value));
    onKeyInTab(this.element, (event) => this.#onKey(event));
    this.#listenToSpeech();
    voiceDirectory.addEventListener("change", () => this.#showVoices());
    pageState.addEventListener("change", () => this.#showChosen());
    addEventListener("pagehide", () => this.speech.socket.close());
  }

  #listenToSpeech() {
    const { speech } = this;
    speech.addEventListener("change", () => this.#startRedrawing());
    for (const name of ["stopped", "done", "failed"])
      speech.addEventListener(name, (event) => this.#onEnd(/** @type {CustomEvent} */ (event)));
    speech.addEventListener("problem", (event) =>
      this.#showProblem(/** @type {CustomEvent} */ (event).detail),
    );
    speech.addEventListener("heard", (event) => {
      const text = /** @type {CustomEvent<string>} */ (event).detail;
      if (!speech.isActive && this.#restartAt === null) this.#tell("heard", { text });
    });
    speech.addEventListener("voice", (event) =>
      this.#tell("instead", { name: voiceNames.full(/** @type {CustomEvent<string>} */ (event).detail) }),
    );
  }

  /** How long a pause lets the server speak what it has. */
  async #readIdle() {
    /** @type {{ name: string, value: string }[]} */
    const settings = await requestJson(SETTINGS_PATH).catch(() => []);
    const value = Number(settings.find(({ name }) => name === IDLE_SETTING)?.value ?? Number.NaN);
    this.speech.flushIdle = Number.isFinite(value) ? value / 1000 : FLUSH_IDLE;
  }

  // ---- Typing

  /** @param {Event} event */
  #onInput(event) {
    if (this.#isComposing || /** @type {InputEvent} */ (event).isComposing) return;
    this.#follow();
  }

  /** Send what was typed. */
  #follow() {
    const { value } = this.parts.text;
    const change = changeOf(this.#known, value);
    this.#known = value;
    if (change === null) return;
    if ("restart" in change) this.#change(change.restart);
    else if (this.#restartAt !== null) this.#restart();
    else this.#write(change.append);
    this.#tellIfFull();
  }

  /** The browser leaves out what is beyond the box's limit, and says nothing of it. */
  #tellIfFull() {
    const { textLength, maxLength } = this.parts.text;
    const isFull = textLength >= maxLength - 1; // one less where the next character takes two
    if (isFull) this.#tell("full", { count: this.number(maxLength) });
  }

  /** @param {number} place where to begin again */
  #change(place) {
    const begin = Math.min(place, this.#restartAt ?? place);
    this.#restartAt = this.#known.slice(begin).trim() ? begin : null;
    this.speech.stop();
    this.#tell(this.#restartAt === null ? "" : "changed");
    if (this.#restartAt === null) this.restartSoon.cancel();
    else this.restartSoon();
  }

  /** Speak what was changed, unless something is being composed. */
  #restart() {
    this.restartSoon.cancel();
    if (this.#isComposing) {
      this.restartSoon();
      return;
    }
    const begin = this.#restartAt ?? this.#known.length;
    this.#restartAt = null;
    this.#write(this.#known.slice(begin));
  }

  /** @param {string} piece */
  #write(piece) {
    if (player.lacksStreaming) return this.#tell("no_streaming");
    if (!this.speech.isActive) this.#tell("");
    const { voice, speaker, speed } = pageState.values;
    this.speech.write(piece, { voice, speaker, speed });
  }

  #complete() {
    if (this.#restartAt !== null) this.#restart();
    this.speech.complete();
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const isDone = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (!isDone || event.target !== this.parts.text) return false;
    this.#complete();
    return true;
  }

  /** Type what is in the box, or an example, from its beginning. */
  #letType() {
    if (player.lacksStreaming) return this.#tell("no_streaming");
    const { text, pace } = this.parts;
    this.speech.stop();
    this.restartSoon.cancel();
    this.#restartAt = null;
    this.#whole = text.value.trim() ? text.value : this.#example();
    this.#known = text.value = "";
    text.readOnly = pace.disabled = true;
    this.typist.start(this.#whole, Number(pace.value), {
      write: (piece) => this.#type(piece),
      end: () => {
        this.#endTyping();
        this.speech.complete();
      },
    });
    this.#showButtons();
  }

  /** @param {string} piece */
  #type(piece) {
    const { text } = this.parts;
    this.#known = text.value += piece;
    text.scrollTop = text.scrollHeight;
    this.#write(piece);
  }

  /** All was typed, or it was stopped: the box holds the whole text again. */
  #endTyping() {
    const { text, pace } = this.parts;
    this.typist.stop();
    text.readOnly = pace.disabled = false;
    this.#known = text.value = this.#whole;
    this.keep();
    this.#showButtons();
  }

  /** An example in the language of the voice. */
  #example() {
    const voice = voiceDirectory.find(pageState.values.voice) ?? voiceDirectory.default;
    const isOwn = !voice || familyOf(voice.language) === familyOf(this.locale);
    return isOwn || !voice.sample ? this.translate("example") : voice.sample;
  }

  // ---- The voice

  #showVoices() {
    const { voice } = this.parts;
    voice.replaceChildren(...voicesByLanguage(this.languageName).map((group) => this.#group(group)));
    this.#showChosen();
  }

  /** @param {{ label: string, voices: Voice[] }} group */
  #group({ label, voices }) {
    const options = voices.map((each) => new Option(voiceNames.of(each.name), each.name));
    return createElement("optgroup", { label: label || this.translate("robots") }, ...options);
  }

  #showChosen() {
    const { voice } = this.parts;
    const chosen = voiceDirectory.find(pageState.values.voice) ?? voiceDirectory.default;
    if (chosen && voice.value !== chosen.name) voice.value = chosen.name;
  }

  /** @param {string} name */
  #choose(name) {
    const { voice: previous } = pageState.values;
    pageState.patch({ voice: name, previous, speaker: "", sliders: {} });
  }

  // ---- What is shown

  #showPace() {
    const { pace, paced } = this.parts;
    setText(paced, this.translate("letters", { count: pace.value }));
  }

  #showButtons() {
    const { done, typing } = this.parts;
    done.disabled = !this.speech.isOpen;
    setText(typing, this.translate(this.typist.isTyping ? "stop_typing" : "type"));
  }

  /**
   * @param {string} name of a text, or "" for none
   * @param {Record<string, string>} [values]
   */
  #tell(name, values) {
    setText(this.parts.note, name ? this.translate(name, values) : "");
    problems.show(this.parts.problem, { text: "", details: "" });
  }

  /** @param {CustomEvent} event */
  #onEnd({ type, detail }) {
    if (this.typist.isTyping) this.#endTyping();
    this.#ended = type;
    if (type === "failed") this.#onFailed(detail);
    else if (this.#restartAt === null) this.#tell(type === "stopped" ? "is_stopped" : "is_done");
    this.#startRedrawing();
  }

  /** Typing on connects again, and says the sentence from its beginning. @param {unknown} error */
  #onFailed(error) {
    this.#restartAt = sentenceStart(this.#known, this.#known.length);
    this.#showProblem(error);
  }

  /** @param {unknown} error */
  #showProblem(error) {
    const { text, details } = problems.of(error);
    setText(this.parts.note, "");
    problems.show(this.parts.problem, { text: this.translate("failed", { problem: text }), details });
  }

  #startRedrawing() {
    this.#showButtons();
    this.#draw();
    this.#redrawing ??= setInterval(() => this.#draw(), REDRAWN);
  }

  #draw() {
    const { timeline, isActive, now } = this.speech;
    if (!isActive) {
      clearInterval(this.#redrawing);
      this.#redrawing = undefined;
    }
    const isUnseen = isActive && !isVisible(this.element);
    if (timeline === null || isUnseen || !this.element.isConnected) return;
    const from = isActive ? Math.max(0, now - SHOWN) : 0;
    const record = timeline.lane(from);
    const head = [this.#state(timeline), ...this.#facts(timeline)].map((fact) =>
      createElement("span", {}, fact),
    );
    this.chart.show([{ record, now: now - from, head }], isActive ? SHOWN / 4 : 1);
    this.#showGaps(timeline);
  }

  /** @param {StreamTimeline} timeline */
  #state({ firstSound }) {
    const { isActive, left } = this.speech;
    if (!isActive) return this.translate(`was_${this.#ended}`);
    if (firstSound === null) return this.translate("asking");
    return this.translate(left > 0 ? "speaking" : "silent");
  }

  /** @param {StreamTimeline} timeline */
  #facts(timeline) {
    const { translate, speech } = this;
    const first = timeline.firstSound;
    const facts = [];
    if (first) facts.push(translate(`first_after_${first.by}`, { time: this.#time(first.seconds) }));
    if (speech.left > 0) facts.push(translate("ahead", { time: this.#time(speech.left) }));
    facts.push(this.chart.describeGaps(countGaps(timeline.gaps)));
    return facts;
  }

  /** @param {StreamTimeline} timeline */
  #showGaps({ gaps }) {
    const { gaps: details, list, rule } = this.parts;
    details.hidden = rule.hidden = gaps.length === 0;
    if (list.childElementCount > gaps.length) list.replaceChildren();
    for (const gap of gaps.slice(list.childElementCount, MAX_GAPS)) {
      const [at, time] = [this.#time(gap.at), this.#time(gap.seconds)];
      const owner = this.chart.translate(`lane.gap_${gap.owner}`);
      list.append(createElement("li", {}, this.translate("gap", { at, time, owner, word: gap.word })));
    }
  }

  /** @param {number} seconds */
  #time(seconds) {
    return seconds < 1 ? `${this.number(seconds * 1000)} ms` : `${this.number(seconds, 1)} s`;
  }
}

/**
 * The voices that can speak, by the names of their languages; those of the last group, without a name, are robots.
 * @param {import("./voice_facts.js").LanguageName} languageName
 */
function voicesByLanguage(languageName) {
  /** @type {Map<string, Voice[]>} */
  const groups = new Map();
  for (const voice of voiceDirectory.installed) {
    const label = isRobot(voice) ? "" : languageName(voice.language);
    groups.set(label, [...(groups.get(label) ?? []), voice]);
  }
  return [...groups]
    .map(([label, voices]) => ({ label, voices }))
    .sort((one, other) => Number(!one.label) - Number(!other.label) || one.label.localeCompare(other.label));
}

/**
 * The section's markup, which `ui/stream_live.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "stream_live");
  return {
    chart: part("chart", HTMLElement),
    done: part("done", HTMLButtonElement),
    form: part("form", HTMLFormElement),
    gaps: part("gaps", HTMLDetailsElement),
    list: find(element, "#stream_live-gaps ol", HTMLElement),
    note: part("note", HTMLElement),
    pace: part("pace", HTMLInputElement),
    paced: find(element, "output", HTMLOutputElement),
    problem: part("problem", HTMLElement),
    rule: part("rule", HTMLElement),
    text: part("text", HTMLTextAreaElement),
    typing: part("typing", HTMLButtonElement),
    voice: part("voice", HTMLSelectElement),
  };
}

/** @param {import("./common.js").MountContext<{ texts: Texts, chart_texts: Texts }>} context */
export const mount = (context) => void new StreamLive(context);
