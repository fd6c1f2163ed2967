import assert from "node:assert/strict";
import { test } from "node:test";
import { offeredActions } from "../../ui/js/saved_blends.js";

/**
 * @param {string} kind
 * @param {Partial<Parameters<typeof offeredActions>[0]>} [facts]
 */
const kept = (kind, facts = {}) => /** @type {any} */ ({ kind, can_speak: true, fetch: "", ...facts });

test("a preset that cannot speak offers what brings its voices, or nothing", () => {
  assert.deepEqual(offeredActions(kept("preset", { can_speak: false, fetch: "af_heart" }), true), ["fetch"]);
  assert.deepEqual(offeredActions(kept("preset", { can_speak: false }), true), []);
  assert.deepEqual(offeredActions(kept("preset"), true), ["hear", "use", "duplicate", "export"]);
});

test("one's own blend that cannot speak can be edited, renamed and deleted, but not be heard", () => {
  const mute = kept("own", { can_speak: false });
  assert.deepEqual(offeredActions(mute, true), ["edit", "duplicate", "rename", "remove"]);
  assert.deepEqual(offeredActions(mute, false), ["duplicate", "rename", "remove"]);
  assert.deepEqual(offeredActions(kept("own"), true), [
    "hear",
    "edit",
    "duplicate",
    "rename",
    "export",
    "remove",
  ]);
});

test("an imported voice is never edited as a mix", () => {
  assert.deepEqual(offeredActions(kept("imported"), true), ["hear", "export", "remove"]);
  assert.deepEqual(offeredActions(kept("imported", { can_speak: false }), true), ["export", "remove"]);
});
