import assert from "node:assert/strict";
import { test } from "node:test";
import { bufferCurve, bufferedSeconds } from "../../ui/js/stream_buffer.js";

test("the buffer level falls by a second per second down to zero", () => {
  assert.equal(bufferedSeconds([], 5), 0);
  assert.equal(bufferedSeconds([[1, 2]], 2.5), 0.5);
  assert.equal(bufferedSeconds([[1, 2]], 9), 0);
});

test("the level curve rises with each chunk and falls until the next", () => {
  assert.deepEqual(
    bufferCurve(
      [
        [0, 1],
        [0.5, 2],
      ],
      1,
    ),
    [
      [0, 1],
      [0.5, 0.5],
      [0.5, 0.5],
      [0.5, 2],
      [1, 1.5],
      [1, 1.5],
    ],
  );
});

test("the level curve stays at zero between an underrun and the next chunk", () => {
  assert.deepEqual(
    bufferCurve(
      [
        [0, 1],
        [3, 1],
      ],
      3.5,
    ),
    [
      [0, 1],
      [1, 0],
      [3, 0],
      [3, 1],
      [3.5, 0.5],
      [3.5, 0.5],
    ],
  );
});
