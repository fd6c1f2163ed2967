import assert from "node:assert/strict";
import { test } from "node:test";
import { areTouching, isWithin, placeLabels } from "../../ui/js/label_layout.js";

const MAP = { width: 300, height: 240 };
const RADIUS = 6;

/** Points by a linear congruential generator, so that they are the same in each run. @param {number} count */
function points(count, spread = 1) {
  let state = 7;
  const next = () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  return Array.from({ length: count }, () => ({
    x: 20 + next() * spread * 260,
    y: 20 + next() * spread * 200,
    width: 24 + next() * 40,
    height: 14,
  }));
}

/** @param {ReturnType<typeof placeLabels>} boxes */
const shown = (boxes) => boxes.filter((box) => box !== null);

for (const [count, spread] of [
  [3, 1],
  [54, 1],
  [54, 0.1],
  [200, 0.5],
]) {
  test(`of ${count} labels on ${spread} of the map none overlap, and none is cut off`, () => {
    const boxes = shown(placeLabels(points(count, spread), MAP, RADIUS));
    assert.ok(boxes.length >= Math.min(count, 12), `${boxes.length}`);
    for (const [i, box] of boxes.entries()) {
      assert.ok(isWithin(box, MAP));
      assert.ok(boxes.slice(i + 1).every((other) => !areTouching(box, other)));
    }
  });
}

test("a label that has room stands right beside its point", () => {
  const [box] = placeLabels([{ x: 100, y: 100, width: 40, height: 14 }], MAP, RADIUS);
  assert.deepEqual(box, { left: 106, top: 93, right: 146, bottom: 107 });
});

test("at the right edge a label stands on the left", () => {
  const [box] = placeLabels([{ x: 295, y: 100, width: 40, height: 14 }], MAP, RADIUS);
  assert.ok(box && box.right <= 295 - RADIUS);
});

test("a label covers no other point", () => {
  const near = { x: 130, y: 100, width: 40, height: 14 };
  const [box] = placeLabels([{ x: 100, y: 100, width: 40, height: 14 }, near], MAP, RADIUS);
  assert.ok(box && !(box.left < near.x && near.x < box.right && box.top < near.y && near.y < box.bottom));
});

test("a label wider than the map is left out", () => {
  assert.deepEqual(placeLabels([{ x: 100, y: 100, width: 400, height: 14 }], MAP, RADIUS), [null]);
});
