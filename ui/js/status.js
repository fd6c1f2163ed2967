/**
 * The Status tab: who is spoken to, the server's state and addresses, latency, recent utterances, log and settings.
 *
 * It polls every two seconds while the tab is visible and the server answers. Everything from the server is inserted as text: names of voices
 * may come from clients. Each card has an element and a method that updates it.
 */

import { BugReport } from "./bug_report.js";
import { createElement, localize, requestJson } from "./common.js";
import { CopyButtons } from "./copy_buttons.js";
import { LatencyChart } from "./latency_chart.js";
import { serverConnection } from "./server_connection.js";
import { Connect } from "./status_connect.js";
import { Downloads } from "./status_downloads.js";
import { Listeners } from "./status_listeners.js";
import { Log } from "./status_log.js";
import { Facts, Headline, links } from "./status_overview.js";
import { Settings } from "./status_settings.js";
import { Utterances } from "./status_utterances.js";

/** @typedef {import("./status_parts.js").Status} Status */

/**
 * @typedef {object} Props
 * @property {import("./common.js").Texts} texts
 * @property {import("./common.js").Texts} download_texts
 * @property {{ status: string, settings: string, report: string }} paths
 */

const POLL_INTERVAL = 2000; // milliseconds
const REQUEST_TIMEOUT = 10000; // milliseconds

class StatusTab {
  #uptime = 0;
  #lastLine = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Set while polling. @type {AbortController | null} */
  #polling = null;
  #isShown = false;
  /** @type {() => void} */
  #tell = () => {};
  /** Resolves once there is something to see. @type {Promise<void>} */
  filled = new Promise((filled) => {
    this.#tell = filled;
  });

  /** @param {import("./common.js").MountContext<Props>} context */
  constructor({ element, props }) {
    this.paths = props.paths;
    const words = localize(props.texts);
    const copying = new CopyButtons(words);
    this.headline = new Headline(words);
    this.log = new Log(words);
    this.settings = new Settings(words);
    const [facts, connect] = [new Facts(words), new Connect(words, copying)];
    const [listeners, latency, utterances] = [
      new Listeners(words),
      new LatencyChart(words),
      new Utterances(words),
    ];
    const downloads = new Downloads(words, props.download_texts);
    const report = new BugReport(words, props.paths.report);
    this.parts = [listeners, facts, connect, latency, utterances, this.log];
    const small = [downloads, report];
    const aside = {
      element: createElement("div", { class: "status-column" }, ...small.map(({ element }) => element)),
    };
    const last = [utterances, this.log, this.settings, { element: links(words) }];
    const cards = [listeners, facts, connect, latency, aside, ...last];
    const grid = createElement("div", { class: "status-grid" }, ...cards.map((card) => card.element));
    element.append(copying.announcer, this.headline.element, grid);
    document.addEventListener("visibilitychange", () => this.#updatePolling());
    new IntersectionObserver(([entry]) => {
      this.#isShown = entry.isIntersecting;
      this.#updatePolling();
    }).observe(element);
  }

  #updatePolling() {
    if (this.#isShown && document.visibilityState === "visible") this.#begin();
    else this.#end();
  }

  #begin() {
    if (this.#polling) return;
    this.#polling = new AbortController();
    const { signal } = this.#polling;
    this.#poll(signal);
    this.#showSettings(signal).catch(() => {}); // the next poll shows that there is no answer
  }

  #end() {
    this.#polling?.abort();
    this.#polling = null;
    clearTimeout(this.#timer);
  }

  /** @param {AbortSignal} signal */
  async #poll(signal) {
    try {
      await this.#showStatus(signal);
    } catch {
      if (!signal.aborted) this.headline.show("no_answer");
    }
    this.#tell();
    const interval = serverConnection.isAway ? 0 : POLL_INTERVAL;
    await serverConnection.whenBack();
    if (!signal.aborted) this.#timer = setTimeout(() => this.#poll(signal), interval);
  }

  /** @param {AbortSignal} signal */
  async #showStatus(signal) {
    /** @type {Status} */
    let status = await requestJson(`${this.paths.status}?after=${this.#lastLine}`, {
      signal,
      timeout: REQUEST_TIMEOUT,
    });
    if (status.server.uptime_seconds < this.#uptime) {
      this.log.clear(); // the server was restarted and numbers its lines from 1
      status = await requestJson(this.paths.status, { signal, timeout: REQUEST_TIMEOUT });
      await this.#showSettings(signal);
    }
    this.#uptime = status.server.uptime_seconds;
    this.#lastLine = status.log.at(-1)?.number ?? this.#lastLine;
    this.headline.show(status.server.status, status.server);
    for (const part of this.parts) part.show(status);
  }

  /** @param {AbortSignal} signal */
  async #showSettings(signal) {
    this.settings.show(await requestJson(this.paths.settings, { signal, timeout: REQUEST_TIMEOUT }));
  }
}

/** @param {import("./common.js").MountContext<Props>} context */
export const mount = (context) => new StatusTab(context).filled;
