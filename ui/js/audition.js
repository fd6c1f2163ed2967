/**
 * The Listen tab: a sentence, the voices as cards that say it, and what can be done with the chosen one.
 */

import { AbsentVoices } from "./absent_voices.js";
import { adjustmentFields } from "./adjustments.js";
import { BlindDialog } from "./blind_dialog.js";
import {
  button,
  find,
  isVisible,
  localize,
  localizeElements,
  onKeyInTab,
  partFinder,
  requestJson,
  setText,
} from "./common.js";
import { history } from "./history.js";
import { pageState } from "./page_state.js";
import { PairBlend } from "./pair_blend.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { speechRequest } from "./speech_request.js";
import { openTab } from "./tabs.js";
import { TextStages } from "./text_stages.js";
import { UseVoice } from "./use_voice.js";
import { VoiceCards } from "./voice_cards.js";
import { voiceDirectory } from "./voice_directory.js";
import { isRobot, VoiceSearch } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";
import { voiceUse } from "./voice_use.js";

/** @typedef {import("./speech_request.js").VoiceFacts} VoiceFacts */
/** @typedef {import("./voice_facts.js").Voice} Voice */

class AuditionTab {
  /** @type {Map<string, Promise<VoiceFacts>>} */
  #facts = new Map();
  /** @param {import("./common.js").MountContext<{ texts: import("./common.js").Texts, path: string, home_path: string }>} context */
  constructor({ element, props }) {
    this.element = element;
    this.path = props.path;
    const { translate, locale, number } = localize(props.texts);
    this.translate = translate;
    this.number = number;
    this.parts = partsOf(element);
    localizeElements(element, translate);
    this.search = new VoiceSearch(locale, voiceNames.translate);
    const nameOf = (/** @type {string} */ name) => voiceNames.of(name);
    const attempt = (/** @type {() => Promise<unknown>} */ work) => this.#attempt(work);
    this.absent = new AbsentVoices(this.parts, { translate, number, nameOf, attempt });
    const { languageName } = this.search;
    this.use = new UseVoice(element, { translate, nameOf, languageName, attempt, homePath: props.home_path });
    this.cards = new VoiceCards(this.parts.cards, {
      translate,
      number,
      search: this.search,
      hear: (voice) => this.hear(voice),
      stop: () => player.stop(),
      fetch: (voice) => this.absent.fetch(voice),
      use: () => this.use.reveal(),
      mark: (voice) => this.#mark(voice),
      pair: (one, other) => this.#showPair(one, other),
    });
    this.pair = new PairBlend(this.parts.pair, {
      translate,
      hear: (recipe, language) => this.#attempt(() => this.#hearRecipe(recipe, language)),
      takenNames: () => new Set(voiceDirectory.view.voices.map(({ name }) => name)),
      onKept: (name) => this.#chooseKept(name),
    });
    this.stages = new TextStages(this.parts.said, `${this.path}/explain`);
    this.#listen();
    this.#showState();
    voiceDirectory.start();
    if (voiceDirectory.isLoaded) this.#showVoices();
  }

