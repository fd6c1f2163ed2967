/**
 * Voice directory: the voices that are here or can be downloaded, and the downloads, for all tabs.
 *
 * It asks the server while the page is visible, often during downloads and seldom while the server is away; what
 * changes reaches every tab at once.
 */

import { RequestError, requestJson } from "./common.js";
import { serverConnection } from "./server_connection.js";
import { firstVoice } from "./voice_facts.js";

/** @typedef {import("./voice_facts.js").Voice} Voice */

/** @typedef {{ name: string, path: string, reason: import("./problems.js").Said, size: number }} BrokenFile */

/**
 * @typedef {object} VoicesView
 * @property {number} revision changes whenever anything else does
 * @property {string} absent_default the default voice, if another one speaks in its place; else empty
 * @property {boolean} default_is_chosen whether the settings or a user name the default voice
 * @property {Voice[]} voices
 * @property {BrokenFile[]} broken
 * @property {number} used bytes
 * @property {number} free bytes
 * @property {string} directory
 * @property {number} piece_bytes the largest piece of an upload
 */

/**
 * @typedef {object} Download
 * @property {string} voice
 * @property {string} state
 * @property {number} received bytes
 * @property {number | null} total bytes
 * @property {number} bytes_per_second
 * @property {import("./problems.js").Said} error why it failed; empty otherwise
 * @property {string | null} cause why it failed or is being tried again, as a name
 */

/** @typedef {{ revision: number, downloads: Download[] }} VoicesUpdate */

const PATH = "page/voices";
const BUSY_INTERVAL = 500; // milliseconds between two polls during downloads
const IDLE_INTERVAL = 2000;
const LONGEST_INTERVAL = 10_000; // while the server is away
const NEWS_TIMEOUT = 8000; // milliseconds
/** @type {VoicesView} */
const EMPTY = {
  revision: -1,
  absent_default: "",
  default_is_chosen: false,
  voices: [],
  broken: [],
  used: 0,
  free: 0,
  directory: "",
  piece_bytes: 0,
};

/** Emits "change" when the voices changed, "downloads" when the downloads did. */
export class VoiceDirectory extends EventTarget {
  view = EMPTY;
  /** @type {Download[]} */
  downloads = [];
  #isPolling = false;
  /** How many requests in a row were not answered. */
  #failures = 0;
  /** @type {Promise<void> | null} */
  #update = null;

  get isLoaded() {
    return this.view.revision >= 0;
  }

  get installed() {
    return this.view.voices.filter(({ is_installed, problem }) => is_installed && !problem);
  }

  /** @param {string} name */
  find(name) {
    return this.view.voices.find((voice) => voice.name === name);
  }

  /** The voice of that name if it can speak. @param {string} name */
  findInstalled(name) {
    return this.installed.find((voice) => voice.name === name);
  }

  /** The voice that speaks where none is asked for. */
  get default() {
    return this.view.voices.find(({ is_default }) => is_default) ?? this.installed[0];
  }

  /**
   * Whether a voice is the default for good: one that speaks in place of an absent default can still be made it.
   * @param {Voice} voice
   */
  isSettledDefault(voice) {
    return voice.is_default && !this.view.absent_default;
  }

  /** The voice that a reader who has chosen none hears at first. */
  get first() {
    const { default_is_chosen, absent_default } = this.view;
    if (default_is_chosen && !absent_default) return this.default;
    return firstVoice(this.installed, this.default, navigator.language);
  }

  /** The last report on the download of a voice. @param {string} name */
  findDownload(name) {
    return this.downloads.find(({ voice }) => voice === name);
  }

  /** Names of the voices that are being downloaded. */
  get downloading() {
    return new Set(this.downloads.filter(({ state }) => state !== "failed").map(({ voice }) => voice));
  }

  /** Begin to ask, once for all tabs. */
  start() {
    if (this.#isPolling) return;
    this.#isPolling = true;
    this.#keepPolling();
    document.addEventListener("visibilitychange", () => !document.hidden && this.refresh());
    serverConnection.addEventListener("change", () => this.refresh()); // another request found out
  }

  async #keepPolling() {
    if (!document.hidden) await this.refresh();
    setTimeout(() => this.#keepPolling(), this.#interval);
  }

  get #interval() {
    const usual = this.downloading.size ? BUSY_INTERVAL : IDLE_INTERVAL;
    return this.#failures ? Math.min(IDLE_INTERVAL * 2 ** (this.#failures - 1), LONGEST_INTERVAL) : usual;
  }

  /** Ask now; several callers at a time share one request. The server may be away: then nothing changes. */
  refresh() {
    this.#update ??= this.#fetchUpdate()
      .catch((error) => this.#onFailure(error))
      .finally(() => {
        this.#update = null;
      });
    return this.#update;
  }

  async #fetchUpdate() {
    const asked = requestJson(`${PATH}/news`, { timeout: NEWS_TIMEOUT });
    const [news] = await Promise.all([asked, this.isLoaded || this.reload()]); // at first there are news in any case
    await this.#take(news);
    this.#failures = 0;
  }

  /** @param {unknown} error */
  #onFailure(error) {
    const isRefused = error instanceof RequestError && error.status > 0 && error.status < 500;
    if (isRefused) return; // the server is there
    this.#failures += 1;
    serverConnection.failed();
  }

  /** @param {VoicesUpdate} update */
  async #take({ revision, downloads }) {
    if (JSON.stringify(downloads) !== JSON.stringify(this.downloads)) {
      this.downloads = downloads;
      this.dispatchEvent(new Event("downloads"));
    }
    if (revision !== this.view.revision) await this.reload();
  }

  /** Read all voices anew. */
  async reload() {
    this.view = await requestJson(PATH);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Start or cancel a download.
   * @param {"download" | "cancel"} what
   * @param {string} name of the voice
   */
  async change(what, name) {
    await this.#take(await requestJson(`${PATH}/${what}`, { json: { name } }));
  }

  /**
   * Make a voice the default.
   * @param {string} name
   * @returns {Promise<{ name: string, place: string, line: string, lasts: boolean }>} `lasts` is false if the
   *   settings name another voice: at `place`, where `line` would make it permanent
   */
  async makeDefault(name) {
    const changed = await requestJson(`${PATH}/default`, { json: { name } });
    await this.reload();
    return changed;
  }
}

export const voiceDirectory = new VoiceDirectory();
