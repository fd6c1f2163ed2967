/** History: the latest utterances that were heard, with their audio and settings, to be heard or saved again. */

import { player } from "./player.js";
import { isSameRequest } from "./speech_request.js";

/** @typedef {import("./pcm.js").Clip} Clip */
/** @typedef {import("./speech_request.js").SpeechRequest} SpeechRequest */

/** @typedef {{ body: SpeechRequest, clip: Clip, at: Date }} Heard */

export const MAX_HEARD = 20;
const MAX_SECONDS = 600; // of audio kept in memory: 60 MB of 16-bit samples at 48 kHz

/** The latest utterances, the newest first; emits "change". */
export class History extends EventTarget {
  /** @type {Heard[]} */
  heard = [];

  /**
   * Add an utterance; the same one again only moves to the front.
   * @param {SpeechRequest} body
   * @param {Clip} clip
   */
  add(body, clip) {
    if (this.heard[0]?.clip === clip) return;
    const others = this.heard.filter((each) => each.clip !== clip && !isSameRequest(each.body, body));
    this.heard = withinLimits([{ body, clip, at: new Date() }, ...others]);
    this.dispatchEvent(new Event("change"));
  }

  /**
   * What answered the same request before.
   * @param {SpeechRequest} body
   */
  find(body) {
    return this.heard.find((each) => isSameRequest(each.body, body));
  }
}

/** @param {Heard[]} heard */
function withinLimits(heard) {
  let seconds = 0;
  return heard.slice(0, MAX_HEARD).filter(({ clip }, i) => {
    seconds += clip.seconds;
    return i === 0 || seconds <= MAX_SECONDS;
  });
}

export const history = new History();

player.addEventListener("change", () => {
  const { clip, body, label } = player;
  if (body && !label && clip?.isReplayable) history.add(body, clip);
});
