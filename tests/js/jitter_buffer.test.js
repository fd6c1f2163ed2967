import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_DELAY, JitterBuffer, REBUFFER_DELAY } from "../../ui/js/jitter_buffer.js";

test("the first chunk is scheduled with a short lead after its arrival", () => {
  const buffer = new JitterBuffer();
  assert.equal(buffer.add(0.5, 10), 10 + INITIAL_DELAY);
  assert.equal(buffer.underruns, 0);
});

test("chunks that arrive in time are scheduled without gaps", () => {
  const buffer = new JitterBuffer();
  const starts = [0, 0.2, 0.6, 0.9].map((now) => buffer.add(0.5, now));
  assert.deepEqual(starts, [INITIAL_DELAY, INITIAL_DELAY + 0.5, INITIAL_DELAY + 1, INITIAL_DELAY + 1.5]);
  assert.equal(buffer.underruns, 0);
});

test("a late chunk is an underrun and is delayed to refill the buffer", () => {
  const buffer = new JitterBuffer();
  buffer.add(0.1, 0);
  assert.equal(buffer.add(0.1, 5), 5 + REBUFFER_DELAY);
  assert.equal(buffer.add(0.1, 5.1), 5 + REBUFFER_DELAY + 0.1);
  assert.equal(buffer.underruns, 1);
});

test("a chunk that arrives exactly when the last one ends is not an underrun", () => {
  const buffer = new JitterBuffer();
  buffer.add(0.5, 0);
  buffer.add(0.5, INITIAL_DELAY + 0.5);
  assert.equal(buffer.underruns, 0);
});

test("each underrun is counted once", () => {
  const buffer = new JitterBuffer();
  for (const now of [0, 10, 10.01, 20, 20.01]) buffer.add(0.1, now);
  assert.equal(buffer.underruns, 2);
});

test("the playback position stands still before the start and during a gap", () => {
  const buffer = new JitterBuffer();
  buffer.add(1, 0);
  assert.equal(buffer.position(0), 0);
  assert.ok(Math.abs(buffer.position(INITIAL_DELAY + 0.25) - 0.25) < 1e-9);
  assert.equal(buffer.position(100), 1);
  buffer.add(1, 100);
  assert.equal(buffer.position(100 + REBUFFER_DELAY / 2), 1);
  assert.equal(buffer.position(200), 2);
});

test("the playback position of a clip resumed in the middle starts there", () => {
  const buffer = new JitterBuffer(3);
  buffer.add(2, 0);
  assert.equal(buffer.position(0), 3);
  assert.equal(buffer.position(10), 5);
});

test("no chunk starts before its arrival or before the end of the previous chunk", () => {
  const buffer = new JitterBuffer();
  let [now, end, seed] = [0, 0, 1];
  for (let i = 0; i < 1000; i++) {
    seed = (seed * 16807) % 2147483647;
    now += (seed % 300) / 1000;
    const seconds = 0.05 + (seed % 200) / 1000;
    const start = buffer.add(seconds, now);
    assert.ok(start >= now && start >= end);
    end = start + seconds;
  }
});
