/**
 * The list of voices: what is here and what could be, filtered in the browser.
 *
 * It asks for news while it can be seen, and never otherwise. All that comes from the server is put in as text: names
 * and descriptions of voices are whatever somebody wrote into a file.
 */

import { ask, button, isVisible, make, messageOf, wordsOf } from "./common.js";
import { player } from "./player.js";

/**
 * @typedef {object} Voice
 * @property {string} name
 * @property {string} language
 * @property {string} engine
 * @property {string} quality
 * @property {string} gender
 * @property {string} description
 * @property {string} licence
 * @property {string} sample
 * @property {number} speakers
 * @property {number | null} size bytes
 * @property {number} shared_with
 * @property {boolean} is_installed
 * @property {boolean} is_default
 * @property {boolean} is_removable
 * @property {boolean} in_catalogue
 */

/** @typedef {{ name: string, path: string, reason: string, size: number }} BrokenFile */

/**
 * @typedef {object} Shelf
 * @property {number} revision another one says that something changed
 * @property {Voice[]} voices
 * @property {BrokenFile[]} broken
 * @property {number} used bytes
 * @property {number} free bytes
 * @property {string} directory
 * @property {number} piece_bytes most of an upload's piece
 */

/**
 * @typedef {object} Download
 * @property {string} voice
 * @property {string} state
 * @property {number} received bytes
 * @property {number | null} total bytes
 * @property {number} bytes_per_second
 * @property {string} error
 */

/** @typedef {{ revision: number, downloads: Download[] }} News */

/**
 * @typedef {object} Removal
 * @property {string} name
 * @property {string[]} files
 * @property {number} size bytes
 * @property {string[]} problems
 * @property {string[]} kept
 * @property {boolean} is_default
 * @property {string[]} silenced voices that cannot be spoken any more
 */

/** @typedef {import("./common.js").Place<{ texts: import("./common.js").Texts, path: string }>} Place */

const SOON = 500; // milliseconds between two looks while something is on its way
const LATER = 2000;
const SIZES = [50e6, 100e6, 200e6];
const QUALITIES = ["x_low", "low", "medium", "high", "fp32", "fp16", "int8"];
/** @type {Shelf} */
const EMPTY = { revision: -1, voices: [], broken: [], used: 0, free: 0, directory: "", piece_bytes: 0 };

class VoiceList {
  #shelf = EMPTY;
  /** @type {News} */
  #news = { revision: -1, downloads: [] };
  /** The voice whose sample was asked for last. */
  #sampled = "";
  #looksOnTheirWay = 0;
  /** Made once for each shelf: a filter only shows and hides them. @type {Map<string, HTMLElement>} */
  #rows = new Map();

