/**
 * Voice map: the Kokoro voices by how they sound, and a dot that is dragged between them; its place is the mix.
 *
 * The dot moves with a pointer, by a click, and by arrow keys; the mix is heard when it is let go. The map fills its
 * element, so it is laid out anew when that changes its size.
 */

import { shownTag } from "./blend_api.js";
import { find, setText } from "./common.js";
import { placeLabels } from "./label_layout.js";
import { mixAt, pointOf } from "./map_mix.js";
import { genderOf } from "./voice_facts.js";
import { voiceNames } from "./voice_names.js";

/** @typedef {import("./label_layout.js").Box} Box */
/** @typedef {import("./label_layout.js").Size} Size */
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
const VOICE_RADIUS = 5; // pixels, as all sizes here
const DOT_RADIUS = 10;
const MARGIN = { x: 60, y: 26 }; // for the labels of the outermost voices
const LABEL_HEIGHT = 15;
const LABEL_SPACE = 2;
const TREMBLE = 10; // of a finger that only taps
const STEP = 0.05; // of an arrow key, in half the map
/** @type {Record<string, [dx: number, dy: number]>} */
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The elements of a voice.
 * @typedef {{ voice: MappedVoice, group: SVGElement, circle: SVGElement, leader: SVGElement, text: SVGTextElement }} Mark
 */

export class VoiceMap {
  /** @type {readonly MappedVoice[]} */
  #voices = [];
  /** @type {Mark[]} */
  #marks = [];
  /** Of the dot. @type {Point | null} */
  #at = null;
  /** @type {readonly Part[]} */
  #parts = [];
  #scale = new Scale([], { width: 1, height: 1 });

  /**
   * @param {HTMLElement} element
   * @param {MapOptions} options
   */
  constructor(element, options) {
    this.options = options;
    this.svg = find(element, "svg", SVGSVGElement);
    this.told = find(element, ".voice-map-mix", HTMLElement);
    this.dot = shape("circle", { r: DOT_RADIUS, class: "voice-map-dot" });
    this.shares = shape("g", { class: "voice-map-shares" });
    this.svg.addEventListener("pointerdown", (event) => this.#drag(event));
    this.svg.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#layOut()).observe(this.svg);
  }

  /** @param {readonly MappedVoice[]} voices */
  show(voices) {
    this.#voices = voices;
    this.#marks = voices.map((voice) => voiceMark(voice, labelOf(voice, voices)));
    this.svg.replaceChildren(this.shares, ...this.#marks.map(({ group }) => group), this.dot);
    this.#layOut();
  }

  /**
   * Put the dot where a mix lies; a mix of others than these voices has no place.
   * @param {readonly Part[]} parts
   */
  place(parts) {
    this.#at = pointOf(this.#voices, parts);
    this.#parts = this.#at ? parts : [];
    this.#showMix();
  }

  // ---- What is shown

  #layOut() {
    const { clientWidth: width, clientHeight: height } = this.svg;
    if (!width || !this.#voices.length) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#scale = new Scale(this.#voices, { width, height });
    const points = this.#marks.map(({ voice, text }) => ({
      ...this.#scale.pixels(voice),
      width: Math.ceil(text.getComputedTextLength()) + LABEL_SPACE,
      height: LABEL_HEIGHT,
    }));
    const boxes = placeLabels(points, { width, height }, VOICE_RADIUS + LABEL_SPACE);
    for (const [i, mark] of this.#marks.entries()) setMark(mark, points[i], boxes[i], width);
    this.#showMix();
  }

