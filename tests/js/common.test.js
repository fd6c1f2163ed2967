import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import {
  ask,
  button,
  debounced,
  fill,
  make,
  newest,
  RequestError,
  request,
  wordsOf,
} from "../../ui/js/common.js";

const TEXTS = {
  en: { hello: "Hello {name}", none: "Nothing" },
  de: { hello: "Hallo {name}", none: "Nichts" },
};
const page = /** @type {any} */ (globalThis);
const fetched = /** @type {import("node:test").Mock<(address: URL, options: any) => Promise<any>>} */ (
  mock.fn()
);

/** As much of an element as the scripts use. */
class FakeElement extends EventTarget {
  /** @type {Record<string, string>} */
  attributes = {};
  /** @type {unknown[]} */
  children = [];

  /** @param {string} tag */
  constructor(tag) {
    super();
    this.tag = tag;
  }

  /** @param {string} name @param {string} value */
  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  /** @param {...unknown} children */
  append(...children) {
    this.children.push(...children);
  }
}

beforeEach(() => {
  page.document = {
    baseURI: "http://tts.local/api/hassio_ingress/abc/",
    createElement: (/** @type {string} */ tag) => new FakeElement(tag),
  };
  page.fetch = fetched;
});

afterEach(() => {
  fetched.mock.resetCalls();
  mock.timers.reset();
  delete page.document;
});

/**
 * @param {number} status
 * @param {unknown} body
 */
const answers = (status, body) =>
  fetched.mock.mockImplementation(async () => new Response(JSON.stringify(body), { status }));

/** @param {AbortSignal} signal */
const abortedBy = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
  });

// ---- Elements

test("an element has its attributes and children, and text is no markup", () => {
  const made = /** @type {any} */ (make("p", { class: "a", tabindex: 0 }, "<b>", null, make("i")));
  assert.equal(made.tag, "p");
  assert.deepEqual(made.attributes, { class: "a", tabindex: "0" });
  assert.equal(made.children[0], "<b>");
  assert.equal(made.children[1].tag, "i");
  assert.equal(made.children.length, 2);
});

test("an attribute that is true has no value; one that is false, null or undefined is left out", () => {
  const made = /** @type {any} */ (
    make("input", { multiple: true, disabled: false, id: null, name: undefined })
  );
  assert.deepEqual(made.attributes, { multiple: "" });
});

test("a button does what it is for", () => {
  const pressed = mock.fn();
  const made = button("Go", pressed, { disabled: false });
  made.dispatchEvent(new Event("click"));
  assert.equal(pressed.mock.callCount(), 1);
  assert.deepEqual(/** @type {any} */ (made).attributes, { type: "button" });
});

// ---- Words

test("words are in the reader's language, or in English", () => {
  assert.equal(wordsOf(TEXTS, "de-AT").say("none"), "Nichts");
  assert.equal(wordsOf(TEXTS, "fr-FR").say("none"), "Nothing");
});

test("numbers are written as the words are", () => {
  assert.equal(wordsOf(TEXTS, "de-DE").number(1234.5, 1), "1.234,5");
  assert.equal(wordsOf(TEXTS, "fr-FR").number(1234.5, 2), "1,234.50");
});

test("values are put into their places, whatever they contain", () => {
  assert.equal(wordsOf(TEXTS, "en").say("hello", { name: "$& {name}" }), "Hello $& {name}");
  assert.equal(fill("{a} {b}", { a: 0 }), "0 {b}");
});

test("a text that is missing is told by its name", () => {
  assert.equal(wordsOf(TEXTS, "en").say("no_such_text"), "no_such_text");
});

// ---- Requests

test("requests go below the page's own address, also behind a prefix", async () => {
  answers(200, { a: 1 });
  assert.deepEqual(await ask("page/voices"), { a: 1 });
  const [address, options] = fetched.mock.calls[0].arguments;
  assert.equal(address.href, "http://tts.local/api/hassio_ingress/abc/page/voices");
  assert.equal(options.method, "GET");
});

test("what is sent goes as JSON, by POST", async () => {
  answers(200, {});
  await request("x", { json: { a: null } });
  const options = fetched.mock.calls[0].arguments[1];
  assert.deepEqual([options.method, options.body], ["POST", '{"a":null}']);
  assert.equal(options.headers["Content-Type"], "application/json");
});

test("a refusal brings the server's words", async () => {
  answers(404, { error: { message: "There is no voice." } });
  await assert.rejects(ask("x"), new RequestError("There is no voice.", 404));
});

test("a refusal without words, and a server that is not reached, bring none", async () => {
  fetched.mock.mockImplementation(async () => new Response("<html>", { status: 502 }));
  await assert.rejects(ask("x"), { message: "", status: 502 });
  fetched.mock.mockImplementation(() => Promise.reject(new TypeError("Failed to fetch")));
  await assert.rejects(ask("x"), { message: "", status: 0 });
});

test("an answer that is no JSON is no answer", async () => {
  fetched.mock.mockImplementation(async () => new Response("<html>"));
  await assert.rejects(ask("x"), { name: "RequestError", status: 0 });
});

test("who gives a request up is told that, and not that it failed", async () => {
  fetched.mock.mockImplementation((_, { signal }) => abortedBy(signal));
  const giving = new AbortController();
  const asked = ask("x", { signal: giving.signal });
  giving.abort();
  await assert.rejects(asked, { name: "AbortError" });
});

test("timeout ends a request that is not answered", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  fetched.mock.mockImplementation((_, { signal }) => abortedBy(signal));
  const asked = ask("x", { timeout: 1000 });
  mock.timers.tick(1000);
  await assert.rejects(asked, { name: "AbortError" });
});

// ---- Waiting

test("work waits for a pause, and is done once, as it was asked for last", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const work = mock.fn();
  const later = debounced(work, 100);
  later(1);
  mock.timers.tick(99);
  later(2);
  mock.timers.tick(99);
  assert.equal(work.mock.callCount(), 0);
  assert.equal(later.isWaiting(), true);
  mock.timers.tick(1);
  assert.deepEqual(
    work.mock.calls.map((call) => call.arguments),
    [[2]],
  );
  assert.equal(later.isWaiting(), false);
});

test("work that waits can be done at once, or never", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const work = mock.fn();
  const later = debounced(work, 100);
  later.flush();
  later("now");
  later.flush();
  later("never");
  later.cancel();
  mock.timers.tick(1000);
  assert.deepEqual(
    work.mock.calls.map((call) => call.arguments),
    [["now"]],
  );
});

test("only the newest answer counts", async () => {
  /** @type {((answer: string) => void)[]} */
  const answered = [];
  const question = newest((/** @type {number} */ _) => new Promise((resolve) => answered.push(resolve)));
  const [first, second] = [question(1), question(2)];
  answered[1]("second");
  answered[0]("first");
  assert.deepEqual([await first, await second], [null, "second"]);
});

test("a failure counts only if it is the newest", async () => {
  /** @type {((error: Error) => void)[]} */
  const failed = [];
  const question = newest(
    (/** @type {number} */ _) => new Promise((_resolve, reject) => failed.push(reject)),
  );
  const [first, second] = [question(1), question(2)];
  failed[0](new Error("old"));
  failed[1](new Error("new"));
  assert.equal(await first, null);
  await assert.rejects(second, { message: "new" });
});
