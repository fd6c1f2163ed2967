import assert from "node:assert/strict";
import { test } from "node:test";
import { bestEndpoint, polylinePoints, splitDuration } from "../../ui/js/status.js";

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

test("a sparkline fills its box; a single value is a level line", () => {
  assert.equal(polylinePoints([1, 2, 0]), "0.00,20.00 50.00,2.00 100.00,38.00");
  assert.equal(polylinePoints([3]), "0.00,2.00 100.00,2.00");
  assert.equal(polylinePoints([0]), "0.00,38.00 100.00,38.00");
});
