import assert from "node:assert/strict";
import { test } from "node:test";
import { toldOfRobots } from "../../ui/js/absent_voices.js";

const RUNNING = {
  voice: "lessac",
  state: "running",
  received: 0,
  total: 1,
  bytes_per_second: 0,
  error: "",
  cause: null,
};
/** @param {import("../../ui/js/voice_directory.js").Download} [download] */
const keyOf = (download) => toldOfRobots(download, (name) => name).key;

test("a download that waits for its next try is not told as one that runs", () => {
  assert.equal(keyOf(RUNNING), "makeshift_running");
  assert.equal(keyOf({ ...RUNNING, cause: "name_unresolved" }), "makeshift_waiting");
  assert.equal(keyOf({ ...RUNNING, state: "failed", cause: "name_unresolved" }), "makeshift_failed");
  assert.equal(keyOf(), "makeshift");
});
