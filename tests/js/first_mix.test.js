import assert from "node:assert/strict";
import { test } from "node:test";
import { firstMix } from "../../ui/js/first_mix.js";

/**
 * @param {string} name
 * @param {string} language
 */
const voice = (name, language, kind = "pack") => ({ name, language, kind, description: "" });
const VOICES = [
  voice("af_alpha", "en_US", "imported"),
  voice("am_kumo", "en_US", "imported"),
  voice("bf_emma", "en_GB"),
  voice("dawn", "en_US", "own"),
  voice("jf_alpha", "ja_JP"),
  voice("jm_kumo", "ja_JP"),
];

test("the mixer begins with the voice that was chosen last, and another of its language", () => {
  assert.deepEqual(firstMix(VOICES, ["am_kumo"]), ["am_kumo", "af_alpha"]);
  assert.deepEqual(firstMix(VOICES, ["jf_alpha", "am_kumo"]), ["jf_alpha", "jm_kumo"]);
  assert.deepEqual(firstMix(VOICES, ["dawn"]), ["dawn", "af_alpha"]);
});

test("where the chosen voice cannot be mixed, the one before it begins", () => {
  assert.deepEqual(firstMix(VOICES, ["en_US-joe-medium", "jm_kumo"]), ["jm_kumo", "jf_alpha"]);
  assert.deepEqual(firstMix(VOICES, ["am_kumo", "dawn"]), ["am_kumo", "dawn"]);
});

test("without a chosen voice the mixer begins with the best trained one, else with the first that is no blend", () => {
  assert.deepEqual(firstMix([voice("dawn", "en_US", "own"), ...VOICES], []), ["af_alpha", "am_kumo"]);
  assert.deepEqual(firstMix([...VOICES, voice("af_heart", "en_US")], [""]), ["af_heart", "af_alpha"]);
});

test("a voice that is alone in its language is mixed with one of another, and a single voice with itself", () => {
  assert.deepEqual(firstMix(VOICES, ["bf_emma"]), ["bf_emma", "af_alpha"]);
  assert.deepEqual(firstMix([voice("af_sky", "en_US")], []), ["af_sky", "af_sky"]);
  assert.equal(firstMix([], ["af_sky"]), null);
});
