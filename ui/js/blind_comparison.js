/**
 * Blind comparison: pairs of voices whose names are hidden, which of two was better, and who wins.
 *
 * Each pair is compared once, in random order and on random sides, up to a limit that a listener bears; with more
 * pairs than that each voice is compared about equally often.
 */

export const MAX_COMPARISONS = 15; // all pairs of six voices

/** @typedef {"a" | "b" | "equal"} Verdict */

/** @typedef {{ a: string, b: string }} Pair */

/**
 * What was counted of a voice; an equal verdict is half a win for both.
 * @typedef {{ voice: string, wins: number, compared: number }} Score
 */

export class BlindComparison {
  /** @type {Pair[]} */
  #pairs;
  /** @type {Verdict[]} */
  #verdicts = [];

  /**
   * @param {readonly string[]} voices at least two
   * @param {() => number} [random] from 0 to 1
   */
  constructor(voices, random = Math.random) {
    this.voices = voices;
    this.#pairs = choosePairs(voices, random).map(([one, other]) =>
      random() < 0.5 ? { a: one, b: other } : { a: other, b: one },
    );
  }

  get count() {
    return this.#pairs.length;
  }

  /** How many were judged. */
  get done() {
    return this.#verdicts.length;
  }

  /** The pair to judge now; null once all are. @returns {Pair | null} */
  get pair() {
    return this.#pairs[this.done] ?? null;
  }

  /** @param {Verdict} verdict on the current pair */
  judge(verdict) {
    if (this.pair) this.#verdicts.push(verdict);
  }

  /** Leave out the pairs that were not judged yet. */
  end() {
    this.#pairs.length = this.done;
  }

  /** Take back the last verdict. */
  undo() {
    this.#verdicts.pop();
  }

  /** The scores, the best first. @returns {Score[]} */
  get scores() {
    const scores = new Map(this.voices.map((voice) => [voice, { voice, wins: 0, compared: 0 }]));
    for (const [i, verdict] of this.#verdicts.entries()) {
      const { a, b } = this.#pairs[i];
      for (const [voice, side] of /** @type {const} */ ([
        [a, "a"],
        [b, "b"],
      ])) {
        const score = /** @type {Score} */ (scores.get(voice));
        score.compared += 1;
        score.wins += verdict === side ? 1 : verdict === "equal" ? 0.5 : 0;
      }
    }
    return [...scores.values()].sort((one, other) => shareOf(other) - shareOf(one));
  }

  /** The voices with the best score: several if they are equal. */
  get winners() {
    const [best, ...others] = this.scores;
    return [best, ...others.filter((score) => shareOf(score) === shareOf(best))].map(({ voice }) => voice);
  }
}

/** @param {Score} score */
const shareOf = ({ wins, compared }) => (compared ? wins / compared : 0);

/**
 * Choose pairs so that the voices compared least often come first.
 * @param {readonly string[]} voices
 * @param {() => number} random
 * @returns {[string, string][]}
 */
function choosePairs(voices, random) {
  /** @type {[string, string][]} */
  const open = voices.flatMap((one, i) =>
    voices.slice(i + 1).map((other) => /** @type {[string, string]} */ ([one, other])),
  );
  /** @type {Map<string, number>} */
  const times = new Map(voices.map((voice) => [voice, 0]));
  /** @type {[string, string][]} */
  const chosen = [];
  while (open.length && chosen.length < MAX_COMPARISONS) {
    const fewest = open.map((pair) => pair.reduce((sum, voice) => sum + (times.get(voice) ?? 0), random()));
    const [next] = open.splice(fewest.indexOf(Math.min(...fewest)), 1);
    for (const voice of next) times.set(voice, (times.get(voice) ?? 0) + 1);
    chosen.push(next);
  }
  return chosen;
}
