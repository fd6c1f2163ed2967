/**
 * The Status tab: state of the server, addresses, latency, recent utterances, log and settings.
 *
 * It polls every two seconds while the tab is visible. Everything from the server is inserted as text: names of voices
 * may come from clients.
 */

import { button, createElement, keepScrolledToEnd, localize, requestJson, setText, urlOf } from "./common.js";

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
/** @typedef {{ values: number[], p50: number | null, p95: number | null }} Latency */

/**
 * @typedef {object} Status
 * @property {Summary} server
 * @property {number} model_bytes
 * @property {Addresses} addresses
 * @property {number} spoken_count
 * @property {Spoken[]} spoken
 * @property {Latency} latency
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
/** @typedef {{ texts: import("./common.js").Texts, paths: { status: string, settings: string } }} Props */

const POLL_INTERVAL = 2000; // milliseconds
const REQUEST_TIMEOUT = 10000; // milliseconds
const COPIED_MILLISECONDS = 2000; // how long a button says so
const MAX_LINES = 300;
const MAX_ADDRESSES = 4;
const LOOPBACK = /^(localhost$|127\.|::1$)/;
const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, number>} */
const LEVELS = { all: 0, info: 20, warning: 30, error: 40 };
/** @type {Record<string, number>} */
const RANKS = { DEBUG: 10, INFO: 20, WARNING: 30, ERROR: 40, CRITICAL: 50 };
const UTTERANCE = [
  "time",
  "transport",
  "voice",
  "ttfa",
  "held",
  "audio",
  "wall",
  "rtf",
  "xrt",
  "kbps",
  "gaps",
  "outcome",
];
const SETTING = ["setting", "value", "source"];

// ---- Numbers

