import assert from "node:assert/strict";
import { test } from "node:test";
import { localize } from "../../ui/js/common.js";
import { languageNames } from "../../ui/js/language_names.js";
import {
  firstVoice,
  genderOf,
  readersOrder,
  recommendedVoice,
  sizeText,
  VoiceSearch,
} from "../../ui/js/voice_facts.js";
import { PIPER_VOICE } from "./piper_voice.js";

const HEART = {
  ...PIPER_VOICE,
  name: "af_heart",
  language: "en_US",
  engine: "kokoro",
  quality: "int8",
  gender: "",
};
const ROBOT = {
  ...PIPER_VOICE,
  name: "espeak-en-gb-scotland",
  language: "en_GB",
  engine: "espeak",
  quality: "",
  gender: "",
  description: "espeak-ng English (Scotland)",
};
const GERMAN = { female: "weiblich", male: "männlich", robot: "Roboterstimme" };
const english = new VoiceSearch("en", (name) => name);
const german = new VoiceSearch("de", (name) => GERMAN[/** @type {keyof typeof GERMAN} */ (name)]);

test("the voice to begin with is of the reader's country, else of the most likely one, else of the language", () => {
  const away = { ...PIPER_VOICE, is_installed: false, is_recommended: true };
  const named = (/** @type {string} */ name) => ({ ...away, name, language: name });
  const voices = [
    { ...PIPER_VOICE, name: "first" },
    { ...away, name: "not this one", is_recommended: false },
    { ...away, name: "here", is_installed: true },
    ...["en_GB", "en_US", "de_DE", "pt_PT", "pt_BR", "sr_RS", "zz_ZZ"].map(named),
  ];
  const found = ["en", "en-GB", "en-AU", "de-AT", "pt", "pt-PT", "sr-Latn", "zz", "tlh"];
  const names = found.map((tag) => recommendedVoice(voices, tag)?.name);
  assert.deepEqual(names, [
    "en_US",
    "en_GB",
    "en_US",
    "de_DE",
    "pt_BR",
    "pt_PT",
    "sr_RS",
    "zz_ZZ",
    undefined,
  ]);
});

test("the gender of a Kokoro voice is in its name, unless the catalogue tells it", () => {
  assert.equal(genderOf(HEART), "female");
  assert.equal(genderOf({ ...HEART, name: "bm_george" }), "male");
  assert.equal(genderOf({ ...HEART, name: "my_blend" }), "");
  assert.equal(genderOf({ ...PIPER_VOICE, name: "am_x", gender: "" }), "");
});

test("words in any order find by language, gender, quality, engine and name, in both languages", () => {
  const found = ["german male", "MEDIUM thorsten", "emotional", "de_DE piper", "", "deutsch männlich"];
  for (const query of found) assert.equal(german.matcher(query)(PIPER_VOICE), true, query);
  for (const query of ["german female", "low", "french"])
    assert.equal(german.matcher(query)(PIPER_VOICE), false, query);
  assert.equal(english.matcher("american female")(HEART), true);
  assert.equal(english.matcher("scotland")(ROBOT), true);
});

test("a search for male voices does not find female ones", () => {
  assert.equal(english.matcher("male")(HEART), false);
  assert.equal(english.matcher("male")(PIPER_VOICE), true);
});

test("accents need not be typed", () => {
  assert.equal(german.matcher("mannlich")(PIPER_VOICE), true);
});

test("sizes are shown in the unit that fits", () => {
  const { number } = localize({ en: {} }, "en");
  assert.equal(sizeText(4200, number), "4 kB");
  assert.equal(sizeText(63e6, number), "63 MB");
  assert.equal(sizeText(1.25e9, number), "1.3 GB");
});

test("sizes have the units of the reader's language", () => {
  const { number } = localize({ fr: {}, en: {} }, "fr");
  const sizes = [4200, 63e6, 1.25e9].map((bytes) => sizeText(bytes, number).replace(/\s/gu, " "));
  assert.deepEqual(sizes, ["4 ko", "63 Mo", "1,3 Go"]);
});

