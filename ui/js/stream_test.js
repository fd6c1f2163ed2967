/** The Stream tab: the parameters of a stream test, its start and end, the board that shows it, and the kept runs. */

import {
  button,
  createElement,
  find,
  isAbort,
  localize,
  localizeElements,
  partFinder,
  requestJson,
  setText,
} from "./common.js";
import { keepFields, valuesOf } from "./kept_fields.js";
import { problems } from "./problems.js";
import { describeRun, RunList } from "./run_list.js";
import { StreamBoard } from "./stream_board.js";
import { StreamRounds } from "./stream_rounds.js";
import { voiceDirectory } from "./voice_directory.js";
import { familyOf } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./stream_run.js").RunSettings} RunSettings */
/** @typedef {import("./stream_rounds.js").RunningSide} RunningSide */

/**
 * @typedef {object} Props
 * @property {import("./common.js").Texts} texts
 * @property {string} path of the service
 * @property {Record<string, string>} examples texts by name
 * @property {number} most_clients
 */

const EXAMPLES_IN = "en"; // the language of the examples
const SIDES = ["", "_b"]; // how the names of their fields end
const WHOLE_TEXT = new Set(["wyoming_plain", "http"]); // kinds of clients without a pace

class StreamTestTab {
  /** Names this page's runs, of which one can be active. */
  #session = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
  #abort = new AbortController();
  /** What is active. @type {StreamRounds | null} */
  #running = null;

  /** Texts by name. @type {Record<string, string>} */
  examples = {};

  /** @param {import("./common.js").MountContext<Props>} context */
  constructor({ element, props }) {
    this.path = props.path;
    this.words = localize(props.texts);
    this.translate = this.words.translate;
    this.parts = partsOf(element);
    localizeElements(element, this.translate);
    this.board = new StreamBoard(this.parts.board, this.words);
    this.list = new RunList(this.parts.kept, this.words, (runs) => this.#open(runs));
    this.#fill(props);
    keepFields(this.parts.form, "stream_test");
    this.#suggestText();
    this.#showFields();
    this.#listen();
  }

  /** @param {Props} props */
  #fill({ examples, most_clients }) {
    const { form, text, chips } = this.parts;
    this.examples = examples;
    text.value = examples.sentence;
    for (const name of ["clients", "recorded"]) fieldOf(form, name).max = String(most_clients);
    const named = Object.entries(examples).map(([name, example]) =>
      button(this.translate(`example.${name}`), () => this.#write(example), { class: "chip" }),
    );
    chips.replaceChildren(...named);
    this.#offerVoices();
  }

  #offerVoices() {
    const { form, voices } = this.parts;
    voices.replaceChildren(
      ...voiceDirectory.installed.map(({ name }) =>
        createElement("option", { value: voiceNames.full(name) }),
      ),
    );
    for (const end of SIDES) {
      const field = find(form, `[name=voice${end}]`, HTMLInputElement);
      field.value = voiceNames.full(voiceNames.find(field.value)); // kept before, or from a kept run
    }
  }