/** Formats quantities with their units in the reader's language. */
class Figures {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
  }

  /** @param {number | null} seconds */
  milliseconds(seconds) {
    return seconds === null ? "–" : `${this.words.number(seconds * 1000)} ms`;
  }

  /** @param {number} bytes */
  megabytes(bytes) {
    return `${this.words.number(bytes / 1e6, bytes < 1e7 ? 1 : 0)} MB`;
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
 * The endpoint to show first: the host name of this page if it was loaded from the server's own port, as others can use
 * it, too; unless that is loopback, or Wyoming listens on loopback only.
 * @param {Endpoint[]} endpoints
 * @param {Endpoint[]} http
 * @param {{ hostname: string, port: string }} location of the page
 * @returns {Endpoint | undefined} undefined if there is none
 */
export function bestEndpoint(endpoints, http, location) {
  const here = location.hostname.replace(/^\[|\]$/g, "");
  const isDirect = http.some(({ port }) => String(port) === location.port);
  const [first] = endpoints;
  if (!first || !isDirect || LOOPBACK.test(here) || LOOPBACK.test(first.host)) return first;
  const { port, url } = first;
  const known = endpoints.find(({ host }) => host === here);
  return known ?? { host: here, port, url: `${url.split("//")[0]}//${location.hostname}:${port}` };
}

// ---- Elements shared by several parts

/**
 * @param {Words} words
 * @param {string} name
 * @param {...import("./common.js").Child} content
 */
function section({ translate }, name, ...content) {
  const id = `status-${name}`;
  const attributes = { class: `status-card status-${name}-card`, "aria-labelledby": id };
  return createElement("section", attributes, createElement("h2", { id }, translate(name)), ...content);
}

/**
 * @param {Words} words
 * @param {string} name
 * @param {readonly string[]} columns
 */
function table({ translate }, name, columns) {
  const head = columns.map((column) =>
    createElement("th", { scope: "col", class: `status-${column}` }, translate(column)),
  );
  const body = createElement("tbody");
  const region = { class: "status-scroll", tabindex: 0, role: "group", "aria-label": translate(name) };
  return {
    body,
    region: createElement(
      "div",
      region,
      createElement("table", {}, createElement("thead", {}, createElement("tr", {}, ...head)), body),
    ),
  };
}

/**
 * @param {readonly string[]} columns
 * @param {(string | Node)[]} cells
 */
function row(columns, cells) {
  return createElement(
    "tr",
    {},
    ...cells.map((cell, i) => createElement("td", { class: `status-${columns[i]}` }, cell)),
  );
}

/**
 * A fact with its name.
 * @param {string} name
 * @param {...(string | Node)} values
 */
function fact(name, ...values) {
  return createElement(
    "div",
    { class: "status-fact" },
    createElement("dt", {}, name),
    createElement("dd", {}, ...values),
  );
}

/**
 * Copy an element's text. On plain http in a home there is no clipboard API; an old command may still copy what is
 * selected, and where that is gone too the text stays selected.
 * @param {HTMLElement} source
 */
async function copyText(source) {
  try {
    // biome-ignore lint/performance/useDomNodeTextContent: the lines of a list stay lines
    await navigator.clipboard.writeText(source.innerText);
    return true;
  } catch {
    getSelection()?.selectAllChildren(source);
    return document.execCommand("copy");
  }
}

/** Makes buttons that copy text and announce it to screen readers. */
class CopyButtons {
  /** @param {Words} words */
  constructor({ translate }) {
    this.translate = translate;
    this.announcer = createElement("span", { class: "unseen", role: "status" });
  }

  /**
   * @param {HTMLElement} source
   * @param {string} what
   */
  button(source, what) {
    const label = this.translate("copy_what", { what });
    const made = button(this.translate("copy"), () => this.#copy(source, made, label), {
      class: "status-copy",
      "aria-label": label,
    });
    return made;
  }

  /**
   * @param {HTMLElement} source
   * @param {HTMLElement} pressed
   * @param {string} label
   */
  async #copy(source, pressed, label) {
    const message = this.translate((await copyText(source)) ? "copied" : "selected");
    /** @type {(text: string, label: string, announced: string) => void} */
    const show = (text, label, announced) => {
      pressed.textContent = text;
      pressed.setAttribute("aria-label", label);
      this.announcer.textContent = announced;
    };
    show(message, message, message);
    setTimeout(() => show(this.translate("copy"), label, ""), COPIED_MILLISECONDS);
  }

  /**
   * A text with a button that copies it.
   * @param {string} text
   * @param {string} what
   */
  code(text, what) {
    const code = createElement("code", {}, text);
    return createElement("span", { class: "status-address" }, code, this.button(code, what));
  }
}

// ---- The parts of the tab: each has an element and a method that updates it

class Headline {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.state = createElement("strong", {}, "–");
    this.uptime = createElement("span");
    const dot = createElement("span", { class: "status-dot", "aria-hidden": "true" });
    this.line = createElement("p", { class: "status-headline", role: "status" }, dot, this.state);
    this.element = createElement("div", { class: "status-top" }, this.line, this.uptime);
  }

  /**
   * @param {string} state
   * @param {Summary} [summary]
   */
  show(state, summary) {
    setText(this.state, this.words.translate(state));
    this.line.dataset.state = state;
    if (!summary) return;
    const uptime = this.words.translate("uptime", { time: this.figures.duration(summary.uptime_seconds) });
    setText(this.uptime, `${summary.version} · ${uptime}`);
  }
}

