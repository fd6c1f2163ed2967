/** The list of kept runs: open one, compare two, delete or export them. */

import { button, createElement } from "./common.js";
import { csvOf, KEY, KeptRuns, roundsOf } from "./kept_runs.js";
import { Figures, mediansOf } from "./stream_results.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./kept_runs.js").KeptRun} KeptRun */
/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

export class RunList {
  #isBusy = false;
  /** IDs of the runs that are ticked. @type {Set<string>} */
  #ticked = new Set();

  /**
   * @param {HTMLElement} element
   * @param {Words} words
   * @param {(runs: KeptRun[]) => void} onOpen called with one run, or with two to compare
   */
  constructor(element, words, onOpen) {
    this.words = words;
    this.translate = words.translate;
    this.figures = new Figures(words);
    this.onOpen = onOpen;
    this.element = element;
    this.kept = new KeptRuns(storage());
    this.title = createElement("h2", {});
    this.list = createElement("ul", { class: "run-list", onchange: () => this.#tick() });
    this.compare = this.#action("compare_ticked", () => this.onOpen(this.#chosen().reverse()));
    const actions = [
      this.compare,
      this.#action("export_json", () =>
        save("stream-tests.json", JSON.stringify(this.#forExport(), null, 1)),
      ),
      this.#action("export_csv", () => save("stream-tests.csv", `\ufeff${csvOf(this.#forExport())}`)),
      this.#action("delete_ticked", () => this.kept.remove(new Set(this.#chosen().map(({ id }) => id)))),
    ];
    this.remove = actions[3];
    const hint = createElement("p", { class: "quiet" }, this.translate("kept_info"));
    element.replaceChildren(
      this.title,
      hint,
      createElement("div", { class: "actions" }, ...actions),
      this.list,
    );
    this.kept.addEventListener("change", () => this.#show());
    addEventListener("storage", ({ key }) => [KEY, null].includes(key) && this.kept.reload());
    this.#show();
  }

  /**
   * @param {string} name
   * @param {() => unknown} onclick
   */
  #action(name, onclick) {
    return button(this.translate(name), onclick);
  }

  #show() {
    const { runs } = this.kept;
    this.element.hidden = runs.length === 0;
    this.title.textContent = this.translate("kept_title", { count: runs.length });
    this.#ticked = new Set(runs.map(({ id }) => id).filter((id) => this.#ticked.has(id)));
    this.list.replaceChildren(...runs.map((run) => this.#item(run)));
    this.setBusy(this.#isBusy);
  }

  /** @param {KeptRun} run */
  #item(run) {
    const id = `run-${run.id}`;
    const tick = createElement("input", { type: "checkbox", value: run.id, id });
    tick.checked = this.#ticked.has(run.id);
    const name = `${this.#dateOf(run)}, ${describeRun(run.settings, this.words)}`;
    return createElement(
      "li",
      {},
      tick,
      createElement(
        "label",
        { for: id },
        createElement("span", {}, name),
        createElement("span", { class: "quiet" }, this.#figuresOf(run)),
        createElement("q", { class: "quiet", dir: "auto" }, run.settings.text ?? ""),
        run.settings.vary ? createElement("span", { class: "quiet" }, this.translate("varied")) : "",
      ),
      button(this.translate("open"), () => this.onOpen([run]), {
        "aria-label": `${this.translate("open")}: ${name}`,
      }),
    );
  }

  /** @param {KeptRun} run */
  #dateOf({ at }) {
    return new Date(at).toLocaleString(this.words.locale, { dateStyle: "short", timeStyle: "medium" });
  }

  /** @param {KeptRun} run */
  #figuresOf(run) {
    const { translate, figures } = this;
    const rounds = roundsOf(run);
    const medians = mediansOf(rounds);
    const shown = ["ttfa_p50", "gaps_text", "gaps_server"].map(
      (name) => `${translate(`row.${name}`)} ${figures.figure(name, medians[name])}`,
    );
    if (rounds.length > 1) shown.unshift(translate("kept_rounds", { count: rounds.length }));
    return shown.join(" · ");
  }

  #tick() {
    const ticks = /** @type {NodeListOf<HTMLInputElement>} */ (this.list.querySelectorAll("input:checked"));
    this.#ticked = new Set([...ticks].map(({ value }) => value));
    this.compare.disabled = this.#isBusy || this.#ticked.size !== 2;
    this.remove.disabled = this.#ticked.size === 0;
  }

  /**
   * While a run is shown that grows, no other can be opened.
   * @param {boolean} isBusy
   */
  setBusy(isBusy) {
    this.#isBusy = isBusy;
    for (const each of this.list.querySelectorAll("button")) each.disabled = isBusy;
    this.#tick();
  }

  #chosen() {
    return this.kept.runs.filter(({ id }) => this.#ticked.has(id));
  }

  /** What is ticked, or all if nothing is. */
  #forExport() {
    return this.#ticked.size ? this.#chosen() : this.kept.runs;
  }
}

/**
 * The settings of a run that tell it from others.
 * @param {import("./stream_run.js").RunSettings} settings
 * @param {Words} words
 */
export function describeRun({ kind, target, voice, words_per_second, clients }, { translate, number }) {
  const streams = kind === "wyoming_stream" || kind === "realtime";
  return [
    translate(`kind.${kind}`),
    target,
    voice && voiceNames.of(voice),
    streams ? translate("words_a_second", { count: number(words_per_second) }) : "",
    clients > 1 ? translate("many_clients", { count: clients }) : "",
  ]
    .filter(Boolean)
    .join(", ");
}

/**
 * @param {string} name
 * @param {string} text
 */
function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  createElement("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A browser may forbid its storage altogether; runs last as long as the page then. */
function storage() {
  try {
    return window.localStorage;
  } catch {
    return { getItem: () => null, setItem: () => {} };
  }
}
