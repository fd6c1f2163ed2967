/** What any tab does with a voice: it becomes the default, or the tab Listen shows all that can be done with it. */

import { voiceDirectory } from "./voice_directory.js";

/** A button that makes a voice the default. The server loads the voice first: until it has, the button is busy. */
export class DefaultButton {
  #isBusy = false;
  #isOffered = true;

  /**
   * @param {HTMLButtonElement} button
   * @param {import("./common.js").Translate} translate
   * @param {(text: string, madeDefault?: string) => void} tell how it stands; `madeDefault` is the voice that the text
   *   says to be the default
   */
  constructor(button, translate, tell) {
    this.button = button;
    this.translate = translate;
    this.tell = tell;
  }

  /** @param {HTMLButtonElement} button that takes its place, as where a list is drawn anew */
  drawnAs(button) {
    this.button = button;
    this.#draw();
  }

  /** @param {boolean} isOffered whether there is a voice that it can make the default */
  offer(isOffered) {
    this.#isOffered = isOffered;
    this.#draw();
  }

  /**
   * Make a voice the default, and tell how long it is.
   * @param {string} voice
   * @param {string} shown its name for people
   * @throws {import("./common.js").RequestError} the server refused it or is away
   */
  async make(voice, shown) {
    if (this.#isBusy) return;
    this.#setBusy(true);
    this.tell(this.translate("making_default", { name: shown }));
    try {
      const { lasts, place, line } = await voiceDirectory.makeDefault(voice);
      const told = { name: shown, place, line };
      this.tell(this.translate(lasts ? "used" : "used_for_now", told), voice);
    } catch (error) {
      this.tell("");
      throw error;
    } finally {
      this.#setBusy(false);
    }
  }

  /** @param {boolean} isBusy */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.#draw();
  }

  #draw() {
    this.button.disabled = this.#isBusy || !this.#isOffered;
    this.button.setAttribute("aria-busy", String(this.#isBusy));
  }
}

/** Emits "wanted" when the use of a voice, whose name is in `detail`, is to be shown. */
class VoiceUse extends EventTarget {
  /** @param {string} voice */
  show(voice) {
    this.dispatchEvent(new CustomEvent("wanted", { detail: voice }));
  }
}

export const voiceUse = new VoiceUse();
