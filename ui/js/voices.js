/**
 * The Voices tab's list: installed and downloadable voices, filtered in the browser.
 *
 * Everything from the server is inserted as text: names and descriptions
 * of voices come from files that anybody may have written.
 */

import { button, createElement, localize, requestJson, setText } from "./common.js";
import { DownloadList, hasFailed, isRunning } from "./download_list.js";
import { GrowingList } from "./growing_list.js";
import { languageNames } from "./language_names.js";
import { ownSentence } from "./own_sentence.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { confirmRemoval } from "./removal_dialog.js";
import { voiceDirectory } from "./voice_directory.js";
import { VoiceElements } from "./voice_elements.js";
import { engineLabel, factLine, readersOrder, sizeText } from "./voice_facts.js";
import { VoiceFilters } from "./voice_filters.js";
import { voiceNames } from "./voice_names.js";
import { modelAndConfig, uploadVoice } from "./voice_upload.js";
import { DefaultButton } from "./voice_use.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */
/** @typedef {import("./voice_directory.js").BrokenFile} BrokenFile */

/** @typedef {import("./common.js").MountContext<{ texts: import("./common.js").Texts, download_texts: import("./common.js").Texts, path: string }>} MountContext */

class VoiceList {
  /** The voice whose sample was played last. */
  #sampled = "";
  /** By the voice's name: one that is busy stays it while its row is drawn anew. @type {Map<string, DefaultButton>} */
  #defaults = new Map();
  /** Those made so far. */
  #rows = new VoiceElements(
    (voice) => this.#makeRow(voice),
    (voice) => [voiceNames.full(voice.name), voiceDirectory.isSettledDefault(voice)],
  );
  /** @type {Voice[]} */
  #ordered = [];

  /** @param {MountContext} context */
  constructor({ element, props }) {
    this.element = element;
    this.path = props.path;
    const { translate, locale, number } = localize(props.texts);
    this.translate = translate;
    this.number = number;
    this.languageName = languageNames(locale);
    const words = { translate, locale, number, languageName: this.languageName };
    this.filters = new VoiceFilters(words, () => this.#filter());
    this.message = createElement("div", { class: "voices-message", role: "status", "aria-live": "polite" });
    this.count = createElement("p", { class: "quiet voices-count", "aria-live": "polite" });
    this.room = createElement("p", { class: "quiet voices-room" });
    this.list = createElement("ul", { class: "voices-list", "aria-label": translate("title") });
    this.growing = new GrowingList(this.list, (/** @type {Voice} */ voice) => this.#rows.of(voice));
    const downloads = new DownloadList(props.download_texts, (what, name) => this.#act(what, name));
    this.downloads = downloads.element;
    this.broken = createElement("div", { class: "voices-broken" });
    this.dialog = createElement("dialog", {
      class: "voices-dialog",
      "aria-labelledby": "voices-dialog-title",
    });
    this.files = createElement("input", {
      type: "file",
      id: "voices-files",
      multiple: true,
      accept: ".onnx,.json",
    });
    this.sending = button(translate("upload"), () => this.#upload(), { class: "primary" });
    this.sent = createElement("div", { class: "voices-message", role: "status", "aria-live": "polite" });
    element.replaceChildren(this.#layout());
    player.addEventListener("change", () => this.#showSampled());
    voiceDirectory.addEventListener("change", () => this.#show());
    voiceDirectory.addEventListener("downloads", () => this.#showDownloads());
    voiceDirectory.start();
    if (voiceDirectory.isLoaded) this.#show();
    this.#showDownloads();
    /** Resolves once there is something to see. */
    this.filled = voiceDirectory.isLoaded ? Promise.resolve() : voiceDirectory.refresh();
  }

  #layout() {
    const { translate } = this;
    return createElement(
      "div",
      { class: "voices-shelf" },
      this.filters.element,
      createElement("div", { class: "voices-line" }, this.count, this.room),
      this.message,
      this.downloads,
      this.list,
      this.broken,
      createElement(
        "section",
        { class: "voices-add", "aria-labelledby": "voices-add-title" },
        createElement("h2", { id: "voices-add-title" }, translate("add")),
        createElement("p", {}, translate("add_hint")),
        createElement(
          "div",
          { class: "actions" },
          createElement("label", { for: "voices-files" }, translate("files")),
          this.files,
          this.sending,
        ),
        this.sent,
      ),
      this.dialog,
    );
  }

  /**
   * A button with its action as text, and for screen readers also its object.
   * @param {string} name
   * @param {string} what a voice, or a file
   * @param {() => unknown} onclick
   * @param {Record<string, string | boolean>} [attributes]
   */
  #button(name, what, onclick, attributes = {}) {
    const label = this.translate(`${name}_what`, { name: voiceNames.full(what) });
    return button(this.translate(name), onclick, { "aria-label": label, ...attributes });
  }

  // ---- Words and numbers

  /** @param {number} count */
  #size(count) {
    return sizeText(count, this.number);
  }

  /**
   * @param {string} text
   * @param {boolean} [isProblem]
   * @param {HTMLElement} [place]
   */
  #showMessage(text, isProblem = false, place = this.message) {
    place.textContent = text;
    place.classList.toggle("problem", isProblem);
  }

  /**
   * @param {unknown} error
   * @param {HTMLElement} [place]
   */
  #showProblem(error, place = this.message) {
    this.#showMessage("", true, place);
    problems.show(place, problems.of(error));
  }

  // ---- Requests

  /**
   * @param {string} what
   * @param {object} [json]
   */
  #request(what, json) {
    return requestJson(what ? `${this.path}/${what}` : this.path, { json });
  }

  /**
   * Run an action and show its error, if any.
   * @template Outcome
   * @param {() => Promise<Outcome>} work
   * @param {HTMLElement} [place] where the error is shown
   * @returns {Promise<Outcome | null>}
   */
  async #attempt(work, place = this.message) {
    this.#showMessage("", false, place);
    try {
      return await work();
    } catch (error) {
      this.#showProblem(error, place);
      return null;
    }
  }

  // ---- The list

  #show() {
    const { voices, used, free, directory } = voiceDirectory.view;
    const focused = this.list.contains(document.activeElement) ? labelOf(document.activeElement) : null;
    this.#ordered = [...voices].sort(readersOrder(navigator.language, this.languageName));
    this.filters.offer(voices);
    this.#filter();
    this.growing.begin();
    const buttons = focused ? [...this.list.querySelectorAll("button")] : [];
    buttons.find((each) => labelOf(each) === focused)?.focus({ preventScroll: true });
    const bytes = { used: this.#size(used), free: this.#size(free) };
    this.room.textContent = this.translate("room", { ...bytes, directory });
    this.#showBroken();
  }

  /** @param {Voice} voice */
  #makeRow(voice) {
    const row = this.#row(voice);
    this.#showListening(row, voice.name);
    this.#showFetching(row, voice.name);
    return row;
  }

  /** @param {Voice} voice */
  #row(voice) {
    const mark = voice.is_default
      ? createElement("span", { class: "voices-mark" }, this.translate("default"))
      : null;
    return createElement(
      "li",
      { "data-voice": voice.name, class: voice.is_installed ? "voices-here" : "voices-away" },
      createElement(
        "div",
        { class: "voices-facts" },
        nameLine(voice.name, mark),
        factLine(this.#factsOf(voice)),
      ),
      createElement("div", { class: "voices-actions" }, ...this.#actionsOf(voice)),
    );
  }

  /** @param {Voice} voice */
  #factsOf(voice) {
    const size = voice.size ? this.#size(voice.size) : "";
    const facts = [
      this.languageName(voice.language),
      voiceNames.genderOf(voice),
      engineLabel(voice.engine),
      voiceNames.quality(voice.quality),
      size,
    ];
    if (voice.problem) facts.push(problems.say(voice.problem));
    if (voice.speakers > 1) facts.push(this.translate("speakers", { count: voice.speakers }));
    if (voice.shared_with) facts.push(this.translate("shared", { count: voice.shared_with }));
    if (voice.licence) facts.push(voice.licence);
    return facts.filter((fact) => fact !== voiceNames.of(voice.name)); // a robot's name is its language
  }

  /** @param {Voice} voice */
  #actionsOf(voice) {
    const { name } = voice;
    if (voice.problem) return []; // its files are here
    if (!voice.is_installed) {
      return [this.#button("fetch", name, () => this.#act("download", name), { "data-fetch": name })];
    }
    const label = {
      class: "voices-listen",
      "aria-label": this.translate("listen_to", { name: voiceNames.full(name) }),
    };
    return [
      button(this.translate("listen"), () => this.#sample(voice), label),
      voiceDirectory.isSettledDefault(voice) ? null : this.#defaultButton(name),
      voice.is_removable ? this.#button("delete", name, () => this.#remove(name)) : null,
    ];
  }

  #filter() {
    const found = this.#ordered.filter(this.filters.matcher());
    this.growing.show(found);
    const [count, all] = [found.length, this.#ordered.length];
    this.count.textContent =
      count || !all ? this.translate("count", { count, all }) : this.translate("none_found");
  }

  #showBroken() {
    const lines = voiceDirectory.view.broken.map((file) => this.#brokenLine(file));
    const shown = [
      createElement("h2", {}, this.translate("broken")),
      createElement("ul", { class: "voices-list" }, ...lines),
    ];
    this.broken.replaceChildren(...(lines.length ? shown : []));
  }

  /** @param {BrokenFile} file */
  #brokenLine({ name, path, reason, size }) {
    const facts = createElement("span", { class: "quiet" }, `${problems.say(reason)} · ${this.#size(size)}`);
    return createElement(
      "li",
      {},
      createElement("div", { class: "voices-facts" }, createElement("strong", {}, path), facts),
      createElement(
        "div",
        { class: "voices-actions" },
        this.#button("delete", name, () => this.#remove(name)),
      ),
    );
  }

  // ---- Samples

  /** Have a voice say the reader's sentence, else one of its own language. @param {Voice} voice */
  #sample({ name, language, sample }) {
    if (this.#sampled === name && player.isBusy) {
      player.stop();
      return;
    }
    this.#sampled = name;
    player.play({ input: ownSentence(language) || sample, voice: name });
  }

  #showSampled() {
    for (const [name, row] of this.#rows.entries()) this.#showListening(row, name);
    if (player.state === "failed" && this.#sampled) this.#showProblem(player.error);
  }

  /**
   * @param {HTMLElement} row
   * @param {string} name
   */
  #showListening(row, name) {
    const listen = row.querySelector(".voices-listen");
    if (listen) setText(listen, this.translate(player.isBusy && name === this.#sampled ? "stop" : "listen"));
  }

  // ---- Actions

  /**
   * @param {"download" | "cancel"} what
   * @param {string} name
   */
  async #act(what, name) {
    await this.#attempt(() => voiceDirectory.change(what, name));
  }

  /** @param {string} name */
  #defaultButton(name) {
    const making = () => this.#attempt(() => known.make(name, voiceNames.of(name)));
    const drawn = this.#button("make_default", name, making);
    const tell = (/** @type {string} */ text) => this.#showMessage(text);
    const known = this.#defaults.get(name) ?? new DefaultButton(drawn, this.translate, tell);
    this.#defaults.set(name, known);
    known.drawnAs(drawn);
    return drawn;
  }

  /** @param {string} name */
  async #remove(name) {
    /** @type {import("./removal_dialog.js").Removal | null} */
    const planned = await this.#attempt(() => this.#request("plan-removal", { name }));
    if (!planned) return;
    const words = { translate: this.translate, size: (/** @type {number} */ count) => this.#size(count) };
    const said = voiceNames.full(name); // once it is gone, nobody knows more than its id
    if (!(await confirmRemoval(this.dialog, said, planned, words))) return;
    const gone = await this.#attempt(() => this.#request("remove", { name, files: planned.files }));
    await voiceDirectory.reload();
    if (gone) this.#showMessage(this.translate("deleted", { name: said }));
  }

  // ---- Uploads

  async #upload() {
    const chosen = modelAndConfig([...(this.files.files ?? [])]);
    if (!chosen) return this.#showMessage(this.translate("both_needed"), true, this.sent);
    this.sending.disabled = true;
    const name = await this.#attempt(
      () => uploadVoice(chosen, this.path, (...step) => this.#showStep(...step)),
      this.sent,
    );
    this.sending.disabled = false;
    if (name === null) return;
    this.files.value = "";
    await voiceDirectory.reload();
    this.#showMessage(this.translate("uploaded", { name: voiceNames.full(name) }), false, this.sent);
  }

  /**
   * @param {string} file
   * @param {number} share percent of it that was sent
   * @param {boolean} isLast whether the rest of it is being sent, and checked
   */
  #showStep(file, share, isLast) {
    this.#showMessage(this.translate(isLast ? "checking" : "uploading", { file, share }), false, this.sent);
  }

  // ---- Downloads

  #showDownloads() {
    for (const [name, row] of this.#rows.entries()) this.#showFetching(row, name);
  }

  /**
   * @param {HTMLElement} row
   * @param {string} name
   */
  #showFetching(row, name) {
    const fetching = row.querySelector("[data-fetch]");
    if (!(fetching instanceof HTMLButtonElement)) return;
    const download = voiceDirectory.findDownload(name);
    const what = hasFailed(download) ? "again" : "fetch";
    fetching.disabled = isRunning(download);
    setText(fetching, this.translate(what));
    fetching.setAttribute("aria-label", this.translate(`${what}_what`, { name: voiceNames.full(name) }));
  }
}

/**
 * A voice's name, and below it small the one that configurations need.
 * @param {string} id
 * @param {Element | null} mark
 */
const nameLine = (id, mark) =>
  createElement(
    "div",
    { class: "voices-name" },
    createElement("strong", {}, voiceNames.of(id)),
    createElement("code", { class: "voice-id" }, id),
    mark,
  );

/** @param {Element | null} element */
const labelOf = (element) => element?.getAttribute("aria-label") ?? null;

/** @param {MountContext} context */
export const mount = (context) => new VoiceList(context).filled;
