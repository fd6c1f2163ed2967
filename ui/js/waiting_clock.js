/** How long the same thing has been waited for. */

/** Seconds of waiting for a voice after which its model is probably being loaded. */
export const LOADING_AFTER = 5;

export class WaitingClock {
  /** @type {unknown} */
  #awaited = null;
  #since = 0;

  /**
   * Seconds since this was waited for first; another thing begins anew.
   * @param {object | null} awaited null while nothing is
   * @param {number} now in milliseconds
   */
  seconds(awaited, now) {
    if (awaited !== this.#awaited) [this.#awaited, this.#since] = [awaited, now];
    return awaited === null ? 0 : (now - this.#since) / 1000;
  }
}