  /** @param {Place} place */
  constructor({ element, props }) {
    this.element = element;
    this.path = props.path;
    const { say, locale, number } = wordsOf(props.texts);
    this.say = say;
    this.locale = locale;
    this.number = number;
    this.languageNames = new Intl.DisplayNames([locale], { type: "language" });
    this.filters = this.#makeFilters();
    this.message = make("p", { class: "voices-message", role: "status", "aria-live": "polite" });
    this.count = make("p", { class: "voices-count", "aria-live": "polite" });
    this.room = make("p", { class: "voices-room" });
    this.list = make("ul", { class: "voices-list", "aria-label": say("title") });
    this.downloads = make("ul", { class: "voices-downloads", "aria-label": say("downloads") });
    this.broken = make("div", { class: "voices-broken" });
    this.dialog = make("dialog", { class: "voices-dialog", "aria-labelledby": "voices-dialog-title" });
    this.files = make("input", { type: "file", id: "voices-files", multiple: true, accept: ".onnx,.json" });
    this.sending = button(say("upload"), () => this.#upload(), { class: "voices-primary" });
    element.replaceChildren(this.#layout());
    player.addEventListener("change", () => this.#showSampled());
    this.#watch();
    new IntersectionObserver((seen) => this.#seen(seen)).observe(element);
  }

  #makeFilters() {
    const [language, quality, size, engine, state] = Array.from({ length: 5 }, () => make("select"));
    this.#offer(
      size,
      SIZES.map((each) => [String(each), this.say("up_to", { size: this.#bytes(each) })]),
    );
    this.#offer(
      state,
      ["installed", "to_fetch", "own"].map((each) => [each, this.say(each)]),
    );
    const search = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    return { search, language, quality, size, engine, state };
  }

  #layout() {
    const { say } = this;
    const fields = Object.entries(this.filters).map(([name, control]) => this.#field(name, control));
    return make(
      "div",
      { class: "voices-shelf" },
      make("div", { class: "voices-filters", role: "search" }, ...fields),
      make("div", { class: "voices-line" }, this.count, this.room),
      this.message,
      this.downloads,
      this.list,
      this.broken,
      make(
        "section",
        { class: "voices-add", "aria-labelledby": "voices-add-title" },
        make("h2", { id: "voices-add-title" }, say("add")),
        make("p", {}, say("add_hint")),
        make(
          "div",
          { class: "voices-line" },
          make("label", { for: "voices-files" }, say("files")),
          this.files,
          this.sending,
        ),
      ),
      this.dialog,
    );
  }

  /**
   * @param {string} name
   * @param {HTMLElement} control
   */
  #field(name, control) {
    control.id = `voices-${name}`;
    control.addEventListener("input", () => this.#filter());
    return make(
      "div",
      { class: "voices-field" },
      make("label", { for: control.id }, this.say(name)),
      control,
    );
  }

  /**
   * Have a filter offer these; what was chosen stays chosen if it is among them.
   * @param {HTMLSelectElement} control
   * @param {string[][]} options value and text of each
   */
  #offer(control, options) {
    const chosen = control.value;
    const all = [["", this.say("any")], ...options];
    control.replaceChildren(...all.map(([value, text]) => new Option(text, value)));
    control.value = options.some(([value]) => value === chosen) ? chosen : "";
  }

  /**
   * A button named by what it does, and to what for those who only hear it.
   * @param {string} name
   * @param {string} what
   * @param {() => unknown} onclick
   * @param {Record<string, string | boolean>} [attributes]
   */
  #button(name, what, onclick, attributes = {}) {
    const label = this.say(`${name}_what`, { name: what });
    return button(this.say(name), onclick, { "aria-label": label, ...attributes });
  }

  // ---- Words and numbers

  /** @param {number} count */
  #bytes(count) {
    if (count < 1e6) return `${this.number(count / 1e3)} kB`;
    return count < 1e9 ? `${this.number(count / 1e6)} MB` : `${this.number(count / 1e9, 1)} GB`;
  }

  /** @param {string} tag */
  #languageName(tag) {
    try {
      return this.languageNames.of(tag.replaceAll("_", "-")) ?? tag;
    } catch {
      return tag;
    }
  }

  /** @param {string} text */
  #tell(text, isProblem = false) {
    this.message.textContent = text;
    this.message.classList.toggle("voices-problem", isProblem);
  }

  // ---- The server

