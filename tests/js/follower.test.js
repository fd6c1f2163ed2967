import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Follower } from "../../ui/js/follower.js";

/** Frames that were asked for. @type {Map<number, () => void>} */
let asked = new Map();
let frames = 0;

function showFrame() {
  const due = [...asked.values()];
  asked.clear();
  for (const act of due) act();
}

beforeEach(() => {
  asked = new Map();
  Object.assign(globalThis, {
    requestAnimationFrame: (/** @type {() => void} */ act) => {
      asked.set(++frames, act);
      return frames;
    },
    cancelAnimationFrame: (/** @type {number} */ frame) => void asked.delete(frame),
  });
});

test("no frame is asked for before there is something new, and none where nothing will be", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  /** @type {(number | null)[]} */
  const waits = [100, null];
  const follower = new Follower(() => waits.shift() ?? null);
  follower.follow();
  t.mock.timers.tick(99);
  assert.equal(asked.size, 0);
  t.mock.timers.tick(1);
  assert.equal(asked.size, 1);
  showFrame();
  t.mock.timers.tick(1000);
  assert.deepEqual([asked.size, waits], [0, []]);
});

test("following anew takes the place of what was due, before and after it is", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let acts = 0;
  const follower = new Follower(() => {
    acts += 1;
    return 50;
  });
  follower.follow();
  follower.follow();
  t.mock.timers.tick(50);
  assert.equal(asked.size, 1);
  follower.follow();
  showFrame();
  assert.equal(acts, 3);
  t.mock.timers.tick(50);
  showFrame();
  assert.equal(acts, 4);
});
