/** Voice facts for people: a voice's language, quality and size as they are shown, and what a search finds it by. */

import { createElement } from "./common.js";
import { languageNames } from "./language_names.js";

/** @typedef {import("./common.js").Translate} Translate */

/**
 * A voice that is installed or that can be downloaded, as the server lists it.
 * @typedef {object} Voice
 * @property {string} name
 * @property {string} language as `en_US`
 * @property {string} engine
 * @property {string} quality "" if unknown
 * @property {string} gender "female", "male" or ""
 * @property {string} description
 * @property {import("./problems.js").Said} problem why it cannot speak although its files are here; empty for any other voice
 * @property {string} licence
 * @property {string} sample a sentence in its language
 * @property {number} speakers
 * @property {number | null} size bytes
 * @property {number} shared_with
 * @property {boolean} is_installed
 * @property {boolean} is_default
 * @property {boolean} is_removable
 * @property {boolean} is_blend
 * @property {string} title of a blend, as people write its name; "" where that is its name
 * @property {boolean} is_preset whether it is a blend that comes with the product
 * @property {boolean} is_recommended whether it is the one of its language to begin with
 * @property {boolean} in_catalogue
 */

/**
 * Names of languages in the page's language.
 * @callback LanguageName
 * @param {string} tag as `en_US`
 * @returns {string}
 */

const EMBEDDED_ENGINE = "espeak";
const ROBOT = "robot";
const KOKORO_GENDER = /^[a-z]([fm])_/;
/** @type {Record<string, string>} */
const ENGINE_LABELS = { kokoro: "Kokoro", piper: "Piper", espeak: "eSpeak NG" };
/** @type {Record<string, string>} */
const GENDERS = { f: "female", m: "male" };

/**
 * Whether a voice is one of the synthetic ones that come with the server.
 * @param {Pick<Voice, "engine">} voice
 */
export const isRobot = ({ engine }) => engine === EMBEDDED_ENGINE;

/** @param {Pick<Voice, "engine" | "gender" | "name" | "is_blend">} voice */
export function genderOf({ engine, gender, name, is_blend }) {
  if (gender || engine !== "kokoro" || is_blend) return gender;
  return GENDERS[KOKORO_GENDER.exec(name)?.[1] ?? ""] ?? "";
}

/** The name of an engine as its makers write it. @param {string} engine */
export const engineLabel = (engine) => ENGINE_LABELS[engine] ?? engine;

/**
 * The quality of a voice for people: how good it is, or for Kokoro, whose voices share one model, how large that is.
 * @param {string} quality as `x_low` or `int8`
 * @param {Translate} translate
 */
export function qualityLabel(quality, translate) {
  const name = `quality_${quality}`;
  const label = translate(name);
  return label === name ? quality : label;
}

/**
 * The voice for a reader to begin with: of their language and country, else of the language where most speak it.
 * @param {Voice[]} voices
 * @param {string} tag of the reader, as `de-AT`
 */
export function recommendedVoice(voices, tag) {
  const reader = new Intl.Locale(tag).maximize();
  const likely = new Intl.Locale(reader.language).maximize();
  const choices = voices.filter(({ is_recommended, is_installed }) => is_recommended && !is_installed);
  /** @param {Intl.Locale} locale */
  const of = ({ language, region }) => choices.find((voice) => voice.language === `${language}_${region}`);
  return of(reader) ?? of(likely) ?? choices.find((voice) => familyOf(voice.language) === reader.language);
}

/**
 * The voice that a reader hears at first, where nobody has chosen one: of their language, if a neural one is here, else
 * the default one if that is neural, else the robot of their language.
 * @param {Voice[]} installed
 * @param {Voice | undefined} usual the default voice
 * @param {string} tag of the reader, as `de-AT`
 */
export function firstVoice(installed, usual, tag) {
  const reader = new Intl.Locale(tag).maximize();
  const likely = new Intl.Locale(reader.language).maximize();
  const regions = [`${reader.language}_${reader.region}`, `${likely.language}_${likely.region}`];
  /** @param {Voice[]} voices */
  const best = (voices) => {
    const own = voices.filter(({ language }) => familyOf(language) === reader.language);
    if (usual && own.includes(usual)) return usual;
    const [first, second] = regions.map((region) => own.find(({ language }) => language === region));
    return first ?? second ?? own[0];
  };
  const neural = best(installed.filter((voice) => !isRobot(voice)));
  if (neural) return neural;
  return usual && !isRobot(usual) ? usual : (best(installed.filter(isRobot)) ?? usual);
}