  /** Have the text in the language of the voice, unless somebody wrote it. */
  #suggestText() {
    const { text } = this.parts;
    const suggested = [this.examples.sentence, ...voiceDirectory.view.voices.map(({ sample }) => sample)];
    const isOwn = document.activeElement === text || !suggested.includes(text.value);
    if (!isOwn) text.value = this.#sentence();
  }

  /** A sentence that the voice of the first client can say; of another server's own voice nothing is known. */
  #sentence() {
    const { voice: name, target } = valuesOf(this.parts.form);
    const usual = target ? undefined : voiceDirectory.default;
    const voice = name ? voiceDirectory.find(voiceNames.find(String(name))) : usual;
    const isEnglish = !voice || familyOf(voice.language) === EXAMPLES_IN;
    return isEnglish || !voice.sample ? this.examples.sentence : voice.sample;
  }

  #listen() {
    const { form, stop } = this.parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    form.addEventListener("input", () => {
      this.#suggestText();
      this.#showFields();
    });
    stop.addEventListener("click", () => this.#running?.stop());
    for (const end of SIDES) {
      find(form, `#stream_test-find${end}`, HTMLButtonElement).addEventListener("click", () =>
        this.#search(end),
      );
    }
    voiceDirectory.addEventListener("change", () => {
      this.#offerVoices();
      this.#suggestText();
    });
    addEventListener("pagehide", () => this.#abort.abort());
  }

  /** Show the fields that matter for what is chosen, and the values of the sliders. */
  #showFields() {
    const { form, order, rounds, sideB, vary } = this.parts;
    const values = valuesOf(form);
    const isPair = values.compares === true;
    form.toggleAttribute("data-pair", isPair);
    for (const part of [order, rounds, sideB]) part.hidden = !isPair;
    vary.hidden = isPair; // each has a text of its own anyway
    const recorded = fieldOf(form, "recorded");
    recorded.max = String(values.clients);
    fieldBlock(recorded).hidden = values.clients === "1";
    for (const end of SIDES) {
      fieldBlock(fieldOf(form, `words_per_second${end}`)).hidden = WHOLE_TEXT.has(
        String(values[`kind${end}`]),
      );
    }
    for (const output of form.querySelectorAll("output"))
      setText(output, fieldAt(form, output.htmlFor.value).value);
  }

  /** @param {string} example */
  #write(example) {
    const { text } = this.parts;
    text.focus();
    text.select();
    if (!document.execCommand("insertText", false, example)) text.value = example;
  }

  // ---- Runs

  async #run() {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const sides = this.#sides();
    const { order, rounds } = valuesOf(this.parts.form);
    const isPair = sides.length > 1;
    const running = new StreamRounds(this.path, sides, {
      count: isPair ? Number(rounds) : 1,
      isTogether: isPair && order === "together",
      signal,
      onFrame: (side, frame) => {
        if (frame.over) this.#keep(side, frame);
        this.board.show(sides, running.progress);
      },
    });
    this.#setRunning(running);
    this.#bringIntoView(this.parts.actions);
    const failure = await running.run().catch((error) => error);
    this.#abort.abort(); // the other side, if one has failed
    this.#setRunning(null);
    const begun = sides.filter(({ frame }) => frame);
    if (begun.length) this.board.show(begun);
    if (failure && !isAbort(failure)) this.board.showProblem(problems.of(failure));
  }

  /**
   * Of several rounds one run is kept, whose lanes are of the latest that was not stopped.
   * @param {RunningSide} side
   * @param {import("./stream_run.js").Frame} frame
   */
  #keep(side, frame) {
    const { rounds, kept: replaces } = side;
    if (replaces && rounds.at(-1) !== frame.summary) return;
    this.list.kept.add(side.settings, frame, { rounds, replaces });
    side.kept = frame.run;
  }

  /** @returns {RunningSide[]} */
  #sides() {
    const isPair = valuesOf(this.parts.form).compares === true;
    return SIDES.slice(0, isPair ? 2 : 1).map((end, index) => {
      const settings = this.#settings(end, isPair);
      return {
        name: isPair ? "AB"[index] : "",
        title: describeRun(settings, this.words),
        frame: null,
        rounds: [],
        isKept: false,
        kept: "",
        settings,
        session: this.#session + end,
      };
    });
  }

  /**
   * Two clients are compared fairly: neither hears what the other has left in a cache, nor waits for a voice to load.
   * @param {string} end of the names of the fields
   * @param {boolean} isPair
   * @returns {RunSettings}
   */
  #settings(end, isPair) {
    const values = valuesOf(this.parts.form);
    return {
      text: String(values.text),
      kind: String(values[`kind${end}`]),
      target: String(values[`target${end}`]),
      voice: voiceNames.find(String(values[`voice${end}`])),
      words_per_second: Number(values[`words_per_second${end}`]),
      clients: Number(values.clients),
      recorded: Number(values.recorded),
      vary: isPair || values.vary === true,
      warm_up: isPair,
    };
  }

  /** @param {StreamRounds | null} running */
  #setRunning(running) {
    this.#running = running;
    this.list.setBusy(running !== null);
    const { start, stop } = this.parts;
    const [shown, hidden] = running ? [stop, start] : [start, stop];
    const hadFocus = document.activeElement === hidden;
    shown.hidden = false;
    hidden.hidden = true;
    if (hadFocus) shown.focus();
  }

  /** @param {import("./kept_runs.js").KeptRun[]} runs one, or two to compare */
  #open(runs) {
    const sides = runs.map(({ id, settings, rounds = [], ...run }, index) => ({
      name: runs.length > 1 ? "AB"[index] : "",
      title: describeRun(settings, this.words),
      frame: { ...run, run: id, over: true, before: null, logged: 0, lines: [] },
      rounds,
      isKept: true,
    }));
    this.board.show(sides);
    this.#bringIntoView(this.parts.board);
  }

  /**
   * Scroll what is below into sight, which the player bar may cover otherwise.
   * @param {HTMLElement} element
   */
  #bringIntoView(element) {
    const { matches: isStill } = matchMedia("(prefers-reduced-motion: reduce)");
    element.scrollIntoView({ block: "start", behavior: isStill ? "instant" : "smooth" });
  }

  // ---- Servers to test

  /** @param {string} end of the names of the side's fields */
  async #search(end) {
    const { form } = this.parts;
    const search = find(form, `#stream_test-find${end}`, HTMLButtonElement);
    const found = find(form, `#stream_test-found${end}`, HTMLElement);
    search.disabled = true;
    setText(found, this.translate("finding"));
    try {
      /** @type {{ name: string, uri: string }[]} */
      const servers = await requestJson(`${this.path}/find`, { json: {} });
      const choices = servers.map((server) => this.#choice(server, end));
      found.replaceChildren(...(choices.length ? choices : [this.translate("none_found")]));
    } catch (error) {
      problems.show(found, problems.of(error));
    } finally {
      search.disabled = false;
    }
  }

  /**
   * @param {{ name: string, uri: string }} server
   * @param {string} end
   */
  #choice({ name, uri }, end) {
    const radio = createElement("input", { type: "radio", name: `found${end}`, value: uri });
    radio.addEventListener("input", () => {
      const target = fieldOf(this.parts.form, `target${end}`);
      target.value = uri;
      target.dispatchEvent(new Event("input", { bubbles: true }));
    });
    return createElement("label", { class: "stream-found" }, radio, `${name} (${uri})`);
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {string} id
 */
const fieldAt = (form, id) => find(form, `#${id}`, HTMLInputElement);

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
const fieldOf = (form, name) => fieldAt(form, `stream_test-${name}`);

/**
 * A field with its label.
 * @param {HTMLElement} field
 */
const fieldBlock = (field) => /** @type {HTMLElement} */ (field.closest(".field"));

/**
 * The tab's markup, which `ui/stream_test.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "stream_test");
  return {
    actions: part("actions", HTMLElement),
    board: part("board", HTMLElement),
    chips: part("examples", HTMLElement),
    form: part("form", HTMLFormElement),
    kept: part("kept", HTMLElement),
    order: part("order", HTMLElement),
    rounds: fieldBlock(part("rounds", HTMLInputElement)),
    sideB: part("side_b", HTMLElement),
    start: part("start", HTMLButtonElement),
    stop: part("stop", HTMLButtonElement),
    text: part("text", HTMLTextAreaElement),
    vary: part("vary", HTMLElement),
    voices: part("voices", HTMLDataListElement),
  };
}

/** @param {import("./common.js").MountContext<Props>} context */
export const mount = (context) => void new StreamTestTab(context);
