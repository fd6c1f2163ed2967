import assert from "node:assert/strict";
import { test } from "node:test";
import { fileStem, mediaElementQuery, speechRequest } from "../../ui/js/speech_request.js";

const USUAL = { minimum: 0, maximum: 2, step: 0.01 };
const FACTS = {
  name: "tones",
  sample_rate: 16000,
  speakers: ["anna", "bert"],
  speaker: "anna",
  sliders: [
    { ...USUAL, name: "noise_scale", value: 0.667 },
    { ...USUAL, name: "length_scale", value: 1 },
  ],
  examples: [],
};
const FIELDS = { text: "Ho", speed: 1, volume: 1, speaker: "", sliders: {} };
const PLAIN = { input: "Ho", speed: 1, volume: 1, voice: "tones", sample_rate: 16000 };

test("what is as usual is not sent", () => {
  assert.deepEqual(speechRequest(FIELDS, FACTS), PLAIN);
  const set = { ...FIELDS, speaker: "anna", sliders: { noise_scale: 0.667 } };
  assert.deepEqual(speechRequest(set, FACTS), PLAIN);
});

test("a changed speaker and moved sliders are sent", () => {
  const body = speechRequest({ ...FIELDS, speaker: "bert", sliders: { noise_scale: 0.4 } }, FACTS);
  assert.deepEqual(body, { ...PLAIN, speaker: "bert", noise_scale: 0.4 });
});

test("a slider that the voice does not have is not sent", () => {
  assert.deepEqual(speechRequest({ ...FIELDS, sliders: { pitch: 1.5 } }, FACTS), PLAIN);
});

test("a GET query has the text, the voice with its speaker, and the speed", () => {
  assert.equal(
    String(mediaElementQuery({ input: "a b", voice: "v", speaker: "s", speed: 2 })),
    "text=a+b&voice=v%23s&speed=2",
  );
  assert.equal(String(mediaElementQuery({ input: "a" })), "text=a");
});

test("a file is named by its voice and its first words", () => {
  const stem = (/** @type {string} */ voice, /** @type {string} */ input) => fileStem({ voice, input });
  assert.equal(stem("en_US-joe-medium", "Keep this."), "en_US-joe-medium-Keep-this");
  assert.equal(stem("", "../../etc/passwd: a/b?"), "speech-etc-passwd-a-b");
  assert.equal(stem("af_bella(45)+af_sky(55)", "Größe: 5 °C"), "af_bella-45-af_sky-55-Größe-5-C");
  assert.equal(stem("joe", "…"), "joe");
  assert.equal(stem("joe", "one two three four five six seven"), "joe-one-two-three-four-five-six");
  assert.equal(stem("joe", "好".repeat(99)), `joe-${"好".repeat(40)}`);
});
