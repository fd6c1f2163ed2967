/** What comes next for a blend that was just kept: it becomes the default voice, or its use is shown in Listen. */

import { find, setText } from "./common.js";
import { voiceDirectory } from "./voice_directory.js";
import { voiceNames } from "./voice_names.js";
import { DefaultButton, voiceUse } from "./voice_use.js";

export class KeptBlend {
  /** "" if none was kept since. */
  #name = "";

  /**
   * @param {{ element: HTMLElement, translate: import("./common.js").Translate, api: import("./blend_api.js").BlendApi }} context
   */
  constructor({ element, translate, api }) {
    this.translate = translate;
    this.parts = {
      kept: find(element, "#blend-kept", HTMLElement),
      next: find(element, "#blend-next", HTMLElement),
      makeDefault: find(element, "#blend-make-default", HTMLButtonElement),
      use: find(element, "#blend-use", HTMLButtonElement),
      problem: find(element, "#blend-keep-problem", HTMLElement),
    };
    const { kept, makeDefault, use, problem } = this.parts;
    this.defaultButton = new DefaultButton(makeDefault, translate, (text) => setText(kept, text));
    makeDefault.addEventListener(
      "click",
      api.trying(problem, () => this.defaultButton.make(this.#name, voiceNames.of(this.#name))),
    );
    use.addEventListener("click", () => voiceUse.show(this.#name));
    voiceDirectory.addEventListener("change", () => this.#showDefault());
  }

  /** @param {import("./blend_api.js").Draft} blend */
  show({ name, title }) {
    this.#name = name;
    setText(this.parts.kept, this.translate("kept_as", { name: title || name }));
    this.parts.next.hidden = false;
    this.#showDefault();
  }

  hide() {
    this.#name = "";
    setText(this.parts.kept, "");
    this.parts.next.hidden = true;
  }

  /** It may be renamed or deleted in the list below. @param {readonly import("./blend_api.js").SavedVoice[]} kept */
  follow(kept) {
    if (this.#name && !kept.some(({ draft }) => draft.name === this.#name)) this.hide();
  }

  #showDefault() {
    this.defaultButton.offer(!voiceDirectory.find(this.#name)?.is_default);
  }
}
