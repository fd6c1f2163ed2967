/**
 * In Home Assistant: its speakers say the sentence with the chosen voice, and its assistants take the voice, which can
 * be undone. The server acts there as the add-on; anywhere else it tells why it cannot.
 */

import { button, createElement, find, RequestError, requestJson, setText } from "./common.js";
import { problems } from "./problems.js";

/** @typedef {import("./common.js").Translate} Translate */

/**
 * A media player of Home Assistant.
 * @typedef {{ id: string, name: string, area: string, is_available: boolean }} Player
 */

/**
 * A voice assistant of Home Assistant.
 * @typedef {object} Assistant
 * @property {string} id
 * @property {string} name
 * @property {string} language as `en` or `en-GB`
 * @property {string} engine entity that speaks, or ""
 * @property {string} voice or ""
 * @property {boolean} is_ours whether this server speaks for it
 * @property {string | null} before the voice that undoing brings back, "" for none; null if there is nothing to undo
 * @property {boolean} was_changed whether somebody else has changed it since it took a voice from here
 */

/**
 * What can be used in Home Assistant, or the code and the words of why nothing can.
 * @typedef {{ problem: string | null, message: string, players: Player[], assistants: Assistant[] }} House
 */

/**
 * What the tab chose.
 * @typedef {{ voice: string, speaker: string, text: string }} Chosen
 */

/**
 * What the panel needs of its tab.
 * @typedef {object} Context
 * @property {Translate} translate
 * @property {string} path of the server's routes
 * @property {() => Chosen} chosen
 * @property {(name: string) => string} nameOf a voice, for people
 * @property {import("./voice_facts.js").LanguageName} languageName
 */

const NOT_AN_ADDON = "home_assistant_not_an_addon";
/** What is told of a speaker that took the text, by the state that the server tells. @type {Record<string, string>} */
const AFTER_PLAY = { playing: "home_playing", taken: "home_taken", gone: "home_gone" };
const REFUSED = "home_assistant_refused";

export class HomeAssistantPanel {
  /**
   * @param {HTMLElement} element
   * @param {Context} context
   */
  constructor(element, context) {
    this.element = element;
    this.context = context;
    this.isLooking = false;
  }

  /** Look what there is in Home Assistant. */
  async look() {
    if (this.isLooking) return;
    this.isLooking = true;
    const { path, translate } = this.context;
    this.element.replaceChildren(createElement("p", { role: "status" }, translate("home_looking")));
    try {
      this.#show(await requestJson(path));
    } catch (error) {
      this.#showProblem(problems.of(error));
    }
    this.isLooking = false;
  }

  /** @param {House} house */
  #show({ problem, message, players, assistants }) {
    if (problem) {
      const said = problem === REFUSED ? message : ""; // the others say no more than the text of their code
      const told = problems.of(new RequestError(said, 409, { code: problem }));
      return this.#showProblem(told, problem !== NOT_AN_ADDON);
    }
    const { translate } = this.context;
    const [speakers, none] = [translate("home_players"), translate("home_no_players")];
    this.element.replaceChildren(
      list(speakers, none, sorted(players).map(this.#player, this)),
      list(
        translate("home_assistants"),
        translate("home_no_assistants"),
        assistants.map(this.#assistant, this),
      ),
      this.#lookAgain(),
    );
  }

  /**
   * @param {import("./problems.js").Problem} problem
   * @param {boolean} [canChange] whether another look may find it solved
   */
  #showProblem(problem, canChange = true) {
    const told = createElement("p", { role: "status" });
    problems.show(told, problem);
    this.element.replaceChildren(told, ...(canChange ? [this.#lookAgain()] : []));
  }

  #lookAgain() {
    return button(this.context.translate("home_look_again"), () => this.look());
  }

  /** @param {Player} player */
  #player({ id, name, area, is_available }) {
    const { translate, chosen } = this.context;
    const state = createElement("p", { role: "status" });
    if (!is_available) setText(state, translate("home_away"));
    const play = button(`▶ ${translate("home_play")}`, () => {
      const { text, voice, speaker } = chosen();
      if (!text.trim()) return setText(state, translate("nothing"));
      return attempt(play, state, translate("home_sending"), async () => {
        const said = { player: id, text, voice, speaker };
        const told = await requestJson(`${this.context.path}/speak`, { json: said });
        setText(state, translate(AFTER_PLAY[told.state]));
      });
    });
    play.disabled = !is_available;
    play.setAttribute("aria-label", translate("home_play_on", { name }));
    return row({ "data-player": id }, name, area, [play], state);
  }

  /** @param {Assistant} assistant */
  #assistant({ id, name, language, engine, voice, is_ours, before, was_changed }) {
    const { translate, chosen, nameOf, languageName, path } = this.context;
    const state = createElement("p", { role: "status" });
    if (was_changed) setText(state, translate("home_was_changed"));
    /** @param {HTMLButtonElement} pressed @param {string} what @param {object} json */
    const change = (pressed, what, json) =>
      attempt(pressed, state, translate("home_sending"), async () => {
        this.#show(await requestJson(`${path}/${what}`, { json: { assistant: id, ...json } }));
        const changed = find(this.element, `[data-assistant="${CSS.escape(id)}"]`, HTMLElement);
        find(changed, "button", HTMLButtonElement).focus();
        setText(find(changed, "p", HTMLElement), translate("home_used"));
      });
    const use = button(translate("home_use"), () => {
      const { voice: wanted, speaker } = chosen();
      return change(use, "use", { voice: wanted, speaker });
    });
    use.setAttribute("aria-label", translate("home_use_in", { name }));
    const undo = button(translate("home_undo", { voice: before || translate("home_silent") }), () =>
      change(undo, "undo", {}),
    );
    const present = is_ours && voice ? nameOf(voice) : [engine, voice].filter(Boolean).join(" · ");
    const facts = [languageName(language), present || translate("home_silent")].join(": ");
    return row({ "data-assistant": id }, name, facts, before === null ? [use] : [use, undo], state);
  }
}

/** Speakers by area and name; those without an area last. @param {Player[]} players */
function sorted(players) {
  /** @param {Player} player */
  const key = ({ area, name }) => [area ? 0 : 1, area, name].join("\0");
  return [...players].sort((one, other) => key(one).localeCompare(key(other)));
}

/**
 * @param {string} title
 * @param {string} none what is said of an empty list
 * @param {HTMLElement[]} rows
 */
function list(title, none, rows) {
  const content = rows.length
    ? createElement("ul", {}, ...rows)
    : createElement("p", { class: "quiet" }, none);
  return createElement("section", {}, createElement("h3", {}, title), content);
}

/**
 * @param {Record<string, string>} attributes
 * @param {string} name
 * @param {string} facts
 * @param {HTMLButtonElement[]} actions
 * @param {HTMLElement} state
 */
function row(attributes, name, facts, actions, state) {
  const more = facts ? createElement("span", { class: "quiet" }, facts) : null;
  const said = createElement("div", {}, createElement("b", {}, name), more);
  return createElement("li", attributes, said, createElement("div", { class: "actions" }, ...actions), state);
}

/**
 * Do what a button is for; it waits meanwhile, and what fails is told.
 * @param {HTMLButtonElement} pressed
 * @param {HTMLElement} state
 * @param {string} waiting
 * @param {() => Promise<void>} work
 */
async function attempt(pressed, state, waiting, work) {
  state.classList.remove("problem");
  setText(state, waiting);
  pressed.disabled = true;
  try {
    await work();
  } catch (error) {
    state.classList.add("problem");
    problems.show(state, problems.of(error));
  }
  pressed.disabled = false;
}