/** @type {Record<string, (status: Status, words: Words, figures: Figures) => string>} */
const FACTS = {
  streams: ({ server: { load } }, { translate }) =>
    translate("of", { count: load.streams, most: load.max_streams }),
  queue: ({ server: { load } }, { translate }) =>
    translate("of", { count: load.queue, most: load.max_queue }),
  wait: ({ server: { load } }, _, figures) => figures.milliseconds(load.predicted_wait_seconds),
  memory: ({ server }, _, figures) => figures.megabytes(server.memory_bytes),
  cache: ({ server: { cache } }, { translate, number }, figures) => {
    const { shared } = cache;
    const hits = cache.memory_hits + cache.disk_hits + (shared?.hits ?? 0);
    const count = hits + cache.misses;
    const share = `${number(count ? (100 * hits) / count : 0)}\u00a0%`;
    const own = translate("cache_detail", {
      share,
      count,
      size: figures.megabytes(cache.memory_bytes + cache.disk_bytes),
    });
    if (!shared) return own;
    const ofOthers = shared.is_usable
      ? translate("cache_shared", { count: shared.hits })
      : translate("cache_shared_fails");
    return `${own}; ${ofOthers}`;
  },
  voices: ({ server: { voices } }, { translate }) =>
    translate("voices_detail", { installed: voices.installed, more: voices.downloadable }),
  default_voice: ({ server }) => server.default_voice,
  models: ({ server, model_bytes: bytes }, { translate }, figures) => {
    const size = bytes ? ` (${figures.megabytes(bytes)})` : "";
    return server.models.length ? server.models.join(", ") + size : translate("none");
  },
  engines: ({ server }) => server.engines.join(", "),
  versions: ({ server }) => {
    const packages = Object.entries({ Python: server.python, ...server.packages });
    return packages.map((pair) => pair.join(" ")).join(", ");
  },
};

class Facts {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.values = Object.keys(FACTS).map((name) => ({ name, value: createElement("dd", {}, "–") }));
    const facts = this.values.map(({ name, value }) =>
      createElement(
        "div",
        { class: `status-fact status-fact-${name}` },
        createElement("dt", {}, words.translate(name)),
        value,
      ),
    );
    this.element = section(words, "load", createElement("dl", { class: "status-facts" }, ...facts));
  }

  /** @param {Status} status */
  show(status) {
    for (const { name, value } of this.values) setText(value, FACTS[name](status, this.words, this.figures));
  }
}

class Connect {
  #shown = "";

  /**
   * @param {Words} words
   * @param {CopyButtons} copying
   */
  constructor(words, copying) {
    this.words = words;
    this.copying = copying;
    this.content = createElement("div", { class: "status-connect" });
    this.element = section(words, "connect", this.content);
  }