test("robot voices are found by that word, in the reader's language and in English", () => {
  assert.equal(german.matcher("roboter")(ROBOT), true);
  assert.equal(german.matcher("robot")(ROBOT), true);
  assert.equal(german.matcher("robot")(PIPER_VOICE), false);
});

test("a reader who has chosen nothing hears their language, or a neural default rather than a robot", () => {
  /** @param {string} engine @param {string} language @param {string} [name] */
  const voice = (engine, language, name = `${engine}-${language}`) => ({
    ...PIPER_VOICE,
    engine,
    language,
    name,
  });
  const american = voice("espeak", "en_US");
  const robots = [
    voice("espeak", "de_DE"),
    voice("espeak", "en_GB"),
    american,
    voice("espeak", "fr_BE"),
    voice("espeak", "fr_FR"),
    voice("espeak", "nb", "espeak-nb"),
  ];
  const lessac = voice("piper", "en_US");
  const thorsten = voice("piper", "de_DE");
  /** @type {[string, import("../../ui/js/voice_facts.js").Voice[], import("../../ui/js/voice_facts.js").Voice][]} */
  const cases = [
    ["de-DE", robots, american],
    ["de-AT", robots, american],
    ["fr-CA", robots, american],
    ["fr-BE", robots, american],
    ["en-GB", robots, american], // the default speaks English already
    ["tlh", robots, american], // no voice of that language
    ["de", [...robots, lessac], lessac],
    ["de", [...robots, lessac, thorsten], lessac],
    ["de", [...robots, thorsten], american],
    ["en-US", [...robots, thorsten], thorsten], // an English browser, a German server
    ["en-US", [...robots, thorsten, lessac], thorsten],
  ];
  const found = cases.map(([tag, installed, usual]) => firstVoice(installed, usual, tag)?.name);
  assert.deepEqual(found, [
    "espeak-de_DE",
    "espeak-de_DE",
    "espeak-fr_FR",
    "espeak-fr_BE",
    "espeak-en_US",
    "espeak-en_US",
    "piper-en_US",
    "piper-de_DE",
    "piper-de_DE",
    "piper-de_DE",
    "piper-en_US",
  ]);
  assert.equal(firstVoice([], undefined, "de"), undefined);
});

test("languages that browsers do not know have names in the page's language", () => {
  const named = ["en", "de", "fr"].map((locale) => ["ba", "tlh", "en"].map(languageNames(locale)));
  assert.deepEqual(named, [
    ["Bashkir", "Klingon", "English"],
    ["Baschkirisch", "Klingonisch", "Englisch"],
    ["bachkir", "klingon", "anglais"],
  ]);
  assert.equal(languageNames("de")("qya"), "Quenya");
  assert.equal(languageNames("de")("x"), "x");
});

test("installed voices come first, robots last, and the reader's language before others", () => {
  const names = languageNames("en");
  const away = { is_installed: false };
  const voices = [
    ROBOT,
    { ...ROBOT, name: "espeak-af", language: "af" },
    { ...PIPER_VOICE, ...away, name: "ar", language: "ar_JO" },
    { ...PIPER_VOICE, ...away, name: "en_US-amy", language: "en_US" },
    { ...PIPER_VOICE, ...away, name: "en_US-lessac", language: "en_US", is_recommended: true },
    { ...PIPER_VOICE, ...away, name: "ca", language: "ca_ES", is_recommended: true },
    PIPER_VOICE,
    HEART,
  ];
  const sorted = voices.sort(readersOrder("en-GB", names)).map(({ name }) => name);
  const installed = ["af_heart", PIPER_VOICE.name];
  const others = ["en_US-lessac", "en_US-amy", "ar", "ca"];
  assert.deepEqual(sorted, [...installed, ...others, ROBOT.name, "espeak-af"]);
});
