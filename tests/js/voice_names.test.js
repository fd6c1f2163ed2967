import assert from "node:assert/strict";
import { test } from "node:test";
import { languageNames } from "../../ui/js/language_names.js";
import { genderOf } from "../../ui/js/voice_facts.js";
import { recipeParts, shownName, VoiceNames } from "../../ui/js/voice_names.js";
import { PIPER_VOICE } from "./piper_voice.js";

const BELLA = {
  ...PIPER_VOICE,
  name: "af_bella",
  language: "en_US",
  engine: "kokoro",
  quality: "int8",
  gender: "",
};
const ROBOT = {
  ...PIPER_VOICE,
  name: "espeak-en-us",
  language: "en_US",
  engine: "espeak",
  quality: "",
  gender: "",
  description: "espeak-ng English (America)",
};
const THORSTENS = ["low", "high"].map((quality) => ({
  ...PIPER_VOICE,
  name: `de_DE-thorsten-${quality}`,
  quality,
}));
const NEW_YORKER = {
  ...ROBOT,
  name: "espeak-en-us-nyc",
  description: "espeak-ng English (America, New York City)",
};
const PRESET = { ...BELLA, name: "evening", is_preset: true };
const SIWIS = [
  { ...BELLA, name: "ff_siwis", language: "fr_FR", quality: "" },
  { ...PIPER_VOICE, name: "fr_FR-siwis-low", language: "fr_FR", quality: "low" },
];
const OWN_BLEND = { ...BELLA, name: "my_evening", is_blend: true };
const VOICES = [
  PIPER_VOICE,
  BELLA,
  PRESET,
  OWN_BLEND,
  { ...BELLA, name: "af_sky" },
  ROBOT,
  NEW_YORKER,
  ...SIWIS,
  ...THORSTENS,
];
const TEXTS = {
  en: {
    female: "female",
    male: "male",
    quality_low: "low",
    quality_high: "high",
    part: "{share} % {name}",
    speaker: "{name}, speaker {speaker}",
  },
  de: {
    female: "weiblich",
    male: "männlich",
    "preset.evening": "Abend",
    quality_low: "niedrig",
    quality_high: "hoch",
    part: "{share} % {name}",
    speaker: "{name}, Sprecher {speaker}",
  },
};

/** As browsers name it, which differ. */
const AMERICAN = { en: languageNames("en")("en_US"), de: languageNames("de")("en_US") };

/** @param {string} tag */
function namesIn(tag) {
  const view = /** @type {import("../../ui/js/voice_directory.js").VoicesView} */ ({ voices: VOICES });
  return new VoiceNames(TEXTS, { view, find: (name) => VOICES.find((voice) => voice.name === name) }, tag);
}

test("names are those of people, without language, engine and quality", () => {
  const names = languageNames("en");
  assert.equal(shownName(PIPER_VOICE, names), "Thorsten emotional");
  assert.equal(shownName(BELLA, names), "Bella");
  assert.equal(shownName({ ...BELLA, name: "my_voice" }, names), "My voice", "imported under any name");
  assert.equal(shownName({ ...PIPER_VOICE, name: "anna" }, names), "anna");
  assert.equal(shownName(ROBOT, languageNames("de")), AMERICAN.de);
});

test("a blend has its own name, also where it looks like that of a Kokoro voice", () => {
  const names = languageNames("en");
  assert.equal(shownName({ ...BELLA, name: "if_only", is_blend: true }, names), "if_only");
  assert.equal(
    shownName({ ...BELLA, name: "Kueche", is_blend: true, title: "Für die Küche" }, names),
    "Für die Küche",
  );
  assert.equal(genderOf({ ...BELLA, name: "if_only", is_blend: true }), "");
  assert.equal(namesIn("en").of("of_the_map"), "of_the_map"); // Kokoro has no such language
});

test("a language without a name in the browser is called as the voice's author does", () => {
  const names = languageNames("en");
  assert.equal(shownName({ ...ROBOT, language: "x", description: "espeak-ng Klingon" }, names), "Klingon");
  assert.equal(shownName({ ...ROBOT, language: "x", description: "" }, names), ROBOT.name);
});

test("letters that are no word are initials", () => {
  const names = languageNames("de");
  /** @param {string} name */
  const shown = (name) => shownName({ ...PIPER_VOICE, name: `de_DE-${name}-low` }, names);
  assert.deepEqual(["eva_k", "mls", "hfc_female", "bjørn", "rhys"].map(shown), [
    "Eva K",
    "MLS",
    "HFC female",
    "Bjørn",
    "Rhys",
  ]);
});

test("voices of one name and language are told apart by their quality or engine, or by where they speak so", () => {
  const names = namesIn("de");
  assert.equal(names.of("de_DE-thorsten-high"), "Thorsten (hoch)");
  assert.equal(names.of("de_DE-thorsten_emotional-medium"), "Thorsten emotional");
  assert.equal(names.of("ff_siwis"), "Siwis (Kokoro)");
  assert.equal(names.of("espeak-en-us"), AMERICAN.de);
  assert.equal(names.of("espeak-en-us-nyc"), `${AMERICAN.de} (America, New York City)`);
});

test("a full name has the language and the gender, in the reader's language", () => {
  assert.equal(namesIn("en").full("af_bella"), `Bella, ${AMERICAN.en}, female`);
  assert.equal(namesIn("de").full("af_bella"), `Bella, ${AMERICAN.de}, weiblich`);
  assert.equal(namesIn("en").full("espeak-en-us"), `${AMERICAN.en}, eSpeak NG`);
  assert.equal(namesIn("en").full("nobody_knows"), "nobody_knows");
});

test("a full name leads back to its voice, and any other text stays as it is", () => {
  const names = namesIn("de");
  for (const { name } of VOICES) assert.equal(names.find(names.full(name)), name);
  assert.equal(names.find(" af_bella "), "af_bella");
  assert.equal(names.find("a voice of another server"), "a voice of another server");
});

test("a preset is named in the reader's language, a blend by its own name", () => {
  assert.equal(namesIn("de").of("evening"), "Abend");
  assert.equal(namesIn("de").of("my_evening"), "my_evening");
});

test("a recipe is said as whole percentages, the largest first", () => {
  const names = namesIn("en");
  assert.equal(names.of("af_bella(0.4)+af_sky(0.6)"), "60 % Sky, 40 % Bella");
  assert.equal(names.of("af_bella+af_sky(2)"), "67 % Sky, 33 % Bella");
  assert.equal(names.of("af_bella(3)-af_sky"), "75 % Bella, -25 % Sky");
  assert.equal(names.of("af_bella(1)"), "Bella");
  assert.equal(names.of("af_bella#2"), "Bella, speaker 2");
});

test("only what the server writes as a recipe is taken for one", () => {
  assert.deepEqual(recipeParts("a(70)+b"), [
    { voice: "a", weight: 70 },
    { voice: "b", weight: 1 },
  ]);
  const endless = `${"a+".repeat(10_000)}b`;
  for (const other of ["en_US-lessac-medium", "af_bella", "60*a+40*b", "a(70)+", "", "a(.)+b", endless]) {
    assert.equal(recipeParts(other), null);
  }
});
