import assert from "node:assert/strict";
import { test } from "node:test";
import { WaitingClock } from "../../ui/js/waiting_clock.js";

test("each thing that is waited for has its own seconds, and nothing has none", () => {
  const clock = new WaitingClock();
  const [sound, more] = [{}, {}];
  assert.equal(clock.seconds(null, 500), 0);
  assert.equal(clock.seconds(sound, 1000), 0);
  assert.equal(clock.seconds(sound, 3500), 2.5);
  assert.equal(clock.seconds(more, 4000), 0);
  assert.equal(clock.seconds(more, 5000), 1);
  assert.equal(clock.seconds(null, 6000), 0);
  assert.equal(clock.seconds(more, 7000), 0);
});
