import assert from "node:assert/strict";
import { test } from "node:test";

import { moveBetween } from "../../ui/js/tabs.js";

test("arrow keys go round, Home and End to the ends, and other keys nowhere", () => {
  assert.deepEqual(
    [0, 1, 4].map((at) => moveBetween("ArrowRight", at, 5)),
    [1, 2, 0],
  );
  assert.deepEqual(
    [0, 1, 4].map((at) => moveBetween("ArrowLeft", at, 5)),
    [4, 0, 3],
  );
  assert.equal(moveBetween("Home", 3, 5), 0);
  assert.equal(moveBetween("End", 0, 5), 4);
  assert.equal(moveBetween("a", 2, 5), null);
  assert.equal(moveBetween("toString", 2, 5), null);
});
