/**
 * Connection to the server: whether it answers, as the requests of all tabs find out. The voice directory, which asks
 * it again and again, notices when it is back.
 */

/** Emits "change" when the server is away, and when it is back. */
export class ServerConnection extends EventTarget {
  isAway = false;

  /** A request was answered. */
  answered() {
    this.#become(false);
  }

  /** A request did not reach the server, or a proxy answered in its place. */
  failed() {
    this.#become(true);
  }

  /** Resolves once the server answers: at once if it is not away. @returns {Promise<void>} */
  async whenBack() {
    if (this.isAway) await new Promise((back) => this.addEventListener("change", back, { once: true }));
  }

  /** @param {boolean} isAway */
  #become(isAway) {
    if (isAway === this.isAway) return;
    this.isAway = isAway;
    this.dispatchEvent(new Event("change"));
  }
}

export const serverConnection = new ServerConnection();
