/** What the Blend tab asks the server, and how it tells what went wrong. */

import { ask, messageOf, RequestError } from "./common.js";

/** @typedef {{ name: string, language: string, description: string, kind: string }} MixableVoice */

/**
 * A blend as it can be kept.
 * @typedef {object} Draft
 * @property {string} name
 * @property {string} recipe
 * @property {string | null} language
 * @property {string} description
 * @property {boolean} spherical mixed along arcs
 * @property {boolean} normalized
 */

/** @typedef {{ draft: Draft, kind: string, language: string, can_speak: boolean }} KeptVoice */

/**
 * @typedef {object} Shelf
 * @property {"ready" | "absent" | "offline" | "unused" | null} kokoro null before the server was asked
 * @property {number | null} model_bytes
 * @property {number | null} fetched_bytes null while nothing is fetched
 * @property {MixableVoice[]} voices
 * @property {KeptVoice[]} kept
 * @property {Record<string, string>} samples a text to hear, by language
 */

/**
 * A recipe as the server understood it.
 * @typedef {object} ReadRecipe
 * @property {string} recipe
 * @property {import("./mix.js").Part[]} parts
 * @property {string} language
 * @property {string[]} languages of its voices
 * @property {string} [problem]
 */

export const PATH = "page/blends";

/** @type {Shelf} */
export const EMPTY_SHELF = {
  kokoro: null,
  model_bytes: null,
  fetched_bytes: null,
  voices: [],
  kept: [],
  samples: {},
};

const FACTS = /** @type {const} */ (["name", "recipe", "language", "description", "spherical", "normalized"]);

/**
 * Whether two drafts would be the same blend.
 * @param {Draft} one
 * @param {Draft} other
 */
export const isSame = (one, other) => FACTS.every((fact) => (one[fact] ?? "") === (other[fact] ?? ""));

/** A tag as people write it. @param {string} language */
export const shownTag = (language) => language.replace("_", "-");

export class BlendApi {
  /** @param {import("./common.js").Say} say */
  constructor(say) {
    this.say = say;
  }

  /** @returns {Promise<Shelf>} */
  shelf() {
    return ask(PATH);
  }

  /**
   * @param {string} recipe
   * @returns {Promise<ReadRecipe>}
   */
  read(recipe) {
    return ask(`${PATH}/read`, { json: { recipe } });
  }

  /**
   * @param {"fetch" | "keep" | "rename" | "duplicate" | "remove"} what
   * @param {object} [json]
   * @returns {Promise<Shelf>} as it is after that
   */
  change(what, json = {}) {
    return ask(`${PATH}/${what}`, { json });
  }

  /**
   * @param {string} name
   * @param {File} file
   * @returns {Promise<Shelf>}
   */
  takeIn(name, file) {
    const query = new URLSearchParams({ name, file: file.name });
    return ask(`${PATH}/import?${query}`, {
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
    });
  }

  /** @param {unknown} error */
  problemOf(error) {
    if (!(error instanceof RequestError) || error.message) return messageOf(error);
    return error.status ? this.say("failed", { status: error.status }) : this.say("unreachable");
  }

  /**
   * Have work tell what went wrong, in an element that says nothing otherwise.
   * @template {any[]} Given
   * @param {Element} place
   * @param {(...given: Given) => unknown} work
   * @returns {(...given: Given) => Promise<void>}
   */
  trying(place, work) {
    return async (...given) => {
      place.textContent = "";
      try {
        await work(...given);
      } catch (error) {
        place.textContent = this.problemOf(error);
      }
    };
  }
}
