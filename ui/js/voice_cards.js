/**
 * Voice cards: the voices that a search finds, those that are here first; each says the sentence when it is chosen.
 *
 * Arrow keys go from card to card. A card is made as the reader comes near to it: there are hundreds. Everything from the
 * server is inserted as text, as anybody may have written it.
 */

import { button, createElement, setText } from "./common.js";
import { hasFailed, isRunning, showProblemAt } from "./download_list.js";
import { isBlendable } from "./pair_blend.js";
import { problems } from "./problems.js";
import { VoiceElements } from "./voice_elements.js";
import { engineLabel, factLine, isRobot, sizeText } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";
import { VoiceShelf } from "./voice_shelf.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */
/** @typedef {import("./voice_directory.js").Download} Download */

/**
 * What the cards need to know, and what they ask for.
 * @typedef {object} CardOptions
 * @property {import("./common.js").Translate} translate
 * @property {import("./common.js").FormatNumber} number
 * @property {import("./voice_facts.js").VoiceSearch} search
 * @property {(voice: Voice) => void} hear
 * @property {() => void} stop
 * @property {(voice: Voice) => void} fetch
 * @property {() => void} use shows what can be done with the chosen voice
 * @property {(voice: Voice) => void} mark puts it on the shortlist, or off
 * @property {(one: Voice, other: Voice) => void} pair one card was dropped on another, and both can be blended
 */

/** @typedef {"marked" | "here" | "away" | "robots"} Shelf */

/** @type {Shelf[]} */
const SHELVES = ["marked", "here", "away", "robots"];
/** @type {Record<string, number>} */
const ENGINE_ORDER = { kokoro: 0, piper: 1, remote: 2 };

export class VoiceCards {
  /** Those made so far. */
  #cards = new VoiceElements(
    (voice) => this.#makeCard(voice),
    ({ name }) => [voiceNames.of(name), this.#shortlist.includes(name)],
  );
  /** @type {Voice[]} */
  #voices = [];
  /** @type {string[]} */
  #shortlist = [];
  /** By the voice's name. @type {Map<string, Download>} */
  #downloads = new Map();
  /** The voice whose card is being dragged. @type {Voice | undefined} */
  #dragged;
  #query = "";
  #chosen = "";
  /** The shelves that were unfolded before the search. @type {Set<VoiceShelf>} */
  #unfolded = new Set();
  /** The chosen voice whose shelf was unfolded: it may be folded again. */
  #shown = "";
  #speaking = "";
  /** The voice that is chosen when the page opens. */
  inSight = "";

