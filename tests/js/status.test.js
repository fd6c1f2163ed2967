import assert from "node:assert/strict";
import { test } from "node:test";
import { localize } from "../../ui/js/common.js";
import { axesOf, placeOf, roundUp } from "../../ui/js/latency_chart.js";
import { shortTime } from "../../ui/js/short_time.js";
import { bestEndpoint } from "../../ui/js/status_connect.js";
import { whoListens } from "../../ui/js/status_listeners.js";
import { splitDuration } from "../../ui/js/status_parts.js";

/**
 * @param {string} host
 * @param {number} port
 */
const at = (host, port) => ({ host, port, url: `tcp://${host}:${port}` });
const HTTP = [at("10.0.0.5", 8880)];
const WYOMING = [at("10.0.0.5", 10200), at("fd00::5", 10200)];

test("a duration is shown in its two largest units", () => {
  assert.deepEqual(splitDuration(59), [[0, "minutes"]]);
  assert.deepEqual(splitDuration(3 * 60), [[3, "minutes"]]);
  assert.deepEqual(splitDuration(3600), [
    [1, "hours"],
    [0, "minutes"],
  ]);
  assert.deepEqual(splitDuration(2 * 86400 + 3 * 3600 + 60), [
    [2, "days"],
    [3, "hours"],
  ]);
});

test("the page's own host name is preferred if it reaches the server directly", () => {
  const location = { hostname: "tts.local", port: "8880" };
  assert.deepEqual(bestEndpoint(WYOMING, HTTP, location), at("tts.local", 10200));
});

test("the page's host is not added again if it is a known address", () => {
  const location = { hostname: "[fd00::5]", port: "8880" };
  assert.equal(bestEndpoint(WYOMING, HTTP, location), WYOMING[1]);
});

test("behind a proxy and on localhost the server's first address is shown", () => {
  assert.equal(bestEndpoint(WYOMING, HTTP, { hostname: "home.example", port: "443" }), WYOMING[0]);
  assert.equal(bestEndpoint(WYOMING, HTTP, { hostname: "localhost", port: "8880" }), WYOMING[0]);
  assert.equal(bestEndpoint([], HTTP, { hostname: "tts.local", port: "8880" }), undefined);
});

test("an axis ends at the next round number", () => {
  const rounded = [0.001, 0.0011, 0.034, 0.05, 0.3, 1, 7, 10].map(roundUp);
  assert.deepEqual(rounded, [0.001, 0.002, 0.05, 0.05, 0.5, 1, 10, 10]);
});

test("values of all engines stand on the same axes", () => {
  const piper = { engine: "piper", values: [{ time: 100, seconds: 0.02 }], p50: 0.02, p95: 0.02 };
  const kokoro = { engine: "kokoro", values: [{ time: 120, seconds: 0.4 }], p50: 0.4, p95: 0.4 };
  const axes = axesOf([kokoro, piper]);
  assert.deepEqual(axes, { first: 100, last: 120, top: 0.5 });
  assert.deepEqual(placeOf({ time: 100, seconds: 0 }, axes), { x: 0, y: 100 });
  assert.deepEqual(placeOf({ time: 120, seconds: 0.5 }, axes), { x: 100, y: 0 });
  assert.deepEqual(placeOf(piper.values[0], axesOf([piper])), { x: 50, y: 0 });
  assert.deepEqual(axesOf([{ ...piper, values: [{ time: 1, seconds: 0 }] }]).top, 0.001);
});

test("a listener is named, and its address told", () => {
  const words = localize({ en: { who_server: "the server", who_here: "here" } }, "en");
  /** @param {string} peer */
  const who = (peer, name = "") => whoListens({ peer, name }, words.translate);
  assert.equal(who("192.0.2.7", "kitchen"), "kitchen (192.0.2.7)");
  assert.equal(who("192.0.2.7"), "192.0.2.7");
  assert.equal(who("127.0.0.1"), "here (127.0.0.1)");
  assert.equal(who(""), "the server");
});

test("short times are milliseconds, and seconds from the first one on", () => {
  const plain = (/** @type {number} */ value, digits = 0) => value.toFixed(digits);
  const shown = [0, 0.0184, 0.9994, 0.9996, 1, 9.204, 59.574, 99.97, 100].map((time) =>
    shortTime(time, plain),
  );
  assert.deepEqual(shown, ["0 ms", "18 ms", "999 ms", "1 s", "1 s", "9.2 s", "59.6 s", "100 s", "100 s"]);
});
