/** Cards of the Status tab: the headline, the load, links for other programs. */

import { createElement, setText, urlOf } from "./common.js";
import { Figures, section } from "./status_parts.js";
import { engineLabel } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./status_parts.js").Status} Status */
/** @typedef {import("./status_parts.js").Summary} Summary */
/** @typedef {import("./status_parts.js").Words} Words */

export class Headline {
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
  wait: ({ server: { load } }, _, figures) => figures.time(load.predicted_wait_seconds),
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
  default_voice: ({ server }, { translate }) => {
    const voice = withId(server.default_voice);
    const instead = server.default_voice_fallback;
    return instead ? translate("default_absent", { voice, instead: withId(instead) }) : voice;
  },
  models: ({ server, model_bytes: bytes }, { translate }, figures) => {
    const size = bytes ? ` (${figures.megabytes(bytes)})` : "";
    return server.models.length ? server.models.join(", ") + size : translate("none");
  },
  unreadable: ({ server }) => {
    const files = Object.entries(server.unreadable);
    return files.map((fileAndReason) => fileAndReason.join(": ")).join("\n");
  },
  engines: ({ server }) => server.engines.map(engineLabel).join(", "),
  versions: ({ server }) => {
    const packages = Object.entries({ Python: server.python, ...server.packages });
    return packages.map((pair) => pair.join(" ")).join(", ");
  },
};

/** What is seldom there to be told. @type {keyof typeof FACTS} */
const RARE = "unreadable";

/** A voice's name, with the one that the settings take. @param {string} id */
function withId(id) {
  const name = voiceNames.full(id);
  return name === id ? id : `${name} (${id})`;
}

export class Facts {
  /** @param {Words} words */
  constructor(words) {
    this.words = words;
    this.figures = new Figures(words);
    this.values = Object.keys(FACTS).map((name) => ({ name, value: createElement("dd", {}, "–") }));
    const facts = this.values.map(({ name, value }) =>
      createElement(
        "div",
        { class: `status-fact status-fact-${name}`, hidden: name === RARE },
        createElement("dt", {}, words.translate(name)),
        value,
      ),
    );
    this.element = section(words, "load", createElement("dl", { class: "status-facts" }, ...facts));
  }

  /** A fact that has nothing to say is not shown. @param {Status} status */
  show(status) {
    for (const { name, value } of this.values) {
      const text = FACTS[name](status, this.words, this.figures);
      setText(value, text);
      value.parentElement?.toggleAttribute("hidden", !text);
    }
  }
}

/** @param {Words} words */
export function links(words) {
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
