/**
 * "Use this voice": the chosen voice becomes the default, is linked to, or is used in Home Assistant, whose steps are
 * told.
 */

import { find, partFinder, setText } from "./common.js";
import { linkTo, pageState } from "./page_state.js";
import { voiceDirectory } from "./voice_directory.js";
import { isRobot } from "./voice_facts.js";
import { DefaultButton } from "./voice_use.js";

/**
 * @typedef {object} UseOptions
 * @property {import("./common.js").Translate} translate
 * @property {(name: string) => string} nameOf a voice, for people
 * @property {import("./voice_facts.js").LanguageName} languageName
 * @property {(work: () => Promise<unknown>) => Promise<void>} attempt runs work, and shows its error
 * @property {string} homePath of the server's routes to Home Assistant
 */

export class UseVoice {
  /** Once it was opened. @type {import("./home_assistant.js").HomeAssistantPanel | undefined} */
  #home;
  /** The voice of which it is told how long it is the default; "" while nothing or something else is told. */
  #toldDefault = "";

  /**
   * @param {HTMLElement} element
   * @param {UseOptions} options
   */
  constructor(element, options) {
    this.options = options;
    const parts = partsOf(element);
    this.parts = parts;
    this.defaultButton = new DefaultButton(parts.makeDefault, options.translate, (...told) =>
      this.#tell(...told),
    );
    parts.makeDefault.addEventListener("click", () => this.#makeDefault());
    parts.link.addEventListener("click", () => this.#copyLink());
    parts.home.addEventListener("toggle", () => parts.home.open && this.#lookIntoHome());
  }

  /** Show what is to be done with the chosen voice. */
  show() {
    const { makeDefault, title, steps } = this.parts;
    const { languageName, nameOf, translate } = this.options;
    const { voice } = pageState.values;
    const known = voiceDirectory.find(voice);
    const isDefault = known !== undefined && voiceDirectory.isSettledDefault(known);
    this.defaultButton.offer(known !== undefined && !isDefault);
    setText(makeDefault, translate(isDefault ? "is_default" : "make_default"));
    if (this.#toldDefault && !voiceDirectory.find(this.#toldDefault)?.is_default) this.#tell("");
    if (!known) return;
    const listed = known.description || voice; // as Home Assistant lists it
    setText(title, translate(isRobot(known) ? "use_robot" : "use", { name: nameOf(voice) }));
    setText(steps, translate("use_steps", { language: languageName(known.language), listed }));
  }

  /** Bring it into view, from a card far below. */
  reveal() {
    const { link, makeDefault, section } = this.parts;
    section.scrollIntoView({ block: "center" });
    (makeDefault.disabled ? link : makeDefault).focus({ preventScroll: true });
  }

  /** Bring it into view with the steps in Home Assistant unfolded. */
  revealHome() {
    this.parts.home.open = true;
    this.reveal();
  }

  async #lookIntoHome() {
    const { HomeAssistantPanel } = await import("./home_assistant.js"); // few open it
    const { homePath: path, languageName, nameOf, translate } = this.options;
    const chosen = () => pageState.values;
    this.#home ??= new HomeAssistantPanel(find(this.parts.home, "div", HTMLElement), {
      translate,
      path,
      chosen,
      nameOf,
      languageName,
    });
    await this.#home.look();
  }

  async #makeDefault() {
    const { attempt, nameOf } = this.options;
    const { voice } = pageState.values;
    await attempt(() => this.defaultButton.make(voice, nameOf(voice)));
  }

  /**
   * @param {string} text
   * @param {string} [madeDefault] the voice that it says to be the default: it is told while that is true
   */
  #tell(text, madeDefault = "") {
    this.#toldDefault = madeDefault;
    setText(this.parts.used, text);
  }

  async #copyLink() {
    const link = new URL(linkTo(pageState.values), document.baseURI).href;
    // On plain http pages of a home network there is no clipboard.
    await navigator.clipboard?.writeText(link).catch(() => {});
    this.#tell(navigator.clipboard ? this.options.translate("copied") : link);
  }
}

/**
 * The section's markup, which `ui/audition.py` brings.
 * @param {HTMLElement} element
 */
function partsOf(element) {
  const part = partFinder(element, "audition");
  return {
    home: part("home", HTMLDetailsElement),
    link: part("link", HTMLButtonElement),
    makeDefault: part("make-default", HTMLButtonElement),
    section: part("use", HTMLElement),
    steps: part("use-steps", HTMLElement),
    title: part("use-title", HTMLElement),
    used: part("used", HTMLElement),
  };
}
