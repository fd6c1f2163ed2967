/** Elements of voices, each made once and again only when what it shows has changed: others keep focus, size and place. */

/** @typedef {import("./voice_facts.js").Voice} Voice */

export class VoiceElements {
  /** By the voice's name. @type {Map<string, { shown: string, element: HTMLElement }>} */
  #made = new Map();

  /**
   * @param {(voice: Voice) => HTMLElement} make
   * @param {(voice: Voice) => unknown[]} extras what an element shows besides the voice's facts
   */
  constructor(make, extras) {
    this.make = make;
    this.extras = extras;
  }

  /** @param {Voice} voice */
  of(voice) {
    const shown = JSON.stringify([voice, ...this.extras(voice)]);
    const known = this.#made.get(voice.name);
    if (known?.shown === shown) return known.element;
    const element = this.make(voice);
    this.#made.set(voice.name, { shown, element });
    return element;
  }

  /**
   * The element of a voice, if it was made.
   * @param {string} name
   */
  get(name) {
    return this.#made.get(name)?.element;
  }

  /** @returns {Iterable<[string, HTMLElement]>} the voices' names with their elements */
  *entries() {
    for (const [name, { element }] of this.#made) yield [name, element];
  }
}