  /** The dot, lines from it to the voices of the mix, and the mix in words. */
  #showMix() {
    const at = this.#at && this.#scale.pixels(this.#at);
    setAttributes(this.dot, { visibility: at ? "visible" : "hidden", cx: at?.x ?? 0, cy: at?.y ?? 0 });
    const whole = this.#parts.reduce((sum, { weight }) => sum + weight, 0);
    const shareOf = new Map(this.#parts.map(({ voice, weight }) => [voice, weight / whole]));
    const mixed = this.#marks.filter(({ voice }) => shareOf.has(voice.name));
    for (const mark of this.#marks) mark.group.classList.toggle("voice-map-mixed", mixed.includes(mark));
    this.shares.replaceChildren(
      ...mixed.map(({ voice }) => this.#shareLine(voice, shareOf.get(voice.name) ?? 0)),
    );
    setText(this.told, this.#parts.length ? voiceNames.mix(this.#parts) : "");
  }

  /**
   * @param {MappedVoice} voice
   * @param {number} share
   */
  #shareLine(voice, share) {
    const [from, to] = [this.#scale.pixels(this.#at ?? voice), this.#scale.pixels(voice)];
    return shape("line", { x1: from.x, y1: from.y, x2: to.x, y2: to.y, "stroke-width": 1 + 5 * share });
  }

  // ---- Moving the dot

  /** @param {Point} pixels */
  #move(pixels) {
    this.#at = this.#scale.place(pixels);
    this.#parts = mixAt(this.#voices, this.#at);
    this.#showMix();
    this.options.onMove([...this.#parts]);
  }

  /**
   * A finger beside the dot may be about to scroll the page, which cancels its pointer: the dot goes there once the
   * finger moves sideways or is lifted.
   * @param {PointerEvent} event
   */
  #drag(event) {
    const { svg } = this;
    if (event.button !== 0) return;
    const letGo = new AbortController();
    const { signal } = letGo;
    let hasMoved = false;
    const mayScroll = event.pointerType === "touch" && event.target !== this.dot;
    const follow = (/** @type {PointerEvent} */ moved) => {
      hasMoved = true;
      this.#move(this.#pointAt(moved));
    };
    const release = () => {
      letGo.abort();
      if (hasMoved) this.options.onRelease();
    };
    const onmove = (/** @type {PointerEvent} */ moved) => {
      if (hasMoved || !mayScroll || isSideways(event, moved)) follow(moved);
    };
    svg.setPointerCapture(event.pointerId);
    svg.addEventListener("pointermove", onmove, { signal });
    svg.addEventListener("pointercancel", release, { signal });
    svg.addEventListener(
      "pointerup",
      (lifted) => {
        if (!hasMoved) follow(lifted);
        release();
      },
      { signal },
    );
    if (!mayScroll) follow(event);
  }

  /** @param {PointerEvent} event */
  #pointAt({ clientX, clientY }) {
    const { left, top } = this.svg.getBoundingClientRect();
    return { x: clientX - left - this.svg.clientLeft, y: clientY - top - this.svg.clientTop };
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const { width, height } = this.#scale.size;
    const { x, y } = this.#at ? this.#scale.pixels(this.#at) : { x: width / 2, y: height / 2 };
    this.#move({ x: x + (STEP * step[0] * width) / 2, y: y + (STEP * step[1] * height) / 2 });
    this.options.onRelease();
  }
}

/**
 * Whether a finger moves the dot rather than the page, or trembles.
 * @param {PointerEvent} from
 * @param {PointerEvent} to
 */
const isSideways = (from, to) =>
  Math.abs(to.clientX - from.clientX) > Math.max(TREMBLE, Math.abs(to.clientY - from.clientY));

/** From the places of voices to pixels of the map, so that the outermost voices lie near its edges. */
class Scale {
  /**
   * @param {readonly Point[]} points
   * @param {Size} size in pixels
   */
  constructor(points, size) {
    this.size = size;
    this.x = axis(
      points.map(({ x }) => x),
      size.width,
      MARGIN.x,
    );
    this.y = axis(
      points.map(({ y }) => y),
      size.height,
      MARGIN.y,
    );
  }

  /** @param {Point} place @returns {Point} */
  pixels({ x, y }) {
    return { x: this.x.offset + x * this.x.scale, y: this.y.offset + y * this.y.scale };
  }

  /** The place at a pixel, or at the one nearest to it where the dot is wholly seen. @param {Point} pixels @returns {Point} */
  place({ x, y }) {
    const [right, bottom] = [this.size.width - DOT_RADIUS, this.size.height - DOT_RADIUS];
    return {
      x: (clamped(x, DOT_RADIUS, right) - this.x.offset) / this.x.scale,
      y: (clamped(y, DOT_RADIUS, bottom) - this.y.offset) / this.y.scale,
    };
  }
}

/**
 * @param {number[]} values
 * @param {number} length in pixels
 * @param {number} margin
 */
function axis(values, length, margin) {
  const [least, most] = values.length ? [Math.min(...values), Math.max(...values)] : [-1, 1];
  const scale = Math.max(1, length - 2 * margin) / (most - least || 1);
  return { scale, offset: length / 2 - ((least + most) / 2) * scale };
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
const clamped = (value, least, most) => Math.min(most, Math.max(least, value));

/** @param {MappedVoice} voice */
const codeOf = ({ language }) => language.split("_")[0];

/**
 * Some names are in several languages.
 * @param {MappedVoice} voice
 * @param {readonly MappedVoice[]} voices
 */
export function labelOf(voice, voices) {
  const name = voiceNames.of(voice.name);
  const namesakes = voices.filter((other) => other !== voice && voiceNames.of(other.name) === name);
  if (!namesakes.length) return name;
  const language = codeOf(voice);
  const isTold = namesakes.every((other) => codeOf(other) !== language);
  return `${name} (${isTold ? language : shownTag(voice.language)})`;
}

/**
 * @param {MappedVoice} voice
 * @param {string} label
 * @returns {Mark}
 */
function voiceMark(voice, label) {
  const gender = genderOf({ ...voice, engine: "kokoro", gender: "", is_blend: false });
  const group = shape("g", { class: `voice-map-voice voice-map-${gender}` });
  const title = shape("title", {});
  title.textContent = voiceNames.full(voice.name);
  const circle = shape("circle", { r: VOICE_RADIUS });
  const leader = shape("line", { class: "voice-map-leader" });
  const text = shape("text", {});
  text.textContent = label;
  group.append(title, leader, circle, text);
  return { voice, group, circle, leader, text };
}

/**
 * Put a voice and its label in their places; a label without a place is shown only where it is asked for.
 * @param {Mark} mark
 * @param {Point & Size} point
 * @param {Box | null} box
 * @param {number} mapWidth
 */
function setMark({ group, circle, leader, text }, { x, y, width }, box, mapWidth) {
  const isRight = x + VOICE_RADIUS + width < mapWidth;
  const beside = isRight ? x + VOICE_RADIUS + LABEL_SPACE : x - VOICE_RADIUS - width;
  const [left, middle] = box ? [box.left + LABEL_SPACE / 2, (box.top + box.bottom) / 2] : [beside, y];
  group.classList.toggle("voice-map-unlabelled", box === null);
  setAttributes(circle, { cx: x, cy: y });
  setAttributes(text, { x: left, y: middle });
  const near = box
    ? { x2: clamped(x, box.left, box.right), y2: clamped(y, box.top, box.bottom) }
    : { x2: x, y2: y };
  setAttributes(leader, { x1: x, y1: y, ...near });
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number>} attributes
 */
function shape(tag, attributes) {
  return setAttributes(document.createElementNS(SVG, tag), attributes);
}

/**
 * @template {Element} Found
 * @param {Found} element
 * @param {Record<string, string | number>} attributes
 */
function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