  /**
   * @param {string} what
   * @param {object} [json]
   */
  #ask(what, json) {
    return ask(what ? `${this.path}/${what}` : this.path, { json });
  }

  /**
   * Do what was asked for; what goes wrong is told.
   * @template Outcome
   * @param {() => Promise<Outcome>} work
   * @returns {Promise<Outcome | null>}
   */
  async #trying(work) {
    this.#tell("");
    try {
      return await work();
    } catch (error) {
      this.#tell(messageOf(error) || this.say("failed"), true);
      return null;
    }
  }

  async #load() {
    this.#shelf = await this.#ask("");
    this.#show();
  }

  #seen(/** @type {IntersectionObserverEntry[]} */ seen) {
    const isSeen = seen.some((each) => each.isIntersecting);
    if (isSeen && this.#shelf.revision < 0 && !this.#looksOnTheirWay) this.#look();
  }

  async #watch() {
    if (!this.element.isConnected) return;
    if (isVisible(this.element) && !document.hidden) await this.#look();
    setTimeout(() => this.#watch(), coming(this.#news).size ? SOON : LATER);
  }

  async #look() {
    this.#looksOnTheirWay += 1;
    await this.#askForNews().finally(() => {
      this.#looksOnTheirWay -= 1;
    });
  }

  async #askForNews() {
    /** @type {News | null} */
    const told = await this.#ask("news").catch(() => null);
    if (!told) return;
    const isOther = told.revision !== this.#shelf.revision;
    this.#showNews(told);
    if (isOther) await this.#load().catch(() => null);
  }

  // ---- The list

  #show() {
    const { voices, used, free, directory } = this.#shelf;
    const focused = this.list.contains(document.activeElement) ? labelOf(document.activeElement) : null;
    const ordered = [...voices].sort((one, other) => Number(other.is_installed) - Number(one.is_installed));
    this.#rows = new Map(ordered.map((voice) => [voice.name, this.#row(voice)]));
    this.list.replaceChildren(...this.#rows.values());
    if (focused) [...this.list.querySelectorAll("button")].find((each) => labelOf(each) === focused)?.focus();
    this.#offerChoices();
    const bytes = { used: this.#bytes(used), free: this.#bytes(free) };
    this.room.textContent = this.say("room", { ...bytes, directory });
    this.#showBroken();
    this.#filter();
  }

  /** @param {Voice} voice */
  #row(voice) {
    const mark = voice.is_default ? make("span", { class: "voices-mark" }, this.say("default")) : null;
    return make(
      "li",
      { "data-voice": voice.name, class: voice.is_installed ? "voices-here" : "voices-away" },
      make(
        "div",
        { class: "voices-facts" },
        make("div", { class: "voices-name" }, make("strong", {}, voice.name), mark),
        make("span", { class: "voices-quiet" }, this.#factsOf(voice)),
      ),
      make("div", { class: "voices-actions" }, ...this.#actionsOf(voice)),
    );
  }

  /** @param {Voice} voice */
  #factsOf(voice) {
    const size = voice.size ? this.#bytes(voice.size) : "";
    const told = [this.#languageName(voice.language), voice.engine, voice.quality, size];
    if (voice.speakers > 1) told.push(this.say("speakers", { count: voice.speakers }));
    if (voice.shared_with) told.push(this.say("shared", { count: voice.shared_with }));
    if (voice.licence) told.push(voice.licence);
    return told.filter(Boolean).join(" · ");
  }

  /** @param {Voice} voice */
  #actionsOf(voice) {
    const { name } = voice;
    if (!voice.is_installed) {
      const disabled = coming(this.#news).has(name);
      return [
        this.#button("fetch", name, () => this.#act("download", name), { disabled, "data-fetch": name }),
      ];
    }
    const label = { class: "voices-primary", "aria-label": this.say("listen_to", { name }) };
    return [
      button(this.say("listen"), () => this.#sample(voice), label),
      voice.is_default ? null : this.#button("make_default", name, () => this.#makeDefault(name)),
      voice.is_removable ? this.#button("delete", name, () => this.#remove(name)) : null,
    ];
  }

  #offerChoices() {
    const { voices } = this.#shelf;
    const { language, quality, engine } = this.filters;
    const languages = [...new Set(voices.map((voice) => familyOf(voice.language)))];
    const named = languages.map((tag) => [tag, this.#languageName(tag)]);
    this.#offer(
      language,
      named.sort((one, other) => one[1].localeCompare(other[1], this.locale)),
    );
    const qualities = new Set(voices.map((voice) => voice.quality));
    const known = QUALITIES.filter((each) => qualities.has(each));
    this.#offer(
      quality,
      known.map((each) => [each, each.replace("_", " ")]),
    );
    this.#offer(
      engine,
      [...new Set(voices.map((voice) => voice.engine))].sort().map((each) => [each, each]),
    );
  }

  #filter() {
    const { voices } = this.#shelf;
    let count = 0;
    for (const voice of voices) {
      const row = this.#rows.get(voice.name);
      const isWanted = this.#isWanted(voice);
      if (row) row.hidden = !isWanted;
      count += Number(isWanted);
    }
    const all = voices.length;
    this.count.textContent = count || !all ? this.say("count", { count, all }) : this.say("none_found");
  }

  /** @param {Voice} voice */
  #isWanted(voice) {
    const { search, language, quality, size, engine, state } = this.filters;
    const { name, description, gender } = voice;
    const all =
      `${name} ${this.#languageName(voice.language)} ${voice.language} ${description} ${gender}`.toLowerCase();
    return (
      wordsIn(search.value).every((word) => all.includes(word)) &&
      (!language.value || familyOf(voice.language) === language.value) &&
      (!quality.value || voice.quality === quality.value) &&
      (!engine.value || voice.engine === engine.value) &&
      (!size.value || (voice.size !== null && voice.size <= Number(size.value))) &&
      isInState(voice, state.value)
    );
  }

  #showBroken() {
    const lines = this.#shelf.broken.map((file) => this.#brokenLine(file));
    const shown = [make("h2", {}, this.say("broken")), make("ul", { class: "voices-list" }, ...lines)];
    this.broken.replaceChildren(...(lines.length ? shown : []));
  }

  /** @param {BrokenFile} file */
  #brokenLine({ name, path, reason, size }) {
    const facts = make("span", { class: "voices-quiet" }, `${reason} · ${this.#bytes(size)}`);
    return make(
      "li",
      {},
      make("div", { class: "voices-facts" }, make("strong", {}, path), facts),
      make(
        "div",
        { class: "voices-actions" },
        this.#button("delete", name, () => this.#remove(name)),
      ),
    );
  }

  // ---- Hearing one

  /** @param {Voice} voice */
  #sample({ name, sample }) {
    if (this.#sampled === name && player.isBusy) {
      player.stop();
      return;
    }
    this.#sampled = name;
    player.play({ input: sample, voice: name });
  }

  #showSampled() {
    for (const [name, row] of this.#rows) {
      const listen = row.querySelector(".voices-primary");
      if (listen) listen.textContent = this.say(player.isBusy && name === this.#sampled ? "stop" : "listen");
    }
    if (player.state === "failed" && this.#sampled && player.problem) this.#tell(player.problem, true);
  }

  // ---- Changing things

  /**
   * @param {string} what
   * @param {string} name
   */
  async #act(what, name) {
    /** @type {News | null} */
    const told = await this.#trying(() => this.#ask(what, { name }));
    if (told) this.#showNews(told);
    this.#look();
  }

  /** @param {string} name */
  async #makeDefault(name) {
    /** @type {{ name: string, line: string } | null} */
    const told = await this.#trying(() => this.#ask("default", { name }));
    if (!told) return;
    await this.#load();
    this.#tell(`${this.say("defaulted", { name: told.name })} `);
    this.message.append(make("code", {}, told.line));
  }

  /** @param {string} name */
  async #remove(name) {
    /** @type {Removal | null} */
    const planned = await this.#trying(() => this.#ask("plan-removal", { name }));
    if (!planned || !(await this.#agreed(planned))) return;
    const gone = await this.#trying(() => this.#ask("remove", { name, files: planned.files }));
    await this.#load();
    if (gone) this.#tell(this.say("deleted", { name }));
  }

  /**
   * @param {Removal} planned
   * @returns {Promise<boolean>}
   */
  #agreed(planned) {
    const { dialog } = this;
    const keep = button(this.say("keep"), () => dialog.close());
    const disabled = !planned.files.length;
    const go = button(this.say("delete"), () => dialog.close("agreed"), { class: "voices-danger", disabled });
    dialog.replaceChildren(
      make("h2", { id: "voices-dialog-title" }, this.say("removal", { name: planned.name })),
      ...this.#consequencesOf(planned).map((line) => make("p", {}, line)),
      make("ul", {}, ...planned.files.map((file) => make("li", {}, file))),
      make("div", { class: "voices-actions" }, keep, go),
    );
    return new Promise((settle) => {
      dialog.addEventListener("close", () => settle(dialog.returnValue === "agreed"), { once: true });
      dialog.returnValue = "";
      dialog.showModal();
      keep.focus();
    });
  }

  /** @param {Removal} planned */
  #consequencesOf({ problems, kept, files, size, is_default, silenced }) {
    const lines = [...problems, ...kept];
    if (files.length) lines.push(this.say("removal_frees", { size: this.#bytes(size) }));
    if (is_default) lines.push(this.say("removal_default"));
    if (silenced.length) lines.push(this.say("removal_silences", { names: silenced.join(", ") }));
    return lines;
  }

  // ---- Bringing one

  async #upload() {
    const chosen = modelAndConfig([...(this.files.files ?? [])]);
    if (!chosen) {
      this.#tell(this.say("both_needed"), true);
      return;
    }
    this.sending.disabled = true;
    const name = await this.#trying(() => this.#sendAll(chosen));
    this.sending.disabled = false;
    if (name === null) return;
    this.files.value = "";
    await this.#load();
    this.#tell(this.say("uploaded", { name }));
  }

  /**
   * @param {[name: string, file: File][]} chosen
   * @returns {Promise<string>} the voice that they are
   */
  async #sendAll(chosen) {
    let told = null;
    for (const [name, file] of chosen) told = await this.#send(name, file);
    return told.voice;
  }

  /**
   * Send a file in pieces.
   * @param {string} name
   * @param {File} file
   * @returns {Promise<any>} what the server says of the last
   */
  async #send(name, file) {
    const path = `${this.path}/upload/${encodeURIComponent(name)}`;
    for (let start = 0; ; ) {
      const end = Math.min(start + this.#shelf.piece_bytes, file.size);
      const share = file.size ? Math.floor((100 * start) / file.size) : 0;
      this.#tell(
        end < file.size ? this.say("uploading", { file: name, share }) : this.say("checking", { file: name }),
      );
      /** @type {Record<string, string>} */
      const headers = file.size ? { "Content-Range": `bytes ${start}-${end - 1}/${file.size}` } : {};
      const told = await ask(path, { headers, body: file.slice(start, end) });
      start = end;
      if (start >= file.size) return told;
    }
  }

  // ---- Downloads

  /** @param {News} news */
  #showNews(news) {
    this.#news = news;
    const shown = /** @type {HTMLElement[]} */ ([...this.downloads.children]);
    const known = new Map(shown.map((item) => [item.dataset.voice, item]));
    this.downloads.replaceChildren(
      ...news.downloads.map((each) => this.#download(each, known.get(each.voice))),
    );
    const fetched = coming(news);
    for (const fetching of this.list.querySelectorAll("button")) {
      if (fetching.dataset.fetch) fetching.disabled = fetched.has(fetching.dataset.fetch);
    }
  }

  /**
   * One that is shown already is only brought up to date: the focus stays on its button.
   * @param {Download} told
   * @param {HTMLElement | undefined} shown
   */
  #download(told, shown) {
    const isSame = shown?.dataset.failed === String(told.state === "failed");
    const item = shown && isSame ? shown : this.#newDownload(told);
    const bar = item.querySelector("progress");
    if (bar && told.total) [bar.max, bar.value] = [told.total, told.received];
    const how = item.querySelector(".voices-quiet");
    if (how) how.textContent = told.error || this.#progressOf(told);
    return item;
  }

  /** @param {Download} told */
  #newDownload({ voice, state }) {
    const isFailed = state === "failed";
    const bar = isFailed ? null : make("progress", { "aria-label": this.say("progress", { name: voice }) });
    const again = isFailed ? this.#button("fetch", voice, () => this.#act("download", voice)) : null;
    const stop = this.#button(isFailed ? "dismiss" : "cancel", voice, () => this.#act("cancel", voice));
    const facts = [make("strong", {}, voice), bar, make("span", { class: "voices-quiet" })];
    return make(
      "li",
      { "data-voice": voice, "data-failed": String(isFailed) },
      make("div", { class: "voices-facts" }, ...facts),
      make("div", { class: "voices-actions" }, again, stop),
    );
  }

  /** @param {Download} told */
  #progressOf({ state, received, total, bytes_per_second: speed }) {
    if (state === "waiting") return this.say("waiting");
    const share = total ? `${this.#bytes(received)} / ${this.#bytes(total)}` : this.#bytes(received);
    return `${share} · ${this.say("per_second", { size: this.#bytes(speed) })}`;
  }
}

