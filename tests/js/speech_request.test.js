import assert from "node:assert/strict";
import { test } from "node:test";
import { mediaElementQuery, speechRequest } from "../../ui/js/speech_request.js";

const FACTS = {
  name: "tones",
  sample_rate: 16000,
  speaker: "anna",
  sliders: { noise_scale: 0.667, length_scale: 1 },
};
const FIELDS = {
  text: "Ho",
  voice: "tones",
  other: "espeak",
  speed: 1,
  volume: 1,
  speaker: "anna",
  facts: FACTS,
};

test("sliders at their defaults are not sent", () => {
  const fields = { ...FIELDS, noise_scale: 0.667, length_scale: 1 };
  assert.deepEqual(speechRequest(fields, "tones"), {
    input: "Ho",
    speed: 1,
    volume: 1,
    voice: "tones",
    sample_rate: 16000,
  });
});

test("a changed speaker and moved sliders are sent", () => {
  const body = speechRequest({ ...FIELDS, speaker: "bert", noise_scale: 0.4, length_scale: 1 }, "tones");
  assert.equal(body.speaker, "bert");
  assert.equal(body.noise_scale, 0.4);
  assert.equal("length_scale" in body, false);
});

test("speaker and sliders are not sent for another voice", () => {
  const body = speechRequest({ ...FIELDS, speaker: "bert", noise_scale: 0.4 }, "espeak");
  assert.deepEqual(body, { input: "Ho", speed: 1, volume: 1, voice: "espeak" });
});

test("without a voice the request names none", () => {
  assert.equal("voice" in speechRequest({ ...FIELDS, facts: null }, null), false);
});

test("a GET query has the text, the voice with its speaker, and the speed", () => {
  assert.equal(
    String(mediaElementQuery({ input: "a b", voice: "v", speaker: "s", speed: 2 })),
    "text=a+b&voice=v%23s&speed=2",
  );
  assert.equal(String(mediaElementQuery({ input: "a" })), "text=a");
});
