import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { AudioContexts } from "../../ui/js/audio_contexts.js";

/** The browser lets nothing run before a gesture. */
let isAllowed = true;
/** @type {SilentContext[]} */
let made = [];

/** A context that makes no sound, and runs when a browser's would. */
class SilentContext {
  state = "suspended";
  destination = {};

  /** @param {{ sampleRate: number }} options */
  constructor({ sampleRate }) {
    this.sampleRate = sampleRate;
    made.push(this);
  }

  createAnalyser() {
    return { connect() {} };
  }

  async resume() {
    if (!isAllowed) await new Promise(() => {}); // each gesture asks anew
    if (this.state !== "closed") this.state = "running";
  }

  async suspend() {
    this.state = "suspended";
  }

  async close() {
    this.state = "closed";
  }
}

/** What runs once every promise has been kept. */
async function running() {
  await new Promise(setImmediate);
  return made.filter(({ state }) => state === "running").map(({ sampleRate }) => sampleRate);
}

beforeEach(() => {
  isAllowed = true;
  made = [];
  Object.assign(globalThis, { window: { AudioContext: SilentContext } });
});

test("a context that is made ready before any sound does not stay running", async () => {
  const contexts = new AudioContexts();
  contexts.prepare(24000);
  contexts.unlock();
  assert.deepEqual(await running(), []);
  contexts.use(24000);
  assert.deepEqual(await running(), [24000]);
  assert.equal(made.length, 1);
});

test("only the context of the latest rate runs, and making another ready does not cut it", async () => {
  const contexts = new AudioContexts();
  contexts.use(22050);
  contexts.prepare(24000);
  assert.deepEqual(await running(), [22050]);
  contexts.use(24000);
  assert.deepEqual(await running(), [24000]);
  contexts.use(22050);
  assert.deepEqual(await running(), [22050]);
});

test("a gesture lets the used context run that the browser refused, and no other", async () => {
  isAllowed = false;
  const contexts = new AudioContexts();
  contexts.prepare(16000);
  contexts.use(22050);
  assert.deepEqual(await running(), []);
  isAllowed = true;
  contexts.unlock();
  assert.deepEqual(await running(), [22050]);
});

test("a gesture resumes sound that a call has interrupted, but no silence", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const contexts = new AudioContexts();
  const context = contexts.use(22050);
  await running();
  await context.suspend();
  contexts.unlock();
  assert.deepEqual(await running(), [22050]);
  contexts.suspendSoon();
  t.mock.timers.tick(60_000);
  contexts.unlock();
  assert.deepEqual(await running(), []);
});

test("sound that begins before the silence has lasted keeps its context running", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const contexts = new AudioContexts();
  contexts.use(22050);
  contexts.suspendSoon();
  t.mock.timers.tick(1000);
  contexts.use(22050);
  t.mock.timers.tick(60_000);
  assert.deepEqual(await running(), [22050]);
});

test("the fourth rate closes the oldest context, unless that one is used", async () => {
  const contexts = new AudioContexts();
  contexts.use(8000);
  for (const rate of [16000, 22050, 24000]) contexts.prepare(rate);
  assert.deepEqual(await running(), [8000]);
  assert.deepEqual(
    made.map(({ state }) => state),
    ["running", "closed", "suspended", "suspended"],
  );
});