/**
 * The voices that are being downloaded.
 * @param {News} news
 */
const coming = ({ downloads }) =>
  new Set(downloads.filter(({ state }) => state !== "failed").map(({ voice }) => voice));

/** @param {string} tag */
const familyOf = (tag) => tag.split(/[_-]/)[0];

/** @param {string} text */
const wordsIn = (text) => text.trim().toLowerCase().split(/\s+/).filter(Boolean);

/** @param {Element | null} element */
const labelOf = (element) => element?.getAttribute("aria-label") ?? null;

/**
 * @param {Voice} voice
 * @param {string} state
 */
function isInState(voice, state) {
  if (state === "installed") return voice.is_installed;
  if (state === "to_fetch") return !voice.is_installed;
  return state !== "own" || (voice.is_installed && !voice.in_catalogue && voice.is_removable);
}

/**
 * The two files of a voice, the model last. The json may be named after the voice alone; it is to be named after the
 * model.
 * @param {File[]} chosen
 * @returns {[name: string, file: File][] | null}
 */
function modelAndConfig(chosen) {
  const model = chosen.find((file) => file.name.endsWith(".onnx"));
  const config = chosen.find((file) => file.name.endsWith(".json"));
  if (!model || !config || chosen.length !== 2) return null;
  return [
    [`${model.name}.json`, config],
    [model.name, model],
  ];
}

/** @param {Place} place */
export const mount = (place) => void new VoiceList(place);
