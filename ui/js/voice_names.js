/**
 * Voice names as people say them, the same in every tab: `Bella` or `Bella, American English, female` for `af_bella`,
 * and `60 % Bella, 40 % Sky` for a recipe.
 *
 * A configuration needs the name as the server knows it: tabs where somebody may write one show it beside.
 */

import { localize } from "./common.js";
import { languageNames } from "./language_names.js";
import { roundToSum, sum } from "./mix.js";
import { voiceDirectory } from "./voice_directory.js";
import { engineLabel, genderOf, isRobot, qualityLabel } from "./voice_facts.js";

/** @typedef {import("./voice_facts.js").LanguageName} LanguageName */
/** @typedef {import("./voice_facts.js").Voice} Voice */
/** @typedef {import("./mix.js").Part} Part */

const TEXTS = "names-texts"; // the ID of their element, which `ui/application.py` brings
const SPEAKER_MARK = "#";
const PIPER_NAME = /^[a-z]{2,3}_[A-Z]{2,3}-(.+)-(?:x_low|low|medium|high)$/;
const KOKORO_NAME = /^[abefhijpz][fm]_(.+)$/; // the first letter is the language
const VOWEL = /[aeiouyøæœ]/i;
const RECIPE_PART = /([+-]?)([A-Za-z]\w*)(?:\((\d+(?:\.\d+)?)\))?/gy;
const MAX_PARTS = 32; // as of the server's recipes: a link may name anything

/**
 * The name of a voice without what its language, engine and quality say, as `Thorsten emotional`.
 * @param {Pick<Voice, "name" | "engine" | "language" | "description" | "is_blend" | "title">} voice
 * @param {LanguageName} languageName
 */
export function shownName(voice, languageName) {
  const { name, engine, is_blend, title } = voice;
  if (is_blend) return title || name;
  if (isRobot(voice)) return robotName(voice, languageName);
  if (engine === "kokoro") return kokoroName(name);
  return readable(PIPER_NAME.exec(name)?.[1], name);
}

/**
 * The name of a Kokoro voice without what says its language and gender, as `Heart`; one that was imported may have
 * any name.
 * @param {string} name
 */
export const kokoroName = (name) => readable(KOKORO_NAME.exec(name)?.[1] ?? name, name);

/**
 * @param {string | undefined} part of a name
 * @param {string} name
 */
const readable = (part, name) =>
  part === undefined ? name : capitalized(initials(part.replaceAll("_", " ")));

/**
 * Letters that cannot be a word stand for words or names, as in `Eva K` and `MLS`.
 * @param {string} text
 */
const initials = (text) =>
  text.replaceAll(/\p{Script=Latin}+/gu, (word) =>
    VOWEL.test(word.normalize("NFD")) ? word : word.toUpperCase(),
  );

/**
 * The name of a synthetic voice: its language, or the one that its author gave it.
 * @param {Pick<Voice, "name" | "language" | "description">} voice
 * @param {LanguageName} languageName
 */
function robotName({ name, language, description }, languageName) {
  const named = languageName(language);
  return named === language ? description.replace(/^espeak-ng /, "") || name : named;
}

/** @param {string} text */
const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/**
 * The parts of a recipe as the server writes it; null for any other name.
 * @param {string} recipe such as `af_bella(60)+af_sky(40)`
 * @returns {Part[] | null}
 */