  /** @param {Status} status */
  show({ addresses }) {
    const now = JSON.stringify(addresses);
    if (now === this.#shown) return;
    this.#shown = now;
    const { translate } = this.words;
    const { wyoming, http, uri, announced_as: name } = addresses;
    const best = bestEndpoint(wyoming, http, location);
    const all = best ? [...new Set([best, ...wyoming])].slice(0, MAX_ADDRESSES) : [];
    const api = bestEndpoint(http, http, location);
    const announced = name ? this.copying.code(name, translate("network_name")) : translate("not_announced");
    const facts = [
      this.#addresses("wyoming", all, uri || translate("no_wyoming")),
      this.#addresses("http", api ? [api] : [], translate("no_http")),
      fact(translate("network_name"), announced),
    ];
    const list = createElement("dl", { class: "status-addresses" }, ...facts);
    this.content.replaceChildren(list, ...(best ? [this.#steps(best, name)] : []));
  }

  /**
   * @param {string} name
   * @param {Endpoint[]} endpoints
   * @param {string} otherwise
   */
  #addresses(name, endpoints, otherwise) {
    const what = this.words.translate(name);
    const shown = endpoints.map(({ url }) => this.copying.code(url, what));
    return fact(what, ...(shown.length ? shown : [otherwise]));
  }

  /**
   * What to do in Home Assistant.
   * @param {Endpoint} endpoint
   * @param {string | null} name in the network
   */
  #steps({ host, port }, name) {
    const { translate } = this.words;
    const found = name ? [translate("step_found", { name })] : [];
    const details = [
      translate("step_host", { host }),
      translate("step_port", { port }),
      translate("step_voice"),
    ];
    const steps = [translate("step_open"), ...found, translate("step_add"), ...details];
    const list = createElement("ol", {}, ...steps.map((step) => createElement("li", {}, step)));
    const copy = this.copying.button(list, translate("steps"));
    const heading = createElement(
      "div",
      { class: "status-row" },
      createElement("h3", {}, translate("home_assistant")),
      copy,
    );
    return createElement("div", { class: "status-steps" }, heading, list);
  }
}

class Sparkline {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.line = document.createElementNS(SVG, "polyline");
    const picture = document.createElementNS(SVG, "svg");
    const attributes = { viewBox: "0 0 100 40", preserveAspectRatio: "none", "aria-hidden": "true" }; // described below
    for (const [name, value] of Object.entries(attributes)) picture.setAttribute(name, value);
    picture.append(this.line);
    this.highest = createElement("span", { class: "status-highest", "aria-hidden": "true" });
    this.summary = createElement("p", {}, words.translate("latency_none"));
    const sparkline = createElement("div", { class: "status-sparkline" }, picture, this.highest);
    this.element = section(words, "latency", sparkline, this.summary);
  }

  /** @param {Status} status */
  show({ latency: { values, p50, p95 } }) {
    if (!values.length) return;
    this.line.setAttribute("points", polylinePoints(values));
    setText(this.highest, this.figures.milliseconds(Math.max(...values)));
    const percentiles = { p50: this.figures.milliseconds(p50), p95: this.figures.milliseconds(p95) };
    const name = values.length > 1 ? "latency_words" : "latency_one";
    setText(this.summary, this.words.translate(name, { count: values.length, ...percentiles }));
  }
}

/**
 * The points of a line through these, in a box of 100 by 40; a single value is a level line.
 * @param {readonly number[]} values
 */
export function polylinePoints(values) {
  const most = Math.max(...values) || 1;
  const step = 100 / Math.max(values.length - 1, 1);
  const all = values.length === 1 ? [values[0], values[0]] : values;
  return all.map((value, i) => `${(i * step).toFixed(2)},${(38 - (36 * value) / most).toFixed(2)}`).join(" ");
}

class Utterances {
  #shown = 0;

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    const { body, region } = table(words, "recent", UTTERANCE);
    this.body = body;
    this.none = createElement("p", { class: "status-none" }, words.translate("recent_none"));
    this.count = createElement("span", { class: "quiet status-count" });
    this.element = section(words, "recent", this.count, region, this.none);
  }