  #listen() {
    const { parts } = this;
    parts.text.addEventListener("input", () => {
      const text = parts.text.value;
      pageState.patch({ text, isOwnText: text.trim() !== "" });
    });
    parts.search.addEventListener("input", () => this.#find(parts.search.value));
    parts.search.addEventListener("keydown", (event) => this.#onSearchKey(event));
    parts.blind.addEventListener("click", () => this.#compareBlind());
    parts.cards.addEventListener("pointerover", (event) => this.#expect(event.target));
    parts.cards.addEventListener("click", (event) => this.#onCardClick(event));
    onKeyInTab(this.element, (event) => this.#onKey(event));
    voiceDirectory.addEventListener("change", () => this.#showVoices());
    voiceDirectory.addEventListener("downloads", () => this.#showDownloads());
    pageState.addEventListener("change", (event) =>
      this.#showState(/** @type {CustomEvent<string[]>} */ (event).detail),
    );
    player.addEventListener("wanted", (event) => this.#onWanted(event));
    voiceUse.addEventListener("wanted", (event) =>
      this.#showUseOf(/** @type {CustomEvent<string>} */ (event).detail),
    );
    player.addEventListener("change", () => this.cards.showSpeaking(speakingVoice()));
  }

  // ---- What is shown

  /** @param {readonly string[]} changed names of the values that changed: hundreds of cards know nothing of the text */
  #showState(changed = ["voice", "search"]) {
    const { text, search, voice } = pageState.values;
    const { parts } = this;
    if (parts.text.value !== text) parts.text.value = text;
    if (parts.search.value !== search) parts.search.value = search;
    if (changed.includes("voice")) this.cards.choose(voice);
    this.#showUse();
    if (changed.includes("search")) this.#showFound(this.cards.filter(search));
    this.stages.update(pageState.values);
  }

  /** What is to be done with the chosen voice, the one before it, and the shortlist. */
  #showUse() {
    const { voice, previous } = pageState.values;
    this.parts.blind.hidden = this.#comparable().length < 2;
    this.pair.show(voiceDirectory.find(previous), voiceDirectory.find(voice));
    this.use.show();
  }

  /** @param {number} found */
  #showFound(found) {
    const { search } = pageState.values;
    const isMissing = search && !found && voiceDirectory.isLoaded;
    setText(this.parts.found, isMissing ? this.translate("none_found") : "");
  }

  #showVoices() {
    this.#facts.clear();
    this.cards.inSight ||= pageState.values.voice || (voiceDirectory.first?.name ?? "");
    this.cards.show(voiceDirectory.view.voices, pageState.values.shortlist);
    this.#showDownloads();
    this.#chooseFetched();
    const { voice } = pageState.values;
    if (voiceDirectory.findInstalled(voice)) this.#showVoice(voice);
    else this.#replaceAbsent(voice);
    this.#showState();
  }

  /**
   * Choose a voice, and tell that the chosen one, of a link or kept from before, is not here.
   * @param {string} absent "" if none was chosen
   */
  #replaceAbsent(absent) {
    const usual = voiceDirectory.default;
    const instead = absent ? usual : voiceDirectory.first;
    this.#choose(instead);
    if (!instead || !usual) return;
    if (absent) this.absent.showUnknown(absent, instead);
    else this.absent.showFirst(instead, usual);
  }

  /** A voice that was fetched takes the place of a robot voice, which was a makeshift. */
  #chooseFetched() {
    const fetched = this.absent.takeFetched();
    const chosen = voiceDirectory.findInstalled(pageState.values.voice);
    if (!fetched || (chosen && !isRobot(chosen))) return;
    this.absent.forgetUnknown();
    this.#choose(fetched);
    this.cards.reveal(fetched.name);
  }

  #showDownloads() {
    this.cards.showDownloads(voiceDirectory.downloads);
    this.absent.showDownloads();
  }

  /** @param {string} name */
  async #showVoice(name) {
    const facts = await this.#factsOf(name).catch(() => null);
    if (facts === null || pageState.values.voice !== name) return;
    player.expect(facts.sample_rate);
    this.#showExamples(facts.examples);
    this.parts.adjustments.replaceChildren(
      ...adjustmentFields(facts, { translate: this.translate, number: this.number }),
    );
  }

  /** @param {string[]} examples */
  #showExamples(examples) {
    const { text, isOwnText } = pageState.values;
    const chips = examples.map((example) => button(example, () => this.#write(example), { class: "chip" }));
    this.parts.examples.replaceChildren(...chips);
    const first = examples[0];
    if (first && !isOwnText && !examples.includes(text)) pageState.patch({ text: first });
  }

  /**
   * Write an example into the text field, as typing does: the browser can undo it.
   * @param {string} example
   */
  #write(example) {
    const { text } = this.parts;
    text.focus();
    text.select();
    if (!document.execCommand("insertText", false, example)) text.value = example;
    pageState.patch({ text: example, isOwnText: false });
  }

