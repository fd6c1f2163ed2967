import assert from "node:assert/strict";
import { test } from "node:test";
import { VoiceDirectory } from "../../ui/js/voice_directory.js";

const page = /** @type {any} */ (globalThis);

/** The paths that are asked for, each answered with revision 7. */
function answeringServer() {
  /** @type {string[]} */
  const asked = [];
  page.document = { baseURI: "http://page.test/" };
  page.fetch = (/** @type {URL} */ address) => {
    asked.push(address.pathname);
    return Promise.resolve(Response.json({ revision: 7, downloads: [], voices: [] }));
  };
  return asked;
}

test("at first the voices are asked for together with the news, and later only the news", async () => {
  const asked = answeringServer();
  const directory = new VoiceDirectory();
  const first = directory.refresh();
  assert.deepEqual(asked, ["/page/voices/news", "/page/voices"]);
  await first;
  assert.equal(directory.view.revision, 7);
  await directory.refresh();
  assert.deepEqual(asked.slice(2), ["/page/voices/news"]);
});
