/** Audio contexts: where the page's sound goes, one for each sample rate, with an analyser of what sounds. */

/** @typedef {AudioContext & { tap: AnalyserNode }} TappedContext */

const MAX_CONTEXTS = 3; // phones allow few
const SUSPEND_AFTER = 30000; // milliseconds of silence until the audio device is released

/**
 * Audio contexts, one for each sample rate, so that no buffer is resampled and joins stay exact.
 *
 * One that runs costs power even where it is silent: only that of the last sound does, and not for long once that has
 * ended.
 */
export class AudioContexts {
  /** @type {Map<number, TappedContext>} */
  #made = new Map();
  /** Those that the browser has not let run yet. @type {Set<TappedContext>} */
  #locked = new Set();
  /** The only one that may run. @type {TappedContext | null} */
  #used = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #suspendTimer;

  get isEmpty() {
    return this.#made.size === 0;
  }

  /**
   * Have a context for a rate, which does not run before it is used.
   * @param {number} rate
   */
  prepare(rate) {
    if (!this.#made.has(rate)) this.#start(this.#make(rate));
  }

  /**
   * The context of a rate, running, in place of any other.
   * @param {number} rate
   */
  use(rate) {
    clearTimeout(this.#suspendTimer);
    const before = this.#used;
    const context = this.#made.get(rate) ?? this.#make(rate);
    this.#used = context;
    if (before !== null && before !== context) before.suspend();
    this.#start(context);
    return context;
  }

  /** Let those run that need a gesture for it: new ones, and one in use that a call has interrupted. */
  unlock() {
    for (const context of this.#locked) this.#start(context);
    if (this.#used !== null && this.#used.state !== "running") this.#start(this.#used);
  }

  /** Release the audio device once it was silent for a while. */
  suspendSoon() {
    clearTimeout(this.#suspendTimer);
    this.#suspendTimer = setTimeout(() => {
      this.#used?.suspend();
      this.#used = null;
    }, SUSPEND_AFTER);
  }

  /** @param {number} rate */
  #make(rate) {
    if (this.#made.size >= MAX_CONTEXTS) this.#closeOldest();
    const context = createTappedContext(rate);
    this.#made.set(rate, context);
    this.#locked.add(context);
    return context;
  }

  #closeOldest() {
    const oldest = [...this.#made].find(([, context]) => context !== this.#used);
    if (!oldest) return;
    const [rate, context] = oldest;
    this.#made.delete(rate);
    this.#locked.delete(context);
    context.close();
  }

  /**
   * Run a context, if only to have the browser's leave to do so later without a gesture.
   * @param {TappedContext} context
   */
  async #start(context) {
    await context.resume().catch(() => {}); // closed meanwhile
    this.#locked.delete(context);
    if (context !== this.#used && context.state === "running") context.suspend();
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