/**
 * Facts in a line that is broken between them; none is broken as long as it fits. The dots between them are not seen
 * where a line begins.
 * @param {string[]} facts
 */
export function factLine(facts) {
  const dot = () => createElement("span", { class: "fact-dot" }, " · ");
  const shown = facts
    .filter(Boolean)
    .map((fact, i) => createElement("span", { class: "fact" }, i ? dot() : "", fact));
  return createElement("span", { class: "quiet facts" }, ...shown);
}

/**
 * Compare voices as a reader looks for them: installed ones, then those to download, the synthetic ones last; in each
 * the reader's language first, its recommended voice before the others.
 * @param {string} reader tag of the reader's language, as `de-AT`
 * @param {LanguageName} languageName
 * @returns {(one: Voice, other: Voice) => number}
 */
export function readersOrder(reader, languageName) {
  /** @param {Voice} voice */
  const rank = (voice) => {
    const isOwn = familyOf(voice.language) === familyOf(reader);
    const shelf = isRobot(voice) ? 2 : Number(!voice.is_installed);
    return [shelf, Number(!isOwn), isOwn ? Number(!voice.is_recommended) : 0];
  };
  return (one, other) => {
    const [mine, others] = [rank(one), rank(other)];
    const first = mine.findIndex((each, i) => each !== others[i]);
    if (first >= 0) return mine[first] - others[first];
    const byLanguage = languageName(one.language).localeCompare(languageName(other.language));
    return byLanguage || one.name.localeCompare(other.name);
  };
}

/** The language of a tag without its country. @param {string} tag */
export const familyOf = (tag) => tag.split(/[_-]/)[0];

/**
 * A number of bytes as `63 MB`, or `63 Mo` in French.
 * @param {number} bytes
 * @param {import("./common.js").FormatNumber} number
 */
export function sizeText(bytes, number) {
  if (bytes < 1e6) return number(bytes / 1e3, 0, "kilobyte");
  return bytes < 1e9 ? number(bytes / 1e6, 0, "megabyte") : number(bytes / 1e9, 1, "gigabyte");
}

/** The words of a text in lower case, without accents. @param {string} text */
const wordsOf = (text) =>
  text
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .toLowerCase()
    .match(/[\p{L}\p{N}]+/gu) ?? [];

/**
 * Search of voices by words in any order: name, language (in the page's language and in English), accent, gender,
 * quality, engine and, for those that are one, "robot". A word matches the beginning of one of a voice's, so that "male" does not find the female ones.
 */
export class VoiceSearch {
  /** Of voices that are listed: each new list has new ones. @type {WeakMap<Voice, string>} */
  #texts = new WeakMap();

  /**
   * @param {string} locale
   * @param {Translate} translate of "female", "male" and "robot"
   */
  constructor(locale, translate) {
    this.languageName = languageNames(locale);
    this.englishName = languageNames("en");
    this.translate = translate;
  }

  /**
   * Make the function that says whether a voice has all words of a search.
   * @param {string} query
   * @returns {(voice: Voice) => boolean}
   */
  matcher(query) {
    const words = wordsOf(query);
    if (!words.length) return () => true;
    return (voice) => {
      const text = this.#textOf(voice);
      return words.every((word) => text.includes(` ${word}`));
    };
  }

  /** @param {Voice} voice */
  #textOf(voice) {
    const known = this.#texts.get(voice);
    if (known !== undefined) return known;
    const gender = genderOf(voice);
    const { name, language, engine, quality, description, is_preset } = voice;
    const languages = [this.languageName(language), this.englishName(language), language];
    const genders = gender ? [gender, this.translate(gender)] : [];
    const kind = [engine, engineLabel(engine), quality, qualityLabel(quality, this.translate)];
    const robots = isRobot(voice) ? [ROBOT, this.translate(ROBOT)] : [];
    const presets = is_preset ? [this.translate(`preset.${name}`)] : [];
    const said = [name, ...presets, ...languages, ...genders, ...kind, ...robots, description].join(" ");
    const text = ` ${wordsOf(said).join(" ")}`;
    this.#texts.set(voice, text);
    return text;
  }
}
