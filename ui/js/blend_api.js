/** The Blend tab's requests to the server. */

import { requestJson } from "./common.js";
import { problems } from "./problems.js";

/** @typedef {{ name: string, language: string, description: string, kind: string }} MixableVoice */

/**
 * A blend as it can be saved.
 * @typedef {object} Draft
 * @property {string} name
 * @property {string} recipe
 * @property {string | null} language
 * @property {string} description
 * @property {boolean} spherical mixed along arcs
 * @property {boolean} normalized
 * @property {string} title the name as people write it, "" where that is the name
 */

/**
 * @typedef {object} SavedVoice
 * @property {Draft} draft
 * @property {string} title as people call it, also in a file of former versions; "" where that is its name
 * @property {string} kind
 * @property {string} language
 * @property {boolean} can_speak
 * @property {string[]} missing voices that it needs and that are not installed
 * @property {string} fetch the voice whose download brings them, "" if none does
 */

/**
 * @typedef {object} BlendingView
 * @property {"ready" | "absent" | "offline" | "unused" | null} kokoro null before the first response
 * @property {number | null} model_bytes
 * @property {string} model_voice the voice whose download brings the model
 * @property {MixableVoice[]} voices
 * @property {SavedVoice[]} kept
 * @property {Record<string, string>} samples a sample text by language
 */

/**
 * A recipe as parsed by the server.
 * @typedef {object} ParsedRecipe
 * @property {string} recipe
 * @property {import("./mix.js").Part[]} parts
 * @property {string} language
 * @property {string[]} languages of its voices
 * @property {string} [problem] why it cannot be parsed
 * @property {string} [code] the kind of problem
 * @property {import("./problems.js").Said[]} [said] the problem in parts that can be said in other languages
 */

export const PATH = "page/blends";

/** @type {BlendingView} */
export const EMPTY_VIEW = {
  kokoro: null,
  model_bytes: null,
  model_voice: "",
  voices: [],
  kept: [],
  samples: {},
};

const FACTS = /** @type {const} */ ([
  "name",
  "recipe",
  "language",
  "description",
  "spherical",
  "normalized",
  "title",
]);

/**
 * Whether two drafts would be the same blend.
 * @param {Draft} one
 * @param {Draft} other
 */
export const isSame = (one, other) => FACTS.every((fact) => (one[fact] ?? "") === (other[fact] ?? ""));

/** A tag as people write it. @param {string} language */
export const shownTag = (language) => language.replace("_", "-");

export class BlendApi {
  /** @returns {Promise<BlendingView>} */
  view() {
    return requestJson(PATH);
  }

  /** @returns {Promise<import("./map_mix.js").MappedVoice[]>} where the voices lie */
  map() {
    return requestJson(`${PATH}/map`);
  }

  /**
   * @param {string} recipe
   * @returns {Promise<ParsedRecipe>}
   */
  parse(recipe) {
    return requestJson(`${PATH}/read`, { json: { recipe } });
  }

  /**
   * @param {"keep" | "rename" | "duplicate" | "remove"} what
   * @param {object} [json]
   * @returns {Promise<BlendingView>} the state after the change
   */
  change(what, json = {}) {
    return requestJson(`${PATH}/${what}`, { json });
  }

  /**
   * @param {string} name
   * @param {File} file
   * @returns {Promise<BlendingView>}
   */
  importVoice(name, file) {
    const query = new URLSearchParams({ name, file: file.name });
    return requestJson(`${PATH}/import?${query}`, {
      body: file,
      headers: { "Content-Type": "application/octet-stream" },
    });
  }

  /**
   * Wrap work so that its error is shown in an element, which is empty otherwise.
   * @template {any[]} Given
   * @param {Element} output
   * @param {(...given: Given) => unknown} work
   * @returns {(...given: Given) => Promise<void>}
   */
  trying(output, work) {
    return async (...given) => {
      output.textContent = "";
      try {
        await work(...given);
      } catch (error) {
        problems.show(output, problems.of(error));
      }
    };
  }
}
