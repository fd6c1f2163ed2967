/** Audio contexts: where the page's sound goes, one for each sample rate, with an analyser of what sounds. */

/** @typedef {AudioContext & { tap: AnalyserNode }} TappedContext */

const MAX_CONTEXTS = 3; // phones allow few
const SUSPEND_AFTER = 30000; // milliseconds of silence until the audio device is released

/** Audio contexts, one for each sample rate, so that no buffer is resampled and joins stay exact. */
export class AudioContexts {
  /** @type {Map<number, TappedContext>} */
  #made = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #suspendTimer;

  get isEmpty() {
    return this.#made.size === 0;
  }

  /**
   * @param {number} rate
   * @param {TappedContext | null} [inUse] stays open, whatever else has to be closed
   */
  of(rate, inUse = null) {
    let context = this.#made.get(rate);
    if (!context) {
      this.#closeOldest(inUse);
      context = createTappedContext(rate);
      this.#made.set(rate, context);
    }
    if (context.state !== "running") context.resume(); // suspended, or interrupted by a call
    return context;
  }

  /** @param {TappedContext | null} inUse */
  #closeOldest(inUse) {
    if (this.#made.size < MAX_CONTEXTS) return;
    const oldest = [...this.#made].find(([, context]) => context !== inUse);
    if (!oldest) return;
    this.#made.delete(oldest[0]);
    oldest[1].close();
  }

  resume() {
    for (const context of this.#made.values()) if (context.state !== "running") context.resume();
  }

  suspendSoon() {
    clearTimeout(this.#suspendTimer);
    this.#suspendTimer = setTimeout(() => {
      for (const context of this.#made.values()) context.suspend();
    }, SUSPEND_AFTER);
  }

  keepRunning() {
    clearTimeout(this.#suspendTimer);
  }
}

/** @returns {typeof AudioContext | undefined} */
export function contextType() {
  return window.AudioContext || /** @type {any} */ (window).webkitAudioContext;
}

/**
 * @param {number} rate
 * @returns {TappedContext}
 */
function createTappedContext(rate) {
  const context = createContext(rate);
  const tap = context.createAnalyser();
  tap.fftSize = 1024;
  tap.smoothingTimeConstant = 0.6;
  tap.connect(context.destination);
  return Object.assign(context, { tap });
}

/** @param {number} rate */
function createContext(rate) {
  const Context = contextType() ?? AudioContext;
  try {
    return new Context({ sampleRate: rate, latencyHint: "playback" }); // wakes the processor half as often
  } catch {
    return new Context(); // a rate that it cannot do: it resamples
  }
}
