/** Recordings of stream tests, which the server keeps for a while, heard through the player of all tabs. */

import { button, RequestError, request } from "./common.js";
import { Clip } from "./pcm.js";
import { player } from "./player.js";
import { problems } from "./problems.js";
import { pathOf } from "./stream_run.js";

/** @typedef {ReturnType<typeof import("./common.js").localize>} Words */

const GONE = 404;
const MAX_BUTTONS = 8;

/** Makes the buttons that play recordings. */
export class RecordingPlayer {
  /** Buttons by what they play, so that one that is drawn again keeps what it says. @type {Map<string, HTMLElement>} */
  #buttons = new Map();

  /** @param {Words} words */
  constructor({ translate }) {
    this.translate = translate;
  }

  /**
   * The button that plays what a client heard.
   * @param {string} run
   * @param {number} client
   * @param {string} start of its text
   */
  button(run, client, start) {
    const path = pathOf(run, `${client}.wav`);
    const text = start + this.translate("hear", { client });
    const known = this.#buttons.get(path + text);
    if (known) return known;
    const label = `${start}${this.translate("client")} ${client}`;
    const made = button(text, () => this.#play(path, label, made));
    if (this.#buttons.size >= MAX_BUTTONS) this.#buttons.clear();
    this.#buttons.set(path + text, made);
    return made;
  }

  /**
   * @param {string} path
   * @param {string} label what the player says it is
   * @param {HTMLButtonElement} from
   */
  async #play(path, label, from) {
    try {
      const answer = await request(path);
      const playing = player.replay(clipOf(await answer.arrayBuffer()), 0, null);
      player.label = label;
      player.dispatchEvent(new Event("change"));
      await playing;
    } catch (error) {
      const isGone = error instanceof RequestError && error.status === GONE;
      from.disabled = isGone;
      from.textContent = isGone ? this.translate("gone") : problems.of(error).text;
    }
  }
}

/**
 * The first channel of a WAV file of 16-bit samples, as the server writes them.
 * @param {ArrayBuffer} wav
 */
export function clipOf(wav) {
  const view = new DataView(wav);
  const channels = view.getUint16(22, true);
  const clip = new Clip(view.getUint32(24, true));
  const frames = Math.floor((wav.byteLength - 44) / 2 / channels);
  clip.add(Int16Array.from({ length: frames }, (_, frame) => view.getInt16(44 + frame * channels * 2, true)));
  clip.isComplete = true;
  return clip;
}
