/** Adjustments of a voice: its speaker, speed, volume and the parameters of its engine, as labelled fields. */

import { createElement } from "./common.js";
import { INITIAL, pageState } from "./page_state.js";

/** @typedef {import("./speech_request.js").VoiceFacts} VoiceFacts */
/** @typedef {import("./speech_request.js").Slider} Slider */

/** @typedef {{ translate: import("./common.js").Translate, number: (value: number, digits?: number) => string }} Words */

/** @type {Slider[]} */
const COMMON = [
  { name: "speed", minimum: 0.5, maximum: 2, step: 0.05, value: INITIAL.speed },
  { name: "volume", minimum: 0, maximum: 2, step: 0.05, value: INITIAL.volume },
];

/**
 * Make the fields for a voice; what is set in them goes into the page's state.
 * @param {VoiceFacts} facts
 * @param {Words} words
 * @returns {HTMLElement[]}
 */
export function adjustmentFields(facts, words) {
  const { sliders } = pageState.values;
  const common = COMMON.map((slider) =>
    rangeField(slider, pageState.values[/** @type {"speed" | "volume"} */ (slider.name)], words, (value) =>
      pageState.patch({ [slider.name]: value }),
    ),
  );
  const own = facts.sliders.map((slider) =>
    rangeField(slider, sliders[slider.name] ?? slider.value, words, (value) =>
      pageState.patch({ sliders: { ...pageState.values.sliders, [slider.name]: value } }),
    ),
  );
  return [...(facts.speakers.length ? [speakerField(facts, words)] : []), ...common, ...own];
}

/**
 * @param {VoiceFacts} facts
 * @param {Words} words
 */
function speakerField({ speakers, speaker }, { translate }) {
  const select = createElement(
    "select",
    { id: "audition-speaker" },
    ...speakers.map((name) => new Option(name)),
  );
  select.value = pageState.values.speaker || speaker || "";
  select.addEventListener("input", () => pageState.patch({ speaker: select.value }));
  return createElement("label", { class: "field" }, createElement("span", {}, translate("speaker")), select);
}

/**
 * @param {Slider} slider
 * @param {number} value
 * @param {Words} words
 * @param {(value: number) => void} onInput
 */
function rangeField({ name, minimum, maximum, step, value: usual }, value, { translate, number }, onInput) {
  const digits = step < 0.01 ? 3 : 2;
  const output = createElement("output", { for: `audition-${name}` }, number(value, digits));
  const range = createElement("input", {
    type: "range",
    id: `audition-${name}`,
    min: minimum,
    max: maximum,
    step,
  });
  range.value = String(value);
  const change = () => {
    output.textContent = number(Number(range.value), digits);
    onInput(Number(range.value));
  };
  range.addEventListener("input", change);
  range.addEventListener("dblclick", () => {
    range.value = String(usual);
    change();
  });
  const label = createElement("label", { for: range.id }, translate(name));
  return createElement("div", { class: "field range-field" }, label, output, range);
}
