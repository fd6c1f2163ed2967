/** The Stream tab: the parameters of a stream test, its start and end, and the board that shows it. */

import {
  button,
  createElement,
  find,
  isAbort,
  localize,
  localizeElements,
  RequestError,
  request,
  requestJson,
  setText,
} from "./common.js";
import { EventStreamReader } from "./event_stream.js";
import { keepFields, valuesOf } from "./kept_fields.js";
import { problems } from "./problems.js";
import { StreamBoard } from "./stream_board.js";

/** @typedef {import("./stream_board.js").Frame} Frame */

/**
 * @typedef {object} Props
 * @property {import("./common.js").Texts} texts
 * @property {string} path of the service
 * @property {Record<string, string>} examples texts by name
 * @property {number} most_clients
 */

const NUMBERS = ["words_per_second", "clients", "recorded"];

class StreamTestTab {
  /** Names this page's runs, of which one can be active. */
  #session = Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("-");
  #abort = new AbortController();

  /** @param {import("./common.js").MountContext<Props>} context */
  constructor({ element, props }) {
    this.path = props.path;
    const words = localize(props.texts);
    this.translate = words.translate;
    this.parts = partsOf(element);
    localizeElements(element, this.translate);
    this.board = new StreamBoard(this.parts.board, words);
    this.#fill(props);
    keepFields(this.parts.form, "stream_test");
    this.#showNumbers();
    this.#listen();
  }

  /** @param {Props} props */
  #fill({ examples, most_clients }) {
    const { form, text, chips } = this.parts;
    text.value = examples.sentence;
    for (const name of ["clients", "recorded"]) numberField(form, name).max = String(most_clients);
    const named = Object.entries(examples).map(([name, example]) =>
      button(this.translate(`example.${name}`), () => this.#write(example), { class: "chip" }),
    );
    chips.replaceChildren(...named);
  }

  #listen() {
    const { form, stop, search } = this.parts;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    form.addEventListener("input", () => this.#showNumbers());
    stop.addEventListener("click", () => this.#stop());
    search.addEventListener("click", () => this.#search());
    addEventListener("pagehide", () => this.#abort.abort());
  }

  #showNumbers() {
    for (const name of NUMBERS) {
      const output = find(this.parts.form, `output[for="stream_test-${name}"]`, HTMLOutputElement);
      setText(output, numberField(this.parts.form, name).value);
    }
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
    try {
      const json = { session: this.#session, ...this.#request() };
      const answer = await request(`${this.path}/run`, { json, signal });
      await this.#receive(answer);
    } catch (error) {
      if (!isAbort(error)) this.board.showProblem(problems.of(error));
    }
  }

  #request() {
    const values = valuesOf(this.parts.form);
    return { ...values, ...Object.fromEntries(NUMBERS.map((name) => [name, Number(values[name])])) };
  }

  /** @param {Response} answer */
  async #receive(answer) {
    const events = new EventStreamReader();
    const reader = answer.body?.getReader();
    /** @type {Frame | undefined} */
    let newest;
    for (;;) {
      const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done || !value) break;
      newest = events.read(value).at(-1) ?? newest; // each has all that is drawn
      if (newest) this.board.show(newest);
    }
    if (!newest?.over) this.board.showProblem(problems.of(new RequestError("", 0)));
  }

  async #stop() {
    await requestJson(`${this.path}/stop`, { json: { session: this.#session } }).catch(() => {});
  }

  // ---- Servers to test

  async #search() {
    const { search, found } = this.parts;
    search.disabled = true;
    setText(found, this.translate("finding"));
    try {
      /** @type {{ name: string, uri: string }[]} */
      const servers = await requestJson(`${this.path}/find`, { json: {} });
      const choices = servers.map((server) => this.#choice(server));
      found.replaceChildren(...(choices.length ? choices : [this.translate("none_found")]));
    } catch (error) {
      problems.show(found, problems.of(error));
    } finally {
      search.disabled = false;
    }
  }

  /** @param {{ name: string, uri: string }} server */
  #choice({ name, uri }) {
    const radio = createElement("input", { type: "radio", name: "found", value: uri });
    radio.addEventListener("input", () => {
      this.parts.target.value = uri;
      this.parts.target.dispatchEvent(new Event("input", { bubbles: true }));
    });
    return createElement("label", { class: "stream-found" }, radio, `${name} (${uri})`);
  }
}

/**
 * @param {HTMLFormElement} form
 * @param {string} name
 */
const numberField = (form, name) => find(form, `#stream_test-${name}`, HTMLInputElement);

/**
 * The tab's markup, which `ui/stream_test.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  /** @template {Element} Found @param {string} name @param {new () => Found} type */
  const part = (name, type) => find(element, `#stream_test-${name}`, type);
  return {
    board: part("board", HTMLElement),
    chips: part("examples", HTMLElement),
    form: part("form", HTMLFormElement),
    found: part("found", HTMLElement),
    search: part("find", HTMLButtonElement),
    stop: part("stop", HTMLButtonElement),
    target: part("target", HTMLInputElement),
    text: part("text", HTMLTextAreaElement),
  };
}

/** @param {import("./common.js").MountContext<Props>} context */
export const mount = (context) => void new StreamTestTab(context);
