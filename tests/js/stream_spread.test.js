import assert from "node:assert/strict";
import { test } from "node:test";
import { canBeTold, LEAST_ROUNDS, spreadOf } from "../../ui/js/stream_spread.js";

test("the spread of rounds is their median, least and greatest, without those that have no figure", () => {
  assert.deepEqual(spreadOf([3, null, 1, 2, undefined]), { median: 2, least: 1, most: 3, count: 3 });
  assert.equal(spreadOf([4, 1, 3, 2])?.median, 2.5);
  assert.equal(spreadOf([null]), null);
});

test("a difference is told if the rounds of two sides hardly overlap, and never of fewer than five", () => {
  const low = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const high = low.map((value) => value + 100);
  for (let rounds = 0; rounds <= 9; rounds += 1) {
    const isTold = canBeTold(low.slice(0, rounds), high.slice(0, rounds));
    assert.equal(isTold, rounds >= LEAST_ROUNDS, `${rounds} rounds`);
  }
  assert.equal(canBeTold(low, [...high.slice(1), 0]), true, "one outlier of nine");
  assert.equal(canBeTold(low.slice(0, 5), [...high.slice(1, 5), 3.5]), false, "one of five");
});

test("what is equal, interleaved or missing is no difference", () => {
  assert.equal(canBeTold([0, 0, 0, 0, 0], [0, 0, 0, 0, 0]), false);
  assert.equal(canBeTold([1, 3, 5, 7, 9], [2, 4, 6, 8, 10]), false);
  assert.equal(canBeTold([1, 2, 3, 4, 5], [101, null, 103, null, 105]), false);
  assert.equal(canBeTold([0, 0, 0, 0, 0], [2, 2, 2, 2, 2]), true);
});

test("chance alone tells two sides apart in about one comparison of a hundred", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed / 2147483647;
  };
  const nine = () => Array.from({ length: 9 }, random);
  const told = Array.from({ length: 400 }, () => canBeTold(nine(), nine())).filter(Boolean).length;
  assert.ok(told > 0 && told < 14, `${told} of 400`);
});