  /**
   * @param {HTMLElement} element
   * @param {CardOptions} options
   */
  constructor(element, options) {
    this.element = element;
    this.options = options;
    this.shelves = new Map(SHELVES.map((name) => [name, this.#shelf(name)]));
    element.replaceChildren(...this.#allShelves.map(({ details }) => details));
    element.addEventListener("keydown", (event) => this.#onKey(event));
    element.addEventListener("dragstart", (event) => this.#onDragStart(event));
    element.addEventListener("dragover", (event) => this.#pairOf(event) && event.preventDefault());
    element.addEventListener("drop", (event) => this.#onDrop(event));
  }

  /** @param {Shelf} name */
  #shelf(name) {
    return new VoiceShelf(name, {
      isOpen: name === "marked" || name === "here",
      cardOf: (voice) => this.#cards.of(voice),
      titleOf: (count) => this.options.translate(`shelf_${name}`, { count }),
    });
  }

  get #allShelves() {
    return [...this.shelves.values()];
  }

  /**
   * Show voices. A card that has the focus keeps it, and the page stays where it is, unless the keyboard brought the
   * focus there.
   * @param {Voice[]} voices
   * @param {string[]} shortlist names of those that are marked
   */
  show(voices, shortlist) {
    const focused = focusedPart(this.element);
    this.#voices = this.#ordered(voices);
    this.#shortlist = shortlist;
    for (const [name, shelf] of this.shelves) {
      shelf.put(this.#voices.filter((voice) => this.#shelfOf(voice) === name));
    }
    this.#filter();
    this.choose(this.#chosen);
    if (focused) this.#part(focused.name, focused.part)?.focus({ preventScroll: !focused.isFollowed });
  }

  /**
   * The one that is chosen when the page opens, then those of the reader's language; then by language, by engine,
   * better ones first, and by name.
   * @param {Voice[]} voices
   */
  #ordered(voices) {
    const { languageName } = this.options.search;
    const own = navigator.language.split("-")[0];
    /** @type {(voice: Voice) => [boolean, string, number, string]} */
    const rank = ({ language, engine, name }) => [
      language.split("_")[0] !== own,
      languageName(language),
      ENGINE_ORDER[engine] ?? Object.keys(ENGINE_ORDER).length,
      name,
    ];
    const ranked = voices.map((voice) => ({ voice, by: rank(voice) }));
    const sorted = ranked.sort((one, other) => compareRanks(one.by, other.by)).map(({ voice }) => voice);
    return sorted.sort((one, other) => Number(this.#isInSight(other)) - Number(this.#isInSight(one)));
  }

  /** @param {Voice} voice */
  #isInSight({ name }) {
    return name === this.inSight;
  }

  /**
   * A robot voice that speaks when the page opens is in sight; one that is chosen later stays where it was found.
   * @param {Voice} voice
   * @returns {Shelf}
   */
  #shelfOf(voice) {
    if (this.#shortlist.includes(voice.name)) return "marked";
    if (!voice.is_installed) return "away";
    const isInSight = voice.is_default || this.#isInSight(voice);
    return isRobot(voice) && !isInSight ? "robots" : "here";
  }

  /** @param {Voice} voice */
  #makeCard(voice) {
    const card = this.#card(voice);
    if (voice.name === this.#chosen) markChosen(card, true);
    if (voice.name === this.#speaking) card.setAttribute("data-speaking", "");
    this.#showDownload(card, voice.name);
    return card;
  }

  /** @param {Voice} voice */
  #card(voice) {
    const { translate } = this.options;
    const name = voiceNames.of(voice.name);
    const isMarked = this.#shortlist.includes(voice.name);
    const star = button(isMarked ? "★" : "☆", () => this.options.mark(voice), {
      class: "card-star",
      "data-part": "star",
      "aria-pressed": String(isMarked),
      "aria-label": translate("mark", { name }),
    });
    const tools = createElement("div", { class: "card-tools" }, this.#useButton(voice, name), star);
    const facts = createElement(
      "div",
      { class: "card-facts" },
      createElement("div", { class: "card-name" }, createElement("strong", {}, name), this.#mark(voice)),
      factLine(this.#shownFactsOf(voice)),
      createElement("progress", { hidden: true, "aria-label": translate("progress", { name }) }),
    );
    const main = voice.is_installed ? this.#hearButton(voice, name) : this.#fetchButton(voice);
    const draggable = String(isBlendable(voice));
    return createElement("li", { class: "card", "data-voice": voice.name, draggable }, main, facts, tools);
  }

  /**
   * @param {Voice} voice
   * @param {string} name
   */
  #hearButton(voice, name) {
    const label = this.options.translate("hear_card", { name, facts: this.#factsOf(voice).join(" · ") });
    const disabled = Boolean(voice.problem);
    return button("", () => this.#hearOrStop(voice), {
      class: "card-play play-sign",
      "data-part": "main",
      "aria-label": label,
      disabled,
    });
  }

  /**
   * Only the chosen card shows it.
   * @param {Voice} voice
   * @param {string} name
   */
  #useButton({ is_installed, problem }, name) {
    if (!is_installed || problem) return "";
    const { translate, use } = this.options;
    return button(translate("use_card"), use, {
      class: "card-use",
      "data-part": "use",
      "aria-label": translate("use", { name }),
    });
  }

  /** @param {Voice} voice */
  #hearOrStop(voice) {
    if (this.#speaking === voice.name) this.options.stop();
    else this.options.hear(voice);
  }

  /** @param {Voice} voice */
  #fetchButton(voice) {
    const label = { class: "card-fetch", "data-part": "main" };
    const made = button("↓", () => this.options.fetch(voice), label);
    this.#nameFetching(made, voice.name, false);
    return made;
  }

  /**
   * @param {HTMLButtonElement} fetching
   * @param {string} voice
   * @param {boolean} isAgain whether it failed before
   */
  #nameFetching(fetching, voice, isAgain) {
    const found = this.#find(voice);
    if (!found || fetching.dataset.again === String(isAgain)) return;
    fetching.dataset.again = String(isAgain);
    const told = { name: voiceNames.of(voice), facts: this.#factsOf(found).join(" · ") };
    setText(fetching, isAgain ? "↻" : "↓");
    fetching.setAttribute("aria-label", this.options.translate(isAgain ? "again_card" : "fetch_card", told));
  }

  /** @param {Voice} voice */
  #mark({ is_default }) {
    return is_default
      ? createElement("span", { class: "voices-mark" }, this.options.translate("default"))
      : "";
  }

  /**
   * What a card says below its name: size and licence matter until a voice is here, and all voices of Kokoro share one
   * model.
   * @param {Voice} voice
   */
  #shownFactsOf(voice) {
    const { engine, is_installed, licence, quality, size } = voice;
    return this.#factsOf({
      ...voice,
      quality: is_installed && engine === "kokoro" ? "" : quality,
      size: is_installed ? null : size,
      licence: is_installed ? "" : licence,
      is_default: false,
    });
  }

  /** @param {Voice} voice */
  #factsOf(voice) {
    const { translate, number, search } = this.options;
    const facts = [
      isRobot(voice) ? voice.name : search.languageName(voice.language),
      voiceNames.genderOf(voice),
      engineLabel(voice.engine),
      voiceNames.quality(voice.quality),
      voice.speakers > 1 ? translate("speakers", { count: voice.speakers }) : "",
      voice.size ? sizeText(voice.size, number) : "",
      voice.licence,
      voice.is_default ? translate("default") : "",
      problems.say(voice.problem),
    ];
    return facts.filter(Boolean);
  }

  // ---- Finding

  /**
   * Show only what a search finds; shelves are unfolded for it, and as they were after it.
   * @param {string} query
   * @returns {number} how many were found
   */
  filter(query) {
    const [begins, ends] = [!this.#query && query, this.#query && !query];
    this.#query = query;
    const found = this.#filter();
    if (begins) this.#unfoldAll();
    if (ends) for (const shelf of this.#allShelves) shelf.fold(this.#unfolded.has(shelf));
    return found;
  }

  #unfoldAll() {
    this.#unfolded = new Set(this.#allShelves.filter(({ isOpen }) => isOpen));
    for (const shelf of this.#allShelves) shelf.fold(true);
  }

  #filter() {
    const isMatch = this.options.search.matcher(this.#query);
    return this.#allShelves.reduce((found, shelf) => found + shelf.filter(isMatch), 0);
  }

  // ---- State

  /**
   * Mark the card of the voice that is chosen, whose buttons the tab key reaches.
   * @param {string} name
   */
  choose(name) {
    markChosen(this.#cards.get(this.#chosen), false);
    this.#chosen = name;
    const voice = this.#find(name);
    if (voice && name !== this.#shown) this.#unfoldShelfOf(voice);
    if (voice) this.#shown = name;
    markChosen(this.#cards.get(name), true);
  }

  /** Unfold a voice's shelf, as far as to its card. @param {Voice} voice */
  #unfoldShelfOf(voice) {
    const shelf = this.shelves.get(this.#shelfOf(voice));
    if (!shelf) return;
    shelf.fold(true);
    shelf.reach(voice);
    this.#unfolded.add(shelf);
  }

  /**
   * Mark the card of the voice that speaks, whose button stops it.
   * @param {string} name "" for none
   */
  showSpeaking(name) {
    this.#cards.get(this.#speaking)?.removeAttribute("data-speaking");
    this.#speaking = name;
    this.#cards.get(name)?.setAttribute("data-speaking", "");
  }

  /**
   * Show a card, unfolding its shelf.
   * @param {string} name
   */
  reveal(name) {
    const voice = this.#find(name);
    if (voice) this.#unfoldShelfOf(voice);
    this.#cards.get(name)?.scrollIntoView({ block: "nearest" });
  }

  /**
   * Show how far downloads are, and at their cards why some failed.
   * @param {Download[]} downloads
   */
  showDownloads(downloads) {
    this.#downloads = new Map(downloads.map((each) => [each.voice, each]));
    for (const [name, card] of this.#cards.entries()) this.#showDownload(card, name);
  }

  /**
   * @param {HTMLElement} card
   * @param {string} name
   */
  #showDownload(card, name) {
    const bar = card.querySelector("progress");
    const fetching = card.querySelector(".card-fetch");
    if (!bar || !(fetching instanceof HTMLButtonElement)) return;
    const download = this.#downloads.get(name);
    showProblemAt(card, download);
    bar.hidden = !isRunning(download);
    fetching.disabled = isRunning(download);
    this.#nameFetching(fetching, name, hasFailed(download));
    if (download?.total) [bar.max, bar.value] = [download.total, download.received];
  }

  /** @param {string} name */
  #find(name) {
    return this.#voices.find((voice) => voice.name === name);
  }

  // ---- Two cards put together

  /** @param {DragEvent} event */
  #onDragStart({ target, dataTransfer }) {
    this.#dragged = this.#voiceAt(target);
    dataTransfer?.setData("text/plain", this.#dragged?.name ?? "");
  }

  /**
   * The voices of the card that is dragged and the one below it, if they can be blended.
   * @param {DragEvent} event
   * @returns {[Voice, Voice] | null}
   */
  #pairOf({ target }) {
    const [one, other] = [this.#dragged, this.#voiceAt(target)];
    return one && other && one !== other && isBlendable(one) && isBlendable(other) ? [one, other] : null;
  }

  /** @param {DragEvent} event */
  #onDrop(event) {
    const pair = this.#pairOf(event);
    this.#dragged = undefined;
    if (!pair) return;
    event.preventDefault();
    this.options.pair(...pair);
  }

  /** @param {EventTarget | null} target */
  #voiceAt(target) {
    const card = target instanceof Element ? target.closest(".card") : null;
    return card ? this.#find(nameOf(card)) : undefined;
  }

  // ---- Keys

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    const from = focusedPart(this.element);
    if (!step || !from) return;
    event.preventDefault();
    const next = this.#neighbour(from.name, step);
    if (!next) return;
    this.#part(next.name, "main")?.focus();
    if (next.is_installed && !next.problem) this.options.hear(next);
  }

  /** The voices whose cards are shown, in their order. */
  get #shownVoices() {
    return this.#allShelves.flatMap(({ shown }) => shown);
  }

  /**
   * The voice of the next card that is shown.
   * @param {string} name
   * @param {number} step
   */
  #neighbour(name, step) {
    const shown = this.#shownVoices;
    return shown[shown.findIndex((voice) => voice.name === name) + step];
  }

  /** Bring the first card that is shown into sight. */
  showFirst() {
    const first = this.#shownVoices[0];
    if (first) this.#cardOf(first.name)?.scrollIntoView({ block: "nearest" });
  }

  /** Set the focus to the first card that is shown. */
  focusFirst() {
    const first = this.#shownVoices[0];
    if (first) this.#part(first.name, "main")?.focus();
    return first;
  }

  /** The card of a voice, which is made if it is shown. @param {string} name */
  #cardOf(name) {
    const voice = this.#find(name);
    if (voice) this.shelves.get(this.#shelfOf(voice))?.reach(voice);
    return this.#cards.get(name);
  }

  /**
   * @param {string} name
   * @param {string} part
   */
  #part(name, part) {
    const found = this.#cardOf(name)?.querySelector(`[data-part="${part}"]`);
    return found instanceof HTMLElement ? found : null;
  }
}

/**
 * @param {HTMLElement | undefined} card
 * @param {boolean} isChosen
 */
function markChosen(card, isChosen) {
  card?.toggleAttribute("aria-current", isChosen);
  card?.classList.toggle("card-chosen", isChosen);
}

/** @param {Element} card */
const nameOf = (card) => card.getAttribute("data-voice") ?? "";

/** @param {Element} element */
function isInSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/**
 * The card, and the part of it, that has the focus; and whether the page follows it, as the keyboard brought it there.
 * @param {HTMLElement} element
 */
function focusedPart(element) {
  const focused = document.activeElement;
  const card = focused?.closest(".card");
  if (!focused || !card || !element.contains(card)) return null;
  const part = focused.getAttribute("data-part") ?? "main";
  return { name: nameOf(card), part, isFollowed: focused.matches(":focus-visible") && isInSight(focused) };
}

/**
 * @param {[boolean, string, number, string]} one
 * @param {[boolean, string, number, string]} other
 */
function compareRanks(one, other) {
  return (
    Number(one[0]) - Number(other[0]) ||
    one[1].localeCompare(other[1]) ||
    one[2] - other[2] ||
    one[3].localeCompare(other[3])
  );
}
