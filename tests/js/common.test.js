import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import {
  button,
  createElement,
  debounce,
  fill,
  latestOnly,
  localize,
  RequestError,
  request,
  requestJson,
} from "../../ui/js/common.js";

const TEXTS = {
  en: { hello: "Hello {name}", none: "Nothing" },
  de: { hello: "Hallo {name}", none: "Nichts" },
};
const page = /** @type {any} */ (globalThis);
const fetchMock = /** @type {import("node:test").Mock<(address: URL, options: any) => Promise<any>>} */ (
  mock.fn()
);

/** The subset of a DOM element that the scripts use. */
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
  page.fetch = fetchMock;
});

afterEach(() => {
  fetchMock.mock.resetCalls();
  mock.timers.reset();
  delete page.document;
});

/**
 * @param {number} status
 * @param {unknown} body
 */
const respondWith = (status, body) =>
  fetchMock.mock.mockImplementation(async () => new Response(JSON.stringify(body), { status }));

/** @param {AbortSignal} signal */
const abortedBy = (signal) =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("given up", "AbortError")));
  });

// ---- Elements

test("make sets attributes and appends children, and text is not parsed as markup", () => {
  const element = /** @type {any} */ (
    createElement("p", { class: "a", tabindex: 0 }, "<b>", null, createElement("i"))
  );
  assert.equal(element.tag, "p");
  assert.deepEqual(element.attributes, { class: "a", tabindex: "0" });
  assert.equal(element.children[0], "<b>");
  assert.equal(element.children[1].tag, "i");
  assert.equal(element.children.length, 2);
});

test("an attribute that is true has an empty value; false, null and undefined ones are omitted", () => {
  const element = /** @type {any} */ (
    createElement("input", { multiple: true, disabled: false, id: null, name: undefined })
  );
  assert.deepEqual(element.attributes, { multiple: "" });
});

test("a button calls its click handler", () => {
  const onClick = mock.fn();
  const element = button("Go", onClick, { disabled: false });
  element.dispatchEvent(new Event("click"));
  assert.equal(onClick.mock.callCount(), 1);
  assert.deepEqual(/** @type {any} */ (element).attributes, { type: "button" });
});

// ---- Texts

test("texts are in the reader's language, falling back to English", () => {
  assert.equal(localize(TEXTS, "de-AT").translate("none"), "Nichts");
  assert.equal(localize(TEXTS, "fr-FR").translate("none"), "Nothing");
});

test("numbers are formatted in the language of the texts", () => {
  assert.equal(localize(TEXTS, "de-DE").number(1234.5, 1), "1.234,5");
  assert.equal(localize(TEXTS, "fr-FR").number(1234.5, 2), "1,234.50");
});

test("placeholders are filled literally, whatever the values contain", () => {
  assert.equal(localize(TEXTS, "en").translate("hello", { name: "$& {name}" }), "Hello $& {name}");
  assert.equal(fill("{a} {b}", { a: 0 }), "0 {b}");
});

test("a missing text is shown as its name", () => {
  assert.equal(localize(TEXTS, "en").translate("no_such_text"), "no_such_text");
});

// ---- Requests

test("requests are relative to the page's base URL, also behind a path prefix", async () => {
  respondWith(200, { a: 1 });
  assert.deepEqual(await requestJson("page/voices"), { a: 1 });
  const [address, options] = fetchMock.mock.calls[0].arguments;
  assert.equal(address.href, "http://tts.local/api/hassio_ingress/abc/page/voices");
  assert.equal(options.method, "GET");
});

test("a request with a body is a POST with JSON", async () => {
  respondWith(200, {});
  await request("x", { json: { a: null } });
  const options = fetchMock.mock.calls[0].arguments[1];
  assert.deepEqual([options.method, options.body], ["POST", '{"a":null}']);
  assert.equal(options.headers["Content-Type"], "application/json");
});

test("an error response rejects with the server's message", async () => {
  respondWith(404, { error: { message: "There is no voice." } });
  await assert.rejects(requestJson("x"), new RequestError("There is no voice.", 404));
});

test("an error response without JSON and an unreachable server reject with an empty message", async () => {
  fetchMock.mock.mockImplementation(async () => new Response("<html>", { status: 502 }));
  await assert.rejects(requestJson("x"), { message: "", status: 502 });
  fetchMock.mock.mockImplementation(() => Promise.reject(new TypeError("Failed to fetch")));
  await assert.rejects(requestJson("x"), { message: "", status: 0 });
});

test("a successful response that is not JSON rejects with a RequestError", async () => {
  fetchMock.mock.mockImplementation(async () => new Response("<html>"));
  await assert.rejects(requestJson("x"), { name: "RequestError", status: 0 });
});

test("an aborted request rejects with an AbortError, not a RequestError", async () => {
  fetchMock.mock.mockImplementation((_, { signal }) => abortedBy(signal));
  const controller = new AbortController();
  const pending = requestJson("x", { signal: controller.signal });
  controller.abort();
  await assert.rejects(pending, { name: "AbortError" });
});

test("a request without a response is aborted after its timeout", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  fetchMock.mock.mockImplementation((_, { signal }) => abortedBy(signal));
  const pending = requestJson("x", { timeout: 1000 });
  mock.timers.tick(1000);
  await assert.rejects(pending, { name: "AbortError" });
});

// ---- Debouncing and outdated calls

test("debounced work runs once after a pause, with the latest arguments", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const work = mock.fn();
  const later = debounce(work, 100);
  later(1);
  mock.timers.tick(99);
  later(2);
  mock.timers.tick(99);
  assert.equal(work.mock.callCount(), 0);
  assert.equal(later.isPending(), true);
  mock.timers.tick(1);
  assert.deepEqual(
    work.mock.calls.map((call) => call.arguments),
    [[2]],
  );
  assert.equal(later.isPending(), false);
});

test("debounced work can be flushed or cancelled", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const work = mock.fn();
  const later = debounce(work, 100);
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

test("newest resolves outdated calls with null", async () => {
  /** @type {((answer: string) => void)[]} */
  const resolvers = [];
  const call = latestOnly((/** @type {number} */ _) => new Promise((resolve) => resolvers.push(resolve)));
  const [first, second] = [call(1), call(2)];
  resolvers[1]("second");
  resolvers[0]("first");
  assert.deepEqual([await first, await second], [null, "second"]);
});

test("newest rejects only if the latest call fails", async () => {
  /** @type {((error: Error) => void)[]} */
  const rejecters = [];
  const call = latestOnly(
    (/** @type {number} */ _) => new Promise((_resolve, reject) => rejecters.push(reject)),
  );
  const [first, second] = [call(1), call(2)];
  rejecters[0](new Error("old"));
  rejecters[1](new Error("new"));
  assert.equal(await first, null);
  await assert.rejects(second, { message: "new" });
});
