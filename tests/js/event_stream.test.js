import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesOfBase64, EventStreamReader } from "../../ui/js/event_stream.js";

const STREAM = 'data: {"type":"a","text":"é😀"}\n\n: a comment\n\nevent: x\ndata: {"type":\ndata: "b"}\n\n';

test("events split at any byte are read as they are whole", () => {
  const bytes = new TextEncoder().encode(STREAM);
  for (let first = 0; first <= bytes.length; first++) {
    const reader = new EventStreamReader();
    const events = [bytes.subarray(0, first), bytes.subarray(first)].flatMap((piece) => reader.read(piece));
    assert.deepEqual(events, [{ type: "a", text: "é😀" }, { type: "b" }]);
  }
});

test("the beginning of an event is kept until it is whole", () => {
  const reader = new EventStreamReader();
  const encode = (/** @type {string} */ text) => new TextEncoder().encode(text);
  assert.deepEqual(reader.read(encode('data: {"n":1}\n')), []);
  assert.deepEqual(reader.read(encode('\ndata: {"n"')), [{ n: 1 }]);
  assert.deepEqual(reader.read(encode(":2}\n\n")), [{ n: 2 }]);
});

test("base64 becomes bytes, by the browser's own decoder where it has one", () => {
  assert.deepEqual([...bytesOfBase64("AP8Q")], [0, 255, 16]);
  const fromBase64 = (/** @type {string} */ text) => Uint8Array.of(text.length);
  Object.assign(Uint8Array, { fromBase64 });
  try {
    assert.deepEqual([...bytesOfBase64("AP8Q")], [4]);
  } finally {
    Reflect.deleteProperty(Uint8Array, "fromBase64");
  }
});
