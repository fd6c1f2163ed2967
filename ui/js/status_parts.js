/** What the cards of the Status tab share: the types of the server's answers, elements and figures. */

import { createElement, localize } from "./common.js";
import { shortTime } from "./short_time.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {{ host: string, port: number, url: string }} Endpoint */
/** @typedef {{ wyoming: Endpoint[], http: Endpoint[], uri: string, announced_as: string | null }} Addresses */

/**
 * The response of `/status`.
 * @typedef {object} Summary
 * @property {string} status
 * @property {string} version
 * @property {number} uptime_seconds
 * @property {number} memory_bytes
 * @property {string} default_voice
 * @property {string | null} default_voice_fallback what speaks in its place, if it is not installed
 * @property {Record<string, string>} unreadable why a file or directory cannot be read now
 * @property {string} python
 * @property {string[]} engines
 * @property {string[]} models
 * @property {Record<string, string>} packages versions
 * @property {{ installed: number, downloadable: number }} voices
 * @property {{ streams: number, max_streams: number, queue: number, max_queue: number, predicted_wait_seconds: number | null }} load
 * @property {{ memory_hits: number, disk_hits: number, misses: number, memory_bytes: number, disk_bytes: number,
 *   shared: { is_usable: boolean, hits: number } | null }} cache
 */

/**
 * A finished utterance.
 * @typedef {object} Spoken
 * @property {number} time seconds since 1970
 * @property {string} transport
 * @property {string} voice
 * @property {string} requested_voice what was asked for, if another voice spoke; else empty
 * @property {number | null} ttfa seconds
 * @property {number} held seconds
 * @property {number} audio_seconds
 * @property {number} wall_seconds
 * @property {number | null} rtf
 * @property {number | null} xrt
 * @property {number | null} kbps
 * @property {number} underruns
 * @property {string} outcome
 * @property {string} error
 */

/** @typedef {{ number: number, time: number, level: string, logger: string, text: string }} LogLine */
/** @typedef {{ time: number, seconds: number }} TimeToFirstAudio `time` is in seconds since 1970 */
/** @typedef {{ engine: string, values: TimeToFirstAudio[], p50: number, p95: number }} Latency */

/**
 * Whom the server speaks to now.
 * @typedef {object} Listener
 * @property {string} peer address; empty for the server itself
 * @property {string} name of that address, or ""
 * @property {string} transport
 * @property {string} voice
 * @property {string} requested_voice what was asked for, if another voice speaks; else empty
 * @property {string} state
 * @property {number} ahead seconds
 * @property {number} seconds
 */

/**
 * @typedef {object} Status
 * @property {Summary} server
 * @property {number} model_bytes
 * @property {Addresses} addresses
 * @property {number} spoken_count
 * @property {Spoken[]} spoken
 * @property {Listener[]} listeners
 * @property {Latency[]} latency by engine
 * @property {LogLine[]} log new lines
 */

/**
 * @typedef {object} Setting
 * @property {string} name
 * @property {string} value
 * @property {string} unit
 * @property {string} meaning
 * @property {string} source
 * @property {boolean} is_default
 * @property {boolean} is_secret
 */

/** @typedef {ReturnType<typeof localize>} Words */

/** Formats quantities with their units in the reader's language. */
export class Figures {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
  }

  /** @param {number | null} seconds */
  time(seconds) {
    return seconds === null ? "–" : shortTime(seconds, this.words.number);
  }

  /** @param {number} bytes */
  megabytes(bytes) {
    return this.words.number(bytes / 1e6, bytes < 1e7 ? 1 : 0, "megabyte");
  }

  /** @param {number} time seconds since 1970 */
  clock(time) {
    return new Date(time * 1000).toLocaleTimeString(this.words.locale);
  }

  /** @param {number} seconds */
  duration(seconds) {
    return splitDuration(seconds)
      .map(([count, unit]) => `${count} ${this.words.translate(unit)}`)
      .join(" ");
  }
}

/**
 * A duration in its two largest units.
 * @param {number} seconds
 * @returns {[count: number, unit: "days" | "hours" | "minutes"][]}
 */
export function splitDuration(seconds) {
  const minutes = Math.floor(seconds / 60);
  /** @type {[number, "days" | "hours" | "minutes"][]} */
  const parts = [
    [Math.floor(minutes / 1440), "days"],
    [Math.floor(minutes / 60) % 24, "hours"],
    [minutes % 60, "minutes"],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  return first < 0 ? parts.slice(2) : parts.slice(first, first + 2);
}

/**
 * @param {Words} words
 * @param {string} name
 * @param {...import("./common.js").Child} content
 */
export function section({ translate }, name, ...content) {
  const id = `status-${name}`;
  const attributes = { class: `status-card status-${name}-card`, "aria-labelledby": id };
  return createElement("section", attributes, createElement("h2", { id }, translate(name)), ...content);
}

/**
 * A table; on a narrow screen each row is a card whose cells name themselves, so roles are told apart from the layout.
 * @param {Words} words
 * @param {string} name
 * @param {readonly string[]} columns
 */
export function table({ translate }, name, columns) {
  const labels = columns.map((column) => translate(column));
  const head = labels.map((label, i) =>
    createElement("th", { scope: "col", role: "columnheader", class: `status-${columns[i]}` }, label),
  );
  const body = createElement("tbody", { role: "rowgroup" });
  const header = createElement("thead", { role: "rowgroup" }, createElement("tr", { role: "row" }, ...head));
  /** @param {(string | Node)[]} cells */
  const row = (cells) =>
    createElement("tr", { role: "row" }, ...cells.map((content, i) => cell(content, columns[i], labels[i])));
  return {
    region: createElement(
      "div",
      { class: "status-scroll", tabindex: 0, role: "group", "aria-label": translate(name) },
      createElement("table", { role: "table" }, header, body),
    ),
    /** @param {readonly (string | Node)[][]} rows */
    show: (rows) => body.replaceChildren(...rows.map(row)),
  };
}

/**
 * @param {string | Node} content
 * @param {string} column
 * @param {string} label
 */
const cell = (content, column, label) =>
  createElement("td", { role: "cell", class: `status-${column}`, "data-label": label }, content);

/**
 * A fact with its name.
 * @param {string} name
 * @param {...(string | Node)} values
 */
export function fact(name, ...values) {
  return createElement(
    "div",
    { class: "status-fact" },
    createElement("dt", {}, name),
    createElement("dd", {}, ...values),
  );
}

/**
 * A voice, and what was asked for if another speaks.
 * @param {{ voice: string, requested_voice: string }} one
 * @param {Words} words
 */
export function voiceCell({ voice, requested_voice: requested }, { translate }) {
  if (!voice && !requested) return "–";
  const said = voice ? voiceNames.of(voice) : "–";
  const shown = requested
    ? translate("voice_instead", { voice: said, requested: voiceNames.of(requested) })
    : said;
  const ids = [voice, requested].filter(Boolean).map((id) => `${voiceNames.full(id)} (${id})`);
  return createElement("span", { title: ids.join("; ") }, shown);
}
