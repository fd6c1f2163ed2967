/**
 * Voice map: the Kokoro voices by how they sound, and a dot that is dragged between them; its place is the mix.
 *
 * The dot moves with a pointer, by a click, and by arrow keys; the mix is heard when it is let go.
 */

import { find } from "./common.js";
import { mixAt, pointOf } from "./map_mix.js";
import { genderOf, kokoroName } from "./voice_facts.js";

/** @typedef {import("./map_mix.js").MappedVoice} MappedVoice */
/** @typedef {import("./map_mix.js").Part} Part */
/** @typedef {import("./map_mix.js").Point} Point */

/**
 * @typedef {object} MapOptions
 * @property {import("./common.js").Translate} translate
 * @property {(parts: Part[]) => void} onMove the mix changed
 * @property {() => void} onRelease the dot was let go
 */

const SVG = "http://www.w3.org/2000/svg";
const SIZE = 100; // units from the middle of the map to its edge
const MARGIN = 12;
const STEP = 0.05; // of an arrow key
/** @type {Record<string, [dx: number, dy: number]>} */
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class VoiceMap {
  /** @type {readonly MappedVoice[]} */
  #voices = [];
  /** @type {Point} */
  #at = { x: 0, y: 0 };

  /**
   * @param {HTMLElement} element
   * @param {MapOptions} options
   */
  constructor(element, options) {
    this.options = options;
    this.svg = find(element, "svg", SVGSVGElement);
    const edge = SIZE + MARGIN;
    this.svg.setAttribute("viewBox", `${-edge} ${-edge} ${2 * edge} ${2 * edge}`);
    this.dot = shape("circle", { r: 4, class: "voice-map-dot" });
    this.svg.addEventListener("pointerdown", (event) => this.#drag(event));
    this.svg.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** @param {readonly MappedVoice[]} voices */
  show(voices) {
    this.#voices = voices;
    this.svg.replaceChildren(...voices.map(voiceMark), this.dot);
  }

  /**
   * Put the dot where a mix lies; a mix of others than these voices has no place.
   * @param {readonly Part[]} parts
   */
  place(parts) {
    const point = pointOf(this.#voices, parts);
    this.dot.setAttribute("visibility", point ? "visible" : "hidden");
    if (point) this.#put(point);
  }

  /** @param {Point} point */
  #put(point) {
    this.#at = point;
    this.dot.setAttribute("cx", String(point.x * SIZE));
    this.dot.setAttribute("cy", String(point.y * SIZE));
  }

  /** @param {Point} point */
  #move(point) {
    this.dot.setAttribute("visibility", "visible");
    this.#put({ x: clamped(point.x), y: clamped(point.y) });
    this.options.onMove(mixAt(this.#voices, this.#at));
  }

  /** @param {PointerEvent} event */
  #drag(event) {
    const { svg } = this;
    const letGo = new AbortController();
    const { signal } = letGo;
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", (moved) => this.#move(this.#pointAt(moved)), { signal });
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"]))
      svg.addEventListener(
        end,
        () => {
          letGo.abort();
          this.options.onRelease();
        },
        { signal },
      );
    this.#move(this.#pointAt(event));
  }

  /** @param {PointerEvent} event */
  #pointAt({ clientX, clientY }) {
    const toMap = this.svg.getScreenCTM()?.inverse();
    const { x, y } = new DOMPoint(clientX, clientY).matrixTransform(toMap);
    return { x: x / SIZE, y: y / SIZE };
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    this.#move({ x: this.#at.x + STEP * step[0], y: this.#at.y + STEP * step[1] });
    this.options.onRelease();
  }
}

/** @param {number} value */
const clamped = (value) => Math.min(1, Math.max(-1, value));

/** @param {MappedVoice} voice */
function voiceMark(voice) {
  const name = kokoroName(voice.name);
  const gender = genderOf({ ...voice, engine: "kokoro", gender: "" });
  const mark = shape("g", { class: `voice-map-voice voice-map-${gender}` });
  const title = shape("title", {});
  title.textContent = `${name}, ${voice.language.replace("_", "-")}`;
  const text = shape("text", { x: voice.x * SIZE + 3, y: voice.y * SIZE + 1.5 });
  text.textContent = name;
  mark.append(title, shape("circle", { cx: voice.x * SIZE, cy: voice.y * SIZE, r: 2 }), text);
  return mark;
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 */
function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}