export function recipeParts(recipe) {
  if (!/[+(]/.test(recipe)) return null;
  /** @type {Part[]} */
  const parts = [];
  let end = 0;
  for (const { 0: all, 1: sign, 2: voice, 3: weight = "1" } of recipe.matchAll(RECIPE_PART)) {
    if (parts.length === MAX_PARTS) return null;
    parts.push({ voice, weight: sign === "-" ? -Number(weight) : Number(weight) });
    end += all.length;
  }
  return end === recipe.length ? parts : null;
}

/** What names are made of: the voices that there are. @typedef {Pick<typeof voiceDirectory, "view" | "find">} Directory */

export class VoiceNames {
  /** Of the voices of one view. @type {{ voices: readonly Voice[], names: Map<string, string> }} */
  #known = { voices: [], names: new Map() };

  /**
   * @param {import("./common.js").Texts} texts of the section `names`
   * @param {Directory} directory
   * @param {string} [tag] of the reader's language
   */
  constructor(texts, directory, tag) {
    const { translate, locale, number } = localize(texts, tag);
    this.translate = translate;
    this.number = number;
    this.languageName = languageNames(locale);
    this.directory = directory;
  }

  /**
   * The name of a voice, of a speaker of it, or of a mix; what nobody knows stays as it is.
   * @param {string} id the name as the server knows it
   * @returns {string}
   */
  of(id) {
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const [voice, speaker] = split(id, SPEAKER_MARK);
    if (speaker) return this.translate("speaker", { name: this.of(voice), speaker });
    const parts = recipeParts(id);
    if (parts) return this.mix(parts);
    return KOKORO_NAME.test(id) ? kokoroName(id) : id;
  }

  /** The gender of a voice in the reader's language, "" if unknown. @param {Voice} voice */
  genderOf(voice) {
    const gender = genderOf(voice);
    return gender && this.translate(gender);
  }

  /** @param {string} quality as `x_low` or `int8` */
  quality(quality) {
    return qualityLabel(quality, this.translate);
  }

  /**
   * The name with what tells the voice from others of that name: its language, and its gender where that is known.
   * @param {string} id
   */
  full(id) {
    const voice = this.directory.find(split(id, SPEAKER_MARK)[0]);
    if (!voice) return this.of(id);
    if (isRobot(voice)) return [this.of(id), engineLabel(voice.engine)].join(", ");
    const facts = [this.of(id), this.languageName(voice.language), this.genderOf(voice)];
    return facts.filter(Boolean).join(", ");
  }

  /**
   * The voice that a reader means, by its full name or by its own; what nobody knows stays as it is.
   * @param {string} said
   * @returns {string} the name as the server knows it
   */
  find(said) {
    const wanted = said.trim();
    const found = this.directory.view.voices.find(({ name }) => this.full(name) === wanted);
    return found?.name ?? wanted;
  }

  /**
   * A mix in words, the largest share first.
   * @param {readonly Part[]} parts
   */
  mix(parts) {
    const [only, ...others] = parts;
    if (only && !others.length) return this.of(only.voice);
    const sizes = parts.map(({ weight }) => Math.abs(weight));
    const whole = sum(sizes) || 1;
    const shares = roundToSum(
      sizes.map((size) => (100 * size) / whole),
      100,
    );
    const said = parts.map(({ voice, weight }, i) => ({ voice, share: weight < 0 ? -shares[i] : shares[i] }));
    said.sort((one, other) => other.share - one.share);
    return said
      .map(({ voice, share }) => this.translate("part", { share: this.number(share), name: this.of(voice) }))
      .join(", ");
  }

  get #names() {
    const { voices } = this.directory.view;
    if (this.#known.voices !== voices) this.#known = { voices, names: this.#nameAll(voices) };
    return this.#known.names;
  }

  /** @param {readonly Voice[]} voices */
  #nameAll(voices) {
    /** @type {Map<string, Voice[]>} */
    const alike = new Map();
    for (const voice of voices) {
      const key = `${voice.language} ${this.#shown(voice)}`;
      alike.set(key, [...(alike.get(key) ?? []), voice]);
    }
    const named = [...alike.values()].flatMap((group) =>
      group.map((voice) => /** @type {const} */ ([voice.name, this.#nameAmong(voice, group)])),
    );
    return new Map(named);
  }

  /** The name of a voice; a preset's is in the reader's language. @param {Voice} voice */
  #shown(voice) {
    return (voice.is_preset && this.preset(voice.name)) || shownName(voice, this.languageName);
  }

  /** The name of a preset in the reader's language, "" if it has none. @param {string} name */
  preset(name) {
    const key = `preset.${name}`;
    const said = this.translate(key);
    return said === key ? "" : said;
  }

  /**
   * The name of a voice; where several of its language have it, with what tells them apart.
   * @param {Voice} voice
   * @param {readonly Voice[]} alike
   */
  #nameAmong(voice, alike) {
    const name = this.#shown(voice);
    const detail = alike.length > 1 ? this.#detailOf(voice, alike) : "";
    return detail ? `${name} (${detail})` : name;
  }

  /**
   * @param {Voice} voice
   * @param {readonly Voice[]} alike
   */
  #detailOf(voice, alike) {
    const { name, engine, quality, description } = voice;
    if (isRobot(voice)) {
      const isPlainest = alike.every((other) => name.length <= other.name.length);
      return isPlainest ? "" : (/\((.+)\)$/.exec(description)?.[1] ?? name);
    }
    const others = alike.filter((other) => other !== voice);
    if (quality && others.every((other) => other.quality !== quality)) return this.quality(quality);
    return others.every((other) => other.engine !== engine) ? engineLabel(engine) : name;
  }
}

/**
 * @param {string} text
 * @param {string} mark
 */
function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}

/** Without a page, as under Node, there are no texts. */
function namesOfPage() {
  const texts = typeof document === "undefined" ? null : document.getElementById(TEXTS)?.textContent;
  return new VoiceNames(JSON.parse(texts ?? '{ "en": {} }'), voiceDirectory, texts ? undefined : "en");
}

export const voiceNames = namesOfPage();