  /** What is found may lie behind the player bar, where typing would show nothing. @param {string} search */
  #find(search) {
    pageState.patch({ search });
    if (search) this.cards.showFirst();
  }

  // ---- Choosing and hearing

  /** @param {Voice | undefined} voice */
  #choose(voice) {
    if (!voice) return;
    const { voice: before } = pageState.values;
    if (voice.name === before) return;
    const previous = voiceDirectory.findInstalled(before) ? before : "";
    pageState.patch({ voice: voice.name, previous, speaker: "", sliders: {} });
    this.#showVoice(voice.name);
  }

  /**
   * Choose a voice and have it say the sentence.
   * @param {Voice} voice
   * @param {{ fraction?: number, isKept?: boolean }} [again] of the clip to skip if it was heard before, and whether the
   *   one in the player is played again where it is the same
   */
  async hear(voice, { fraction = 0, isKept = false } = {}) {
    this.absent.forgetUnknown();
    this.#choose(voice);
    const { name } = voice;
    await this.#attempt(async () => {
      const facts = await this.#factsOf(name);
      if (pageState.values.voice !== name) return; // another was chosen meanwhile
      this.#showExamples(facts.examples);
      const body = this.#request(pageState.values, facts);
      const known = fraction > 0 ? history.find(body)?.clip : isKept && player.clipOf(body);
      await (known ? player.replay(known, fraction, body) : player.play(body));
    });
  }

  /**
   * @param {import("./speech_request.js").Fields} fields
   * @param {VoiceFacts} facts
   */
  #request(fields, facts) {
    if (!fields.text.trim()) throw new Error(this.translate("nothing"));
    return speechRequest(fields, facts);
  }

  /** Names of the voices on the shortlist that can speak. */
  #comparable() {
    const { shortlist } = pageState.values;
    return shortlist.filter((name) => voiceDirectory.installed.some((voice) => voice.name === name));
  }

  /** Compare the voices of the shortlist without their names. */
  #compareBlind() {
    const dialog = new BlindDialog(this.#comparable(), {
      translate: this.translate,
      nameOf: (name) => voiceNames.of(name),
      hear: (name, label, signal) => this.#attempt(() => this.#hearBlind(name, label, signal)),
      choose: (name) => this.#choose(voiceDirectory.find(name)),
    });
    dialog.open(this.parts.root);
  }

  /**
   * @param {string} name
   * @param {string} label
   * @param {AbortSignal} signal aborts once it is no longer wanted
   */
  async #hearBlind(name, label, signal) {
    const usual = { ...pageState.values, speaker: "", sliders: {} };
    const facts = await this.#factsOf(name);
    if (!signal.aborted) await player.play(this.#request(usual, facts), label);
  }

  /**
   * Have the slider between two voices at hand: one card was dropped on another.
   * @param {Voice} one
   * @param {Voice} other
   */
  #showPair(one, other) {
    this.#choose(one);
    this.#choose(other);
    this.pair.hear();
    this.parts.pair.open = true;
    this.parts.pair.scrollIntoView({ block: "nearest" });
  }

  /**
   * @param {string} recipe
   * @param {string} language "" for that of the voices
   */
  async #hearRecipe(recipe, language) {
    const facts = await this.#factsOf(pageState.values.voice);
    const request = this.#request(pageState.values, { ...facts, name: recipe });
    await player.play(language ? { ...request, language } : request);
  }

  /** @param {string} name of a blend that was saved */
  async #chooseKept(name) {
    await voiceDirectory.refresh();
    this.#choose(voiceDirectory.find(name));
    this.cards.reveal(name);
  }

  /** Another tab has a voice to be used. @param {string} name */
  async #showUseOf(name) {
    await voiceDirectory.refresh();
    this.#choose(voiceDirectory.find(name));
    openTab("audition");
    await new Promise(requestAnimationFrame); // the tab is in sight then
    this.use.revealHome();
  }

  #hearChosen(isKept = false) {
    const chosen = voiceDirectory.find(pageState.values.voice) ?? voiceDirectory.default;
    if (chosen) this.hear(chosen, { isKept });
  }

  /**
   * The player bar was asked to play: in this tab, or where nothing was heard yet, it speaks what is typed here.
   * @param {Event} event
   */
  #onWanted(event) {
    if (!isVisible(this.element) && (player.clip || player.body)) return;
    event.preventDefault();
    this.#hearChosen(true);
  }

  /** Switch to the voice heard before, from where this one is. */
  #hearPrevious() {
    const previous = voiceDirectory.findInstalled(pageState.values.previous);
    if (previous) this.hear(previous, { fraction: player.fraction });
    else setText(this.parts.problem, this.translate("no_previous"));
  }

  /** @param {Voice} voice */
  #mark({ name }) {
    const { shortlist } = pageState.values;
    const others = shortlist.filter((each) => each !== name);
    pageState.patch({ shortlist: others.length < shortlist.length ? others : [...shortlist, name] });
    this.cards.show(voiceDirectory.view.voices, pageState.values.shortlist);
  }

  /** Read the facts of the voice under the pointer, so that a click finds them here. @param {EventTarget | null} target */
  #expect(target) {
    const voice = voiceOf(target);
    if (voice?.is_installed) this.#factsOf(voice.name).catch(() => {});
  }

  /** A click beside a card's buttons is one on its first. @param {MouseEvent} event */
  #onCardClick({ target }) {
    const voice = voiceOf(target);
    const isOnButton = target instanceof Element && target.closest("button");
    if (voice?.is_installed && !voice.problem && !isOnButton) this.hear(voice);
  }

  /** @param {string} name */
  #factsOf(name) {
    const known = this.#facts.get(name);
    if (known) return known;
    /** @type {Promise<VoiceFacts>} */
    const asked = requestJson(`${this.path}/voice?${new URLSearchParams({ name })}`);
    asked.catch(() => this.#facts.delete(name));
    this.#facts.set(name, asked);
    return asked;
  }

  // ---- Keys

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#hearChosen();
    else if (event.key === "F2" && !event.repeat) this.#hearPrevious();
    else return false;
    return true;
  }

  /** @param {KeyboardEvent} event */
  #onSearchKey(event) {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    const first = this.cards.focusFirst();
    if (first?.is_installed && !first.problem) this.hear(first);
  }

  /**
   * Run work, and show its error if it has one.
   * @param {() => Promise<unknown>} work
   */
  async #attempt(work) {
    setText(this.parts.problem, "");
    try {
      await work();
    } catch (error) {
      problems.show(this.parts.problem, problems.of(error));
    }
  }
}

/** The voice that is heard now, unless its name is hidden. */
const speakingVoice = () => (player.isBusy && !player.label ? (player.body?.voice ?? "") : "");

/** The voice of the card that an event happened in. @param {EventTarget | null} target */
function voiceOf(target) {
  const card = target instanceof Element ? target.closest(".card") : null;
  return voiceDirectory.find(card?.getAttribute("data-voice") ?? "");
}

/**
 * The tab's markup, which `ui/audition.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "audition");
  return {
    adjustments: part("adjustments", HTMLElement),
    blind: part("blind", HTMLButtonElement),
    cards: part("cards", HTMLElement),
    examples: part("examples", HTMLElement),
    found: part("found", HTMLElement),
    makeshift: part("makeshift", HTMLElement),
    pair: part("pair", HTMLDetailsElement),
    problem: part("problem", HTMLElement),
    root: find(element, ".audition", HTMLElement),
    said: part("said", HTMLDetailsElement),
    search: part("search", HTMLInputElement),
    text: part("text", HTMLTextAreaElement),
    unknown: part("unknown", HTMLElement),
  };
}

/** @param {import("./common.js").MountContext<{ texts: import("./common.js").Texts, path: string, home_path: string }>} context */
export const mount = (context) => void new AuditionTab(context);
