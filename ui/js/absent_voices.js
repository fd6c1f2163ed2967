/**
 * Notices above the voice cards, about voices that are not installed: of a link, kept from before, the default one, or
 * any but robot voices. Each offers the download that helps, and a download that failed is told of.
 *
 * A phone shows one line of each, and the rest when that is pressed: the first card is to be in sight. What was
 * dismissed is not told again.
 */

import { readRecord, writeJson } from "./browser_storage.js";
import { button, createElement, find, setText } from "./common.js";
import { hasFailed, isRunning } from "./download_list.js";
import { NO_PROBLEM, problems } from "./problems.js";
import { voiceDirectory } from "./voice_directory.js";
import { familyOf, isRobot, recommendedVoice, sizeText } from "./voice_facts.js";

/** @typedef {import("./voice_directory.js").Download} Download */
/** @typedef {import("./voice_facts.js").Voice} Voice */

const DISMISSED_KEY = "wyoming-tts.dismissed";

/**
 * What a notice tells.
 * @typedef {object} Told
 * @property {string} key of the text; that of one line has "_short" after it
 * @property {Record<string, string>} names
 * @property {string} about ID of the voice it is about, "" for none: it is dismissed with that, whatever the language
 */

/**
 * @typedef {object} AbsentOptions
 * @property {import("./common.js").Translate} translate
 * @property {import("./common.js").FormatNumber} number
 * @property {(name: string) => string} nameOf a voice, for people
 * @property {(work: () => Promise<unknown>) => Promise<void>} attempt runs work, and shows its error
 */

export class AbsentVoices {
  /** The voice whose download was asked for last. */
  #fetched = "";
  /** What the makeshift notice tells and offers. */
  #makeshift = "";

  /**
   * @param {{ makeshift: HTMLElement, unknown: HTMLElement, problem: HTMLElement }} parts
   * @param {AbsentOptions} options
   */
  constructor(parts, options) {
    this.parts = parts;
    this.options = options;
  }

  /** @param {Voice} voice */
  fetch({ name }) {
    this.#fetched = name;
    return this.options.attempt(() => voiceDirectory.change("download", name));
  }

