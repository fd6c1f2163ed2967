/**
 * Follower: acts on what changes by itself, as the sound that plays, when there is something new to see. Asking for
 * each frame instead would have the browser compose 60 of them a second, most of them like the one before.
 */

export class Follower {
  #frame = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => number | null} act returns milliseconds until there is something new; null where nothing will be
   */
  constructor(act) {
    this.act = act;
  }

  /** Act now, and from then on when it is due, in a frame: not at all while nobody sees the page. */
  follow() {
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.#timer);
    const wait = this.act();
    if (wait === null) return;
    this.#timer = setTimeout(() => {
      this.#frame = requestAnimationFrame(() => this.follow());
    }, wait);
  }
}
