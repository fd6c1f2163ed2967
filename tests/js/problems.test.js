import assert from "node:assert/strict";
import { test } from "node:test";
import { RequestError } from "../../ui/js/common.js";
import { Problems } from "../../ui/js/problems.js";

const TEXTS = {
  en: {
    unreachable: "No answer.",
    failed: "Status {status}.",
    code_busy: "Busy.",
    download_disk_full: "The disk is full.",
    download_disk_full_do: "Make room.",
    download_again: "Again.",
  },
  de: {
    unreachable: "Keine Antwort.",
    failed: "Status {status}.",
    code_busy: "Ausgelastet.",
    download_disk_full: "Kein Platz.",
    download_disk_full_do: "Schaffe Platz.",
    download_again: "Noch einmal.",
  },
};
const german = new Problems(TEXTS, "de-DE");
const english = new Problems(TEXTS, "en-GB");
const BUSY = new RequestError("The server is busy: 3 wait.", 429, { code: "busy" });
const DOWNLOAD = { voice: "x", received: 0, total: 1, bytes_per_second: 0 };
const FULL = { ...DOWNLOAD, state: "failed", cause: "disk_full", error: "[Errno 28]" };

test("a code is told in the reader's language, with the server's words as details", () => {
  assert.deepEqual(german.of(BUSY), { text: "Ausgelastet.", details: "The server is busy: 3 wait." });
});

test("in English the server's words are the text", () => {
  assert.deepEqual(english.of(BUSY), { text: "The server is busy: 3 wait.", details: "" });
});

test("without a known code the server's words are the text, without words the status is", () => {
  assert.equal(german.of(new RequestError("Odd.", 400, { code: "odd" })).text, "Odd.");
  assert.equal(german.of(new RequestError("", 500)).text, "Status 500.");
  assert.equal(english.of(new RequestError("", 429, { code: "busy" })).text, "Busy.");
});

test("a server that does not answer is told without the browser's words", () => {
  const error = new RequestError("", 0, { cause: new TypeError("Failed to fetch") });
  assert.deepEqual(german.of(error), { text: "Keine Antwort.", details: "" });
});

test("a script's own error is its text", () => {
  assert.deepEqual(german.of(new Error("Gib zuerst einen Text ein.")).text, "Gib zuerst einen Text ein.");
});

test("a failed download is told by its cause in every language", () => {
  assert.deepEqual(german.ofDownload(FULL), { text: "Kein Platz. Schaffe Platz.", details: "[Errno 28]" });
  assert.deepEqual(english.ofDownload(FULL), { text: "The disk is full. Make room.", details: "[Errno 28]" });
});

test("what a failed download says is said in the reader's language where it has an ID", () => {
  const reader = new Problems(TEXTS, "de");
  reader.messages = { empty: "es ist leer" };
  const error = { text: "it is empty", id: "empty", arguments: {} };
  assert.equal(reader.say(reader.ofDownload({ ...FULL, error }).details), "es ist leer");
  assert.equal(reader.ofDownload({ ...FULL, cause: null, error }).text, "es ist leer");
});

test("a download between two tries tells why it waits but nothing to do, one that runs tells nothing", () => {
  const waiting = { ...FULL, state: "running", error: "" };
  assert.deepEqual(german.ofDownload(waiting), { text: "Kein Platz. Noch einmal.", details: "" });
  assert.equal(german.ofDownload({ ...waiting, cause: null }).text, "");
});

const REFUSED = {
  text: "x is no voice: it is empty.",
  id: "not_a_voice",
  arguments: { name: "x", reason: "leer" },
};
const FULLY = {
  ...REFUSED,
  arguments: { name: "x", reason: { text: "it is empty", id: "empty", arguments: {} } },
};

test("a message of the server is said in the reader's language, with messages in it", () => {
  const reader = new Problems(TEXTS, "de");
  assert.equal(reader.say(FULLY), "x is no voice: it is empty."); // until the translations are here
  reader.messages = { not_a_voice: "{name} ist keine Stimme: {reason}.", empty: "es ist leer" };
  assert.equal(reader.say(FULLY), "x ist keine Stimme: es ist leer.");
  assert.equal(reader.say(REFUSED), "x ist keine Stimme: leer.");
  assert.equal(reader.say("plain"), "plain");
  assert.equal(reader.say({ text: "Odd.", id: "odd", arguments: {} }), "Odd.");
});

test("a refusal that can be said needs no details, one that cannot is told by its code", () => {
  const reader = new Problems(TEXTS, "de");
  reader.messages = { not_a_voice: "{name} ist keine Stimme: {reason}.", empty: "es ist leer" };
  const hint = { text: "Try.", id: "try", arguments: {} };
  const told = new RequestError("x is no voice.", 400, { code: "busy", said: [FULLY] });
  assert.deepEqual(reader.of(told), { text: "x ist keine Stimme: es ist leer.", details: "" });
  const untold = new RequestError("x is no voice. Try.", 400, { code: "busy", said: [FULLY, hint] });
  assert.deepEqual(reader.of(untold), { text: "Ausgelastet.", details: "x is no voice. Try." });
});