  /** @param {Status} status */
  show({ spoken, spoken_count: now }) {
    this.none.hidden = spoken.length > 0;
    setText(this.count, this.words.translate("recent_count", { count: this.words.number(now) }));
    if (now === this.#shown) return;
    this.#shown = now;
    this.body.replaceChildren(...spoken.map((one) => row(UTTERANCE, this.#cells(one))));
  }

  /** @param {Spoken} one */
  #cells({ outcome, error, ...one }) {
    const { translate, number } = this.words;
    const message = translate(outcome) + (error ? ` (${error})` : "");
    const figure = (/** @type {number | null} */ value, digits = 0) =>
      value === null ? "–" : number(value, digits);
    return [
      this.figures.clock(one.time),
      one.transport,
      one.requested_voice
        ? translate("voice_instead", { voice: one.voice || "–", requested: one.requested_voice })
        : one.voice || "–",
      this.figures.milliseconds(one.ttfa),
      one.held ? this.figures.milliseconds(one.held) : "–",
      `${number(one.audio_seconds, 1)} s`,
      `${number(one.wall_seconds, 1)} s`,
      figure(one.rtf, 3),
      figure(one.xrt, 1),
      figure(one.kbps),
      number(one.underruns),
      createElement("span", { class: `status-outcome status-is-${outcome}` }, message),
    ];
  }
}

class Log {
  /** @param {Words} words */
  constructor(words) {
    const { translate } = words;
    this.figures = new Figures(words);
    const region = { tabindex: 0, role: "log", "aria-live": "off", "aria-label": translate("log") };
    this.lines = createElement("div", { class: "status-lines", ...region });
    this.none = createElement("p", { class: "status-none" }, translate("log_none"));
    const options = Object.keys(LEVELS).map((name) =>
      createElement("option", { value: name }, translate(`level_${name}`)),
    );
    this.level = createElement("select", { id: "status-level", onchange: () => this.#filter() }, ...options);
    const label = createElement("label", { for: "status-level" }, translate("level"));
    const choice = createElement("div", { class: "status-row" }, label, this.level);
    this.element = section(words, "log", choice, this.lines, this.none);
  }

  #filter() {
    for (const line of this.lines.children) this.#hideIfBelow(/** @type {HTMLElement} */ (line));
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  /** @param {HTMLElement} line */
  #hideIfBelow(line) {
    line.hidden = Number(line.dataset.rank) < LEVELS[this.level.value];
  }

  clear() {
    this.lines.replaceChildren();
  }

  /** @param {Status} status */
  show({ log: added }) {
    if (!added.length) return;
    const { lines } = this;
    this.none.hidden = true;
    keepScrolledToEnd(lines, () => {
      lines.append(...added.map((line) => this.#line(line)));
      while (lines.children.length > MAX_LINES) lines.firstChild?.remove();
    });
  }

  /** @param {LogLine} line */
  #line({ time, level, logger, text }) {
    const attributes = {
      class: `status-line status-level-${level.toLowerCase()}`,
      "data-rank": RANKS[level] ?? RANKS.INFO,
    };
    const head = `${this.figures.clock(time)} ${level} ${logger}: `;
    const made = createElement(
      "div",
      attributes,
      createElement("span", { class: "status-line-head" }, head),
      text,
    );
    this.#hideIfBelow(made);
    return made;
  }
}

class Settings {
  /** @type {Setting[]} */
  #known = [];

  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    const { translate } = words;
    const { body, region } = table(words, "settings", SETTING);
    this.body = body;
    this.none = createElement("p", { class: "status-none" }, translate("settings_none"));
    this.all = createElement("input", { type: "checkbox", id: "status-all", onchange: () => this.#draw() });
    const label = createElement("span", {}, translate("all_settings"));
    const choice = createElement("label", { class: "check" }, this.all, label);
    this.element = section(words, "settings", choice, region, this.none);
  }

  /** @param {Setting[]} settings */
  show(settings) {
    this.#known = settings;
    this.#draw();
  }

  #draw() {
    const chosen = this.#known.filter((setting) => this.all.checked || !setting.is_default);
    this.body.replaceChildren(...chosen.map((setting) => row(SETTING, this.#cells(setting))));
    this.none.hidden = chosen.length > 0;
  }

  /** @param {Setting} setting */
  #cells({ name, meaning, value, unit, source, is_secret }) {
    const shown = is_secret
      ? createElement("em", {}, this.words.translate("secret"))
      : `${value} ${unit}`.trim();
    const [kind, ...rest] = source.split(" ");
    return [
      createElement("code", { title: meaning }, name),
      shown,
      [this.words.translate(`source_${kind}`), ...rest].join(" "),
    ];
  }
}

/** @param {Words} words */
function links(words) {
  const paths = { metrics: "metrics", openapi: "openapi.json", json: "status" };
  const anchors = Object.entries(paths).map(([name, path]) => {
    const { href } = urlOf(path);
    return createElement(
      "li",
      {},
      createElement("a", { href, target: "_blank", rel: "noopener" }, words.translate(name)),
    );
  });
  return section(words, "links", createElement("ul", {}, ...anchors));
}

// ---- Polling

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
    const [sparkline, utterances] = [new Sparkline(words), new Utterances(words)];
    this.parts = [facts, connect, sparkline, utterances, this.log];
    const cards = [facts, connect, sparkline, { element: links(words) }, utterances, this.log, this.settings];
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
    if (!signal.aborted) this.#timer = setTimeout(() => this.#poll(signal), POLL_INTERVAL);
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