  /** The voice that was asked for here, once it is installed; told once. */
  takeFetched() {
    const fetched = voiceDirectory.findInstalled(this.#fetched);
    if (fetched) this.#fetched = "";
    return fetched;
  }

  /**
   * Tell that the chosen voice, of a link or kept from before, is not here.
   * @param {string} absent
   * @param {Voice} instead
   */
  showUnknown(absent, instead) {
    const { nameOf } = this.options;
    const known = voiceDirectory.find(absent);
    const names = { name: nameOf(absent), instead: nameOf(instead.name) };
    const key = known ? "absent_voice" : "unknown_voice";
    this.#fill(this.parts.unknown, { key, names, about: absent }, known);
  }

  /**
   * Tell a reader who has chosen nothing which voice clients get, if it is another than the one that is chosen here.
   * @param {Voice} first
   * @param {Voice} usual
   */
  showFirst(first, usual) {
    if (first === usual) return;
    const usualName = this.options.nameOf(usual.name);
    const names = { name: this.#describe(first), usual: this.#describe(usual), short: usualName };
    this.#fill(this.parts.unknown, { key: "first_voice", names, about: usual.name }, undefined);
  }

  /** A voice within a sentence: robot voices have the names of languages. @param {Voice} voice */
  #describe(voice) {
    const name = this.options.nameOf(voice.name);
    return isRobot(voice) ? this.options.translate("robot", { name }) : name;
  }

  /** Another voice was chosen. */
  forgetUnknown() {
    this.parts.unknown.replaceChildren();
  }

  /**
   * With robot voices only, tell that they are a makeshift, and offer the voice to begin with. Where another voice
   * speaks in place of the default one, tell that, and offer the default one.
   */
  showMakeshift() {
    const { makeshift } = this.parts;
    const { nameOf } = this.options;
    const { absent_default: absent } = voiceDirectory.view;
    const isRobotsOnly = voiceDirectory.installed.every(isRobot);
    const wanted = isRobotsOnly ? recommended() : voiceDirectory.find(absent);
    makeshift.hidden = isRobotsOnly ? !wanted : !absent;
    if (makeshift.hidden) return;
    const download = voiceDirectory.findDownload(wanted?.name ?? "") ?? voiceDirectory.findDownload(absent);
    const names = { name: nameOf(absent), instead: nameOf(voiceDirectory.default?.name ?? "") };
    if (!isRobotsOnly) this.#fillMakeshift({ key: "absent_default", names, about: absent }, wanted, download);
    else {
      const isOnItsWay = isRunning(download) && download?.voice === wanted?.name;
      this.#fillMakeshift(toldOfRobots(download, nameOf), isOnItsWay ? undefined : wanted, download);
    }
  }

  /**
   * What has not changed is left alone: its button may have the focus.
   * @param {Told} told
   * @param {Voice | undefined} wanted
   * @param {Download | undefined} download that would make it better
   */
  #fillMakeshift(told, wanted, download) {
    const { makeshift } = this.parts;
    const content = JSON.stringify([told, wanted?.name, wanted?.is_installed]);
    if (content !== this.#makeshift) this.#fill(makeshift, told, wanted);
    this.#makeshift = content;
    const fetching = makeshift.querySelector("button.primary");
    const isOnItsWay = isRunning(download) && download?.voice === wanted?.name;
    if (fetching instanceof HTMLButtonElement) fetching.disabled = isOnItsWay;
    if (fetching && wanted) this.#label(fetching, wanted, download);
    const problem = makeshift.querySelector(".problem");
    if (problem) problems.show(problem, download ? problems.ofDownload(download) : NO_PROBLEM);
  }

  /** What nobody asked for here is told at its card, and in the tab Voices. */
  showDownloads() {
    const { nameOf, translate } = this.options;
    this.showMakeshift();
    const failed = voiceDirectory.downloads.find(
      ({ voice, state }) => state === "failed" && voice === this.#fetched,
    );
    const problem = failed ? problems.ofDownload(failed).text : "";
    const name = nameOf(failed?.voice ?? "");
    setText(this.parts.problem, failed ? translate("download_failed", { name, problem }) : "");
  }

  /**
   * @param {HTMLElement} notice
   * @param {Told} told
   * @param {Voice | undefined} voice to be offered if it is not installed
   */
  #fill(notice, { key, names, about }, voice) {
    const { translate } = this.options;
    const id = `${key} ${about}`;
    notice.removeAttribute("data-unfolded");
    if (Object.hasOwn(readRecord(DISMISSED_KEY), id)) return notice.replaceChildren();
    const short = button(translate(`${key}_short`, names), () => unfold(), {
      class: "notice-short",
      "aria-expanded": "false",
    });
    const unfold = () => short.setAttribute("aria-expanded", String(notice.toggleAttribute("data-unfolded")));
    notice.replaceChildren(
      short,
      createElement("span", { class: "notice-long" }, translate(key, names)),
      ...(voice && !voice.is_installed ? [this.#fetchButton(voice)] : []),
      button("×", () => dismiss(notice, id), {
        class: "notice-dismiss",
        "aria-label": translate("dismiss"),
      }),
      createElement("span", { class: "problem", role: "status" }),
    );
  }

  /** @param {Voice} voice */
  #fetchButton(voice) {
    const fetching = button("", () => this.fetch(voice), { class: "primary" });
    fetching.append(
      createElement("span", { class: "notice-long" }),
      createElement("span", { class: "notice-short" }),
    );
    this.#label(fetching, voice);
    return fetching;
  }

  /**
   * @param {Element} fetching the button
   * @param {Voice} voice
   * @param {Download} [download] of it, or of another
   */
  #label(fetching, { name, size }, download) {
    const { nameOf, number, translate } = this.options;
    const isAgain = download?.voice === name && hasFailed(download);
    const told = { name: nameOf(name), size: size ? sizeText(size, number) : "" };
    const text = translate(isAgain ? "fetch_again" : "fetch_first", told);
    fetching.setAttribute("aria-label", text);
    setText(find(fetching, ".notice-long", HTMLElement), text);
    setText(find(fetching, ".notice-short", HTMLElement), translate(isAgain ? "again_short" : "fetch_short"));
  }
}

/**
 * What is told where only robot voices are installed.
 * @param {Download | undefined} download that would change it; one with a cause waits for its next try
 * @param {(name: string) => string} nameOf a voice, for people
 * @returns {Told}
 */
export function toldOfRobots(download, nameOf) {
  if (!download) return { key: "makeshift", names: {}, about: "" };
  const names = { name: nameOf(download.voice) };
  if (hasFailed(download)) return { key: "makeshift_failed", names, about: download.voice };
  return { key: download.cause ? "makeshift_waiting" : "makeshift_running", names, about: "" };
}

/**
 * @param {HTMLElement} notice
 * @param {string} id of what is not to be told again
 */
function dismiss(notice, id) {
  writeJson(DISMISSED_KEY, { ...readRecord(DISMISSED_KEY), [id]: true });
  notice.replaceChildren();
}

/** The voice to download first: the default one if it is of the reader's language, else a known one of that. */
function recommended() {
  const { voices, absent_default: absent } = voiceDirectory.view;
  const wanted = voiceDirectory.find(absent);
  if (wanted && familyOf(wanted.language) === familyOf(navigator.language)) return wanted;
  return recommendedVoice(voices, navigator.language) ?? wanted ?? recommendedVoice(voices, "en");
}
