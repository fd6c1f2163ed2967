import assert from "node:assert/strict";
import { test } from "node:test";

import { ServerConnection } from "../../ui/js/server_connection.js";

test("a change is told once, however many requests find it out", () => {
  const connection = new ServerConnection();
  /** @type {boolean[]} */
  const told = [];
  connection.addEventListener("change", () => told.push(connection.isAway));
  connection.answered();
  connection.failed();
  connection.failed();
  connection.answered();
  assert.deepEqual(told, [true, false]);
});

test("who waits for the server goes on once it is back, and at once where it was never away", async () => {
  const connection = new ServerConnection();
  await connection.whenBack();
  connection.failed();
  const waiting = connection.whenBack().then(() => connection.isAway);
  connection.answered();
  assert.equal(await waiting, false);
});
