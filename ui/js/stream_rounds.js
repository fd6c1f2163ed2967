/**
 * Rounds of a stream test: one client, or two that are compared, run so often in turn. Who begins a round has been second
 * in the one before, so that a machine that grows slower or busier meanwhile treats both alike.
 */

import { requestJson } from "./common.js";
import { framesOf } from "./stream_run.js";

/** @typedef {import("./stream_board.js").Side} Side */
/** @typedef {import("./stream_run.js").Frame} Frame */
/** @typedef {import("./stream_run.js").RunSettings} RunSettings */

/**
 * A side that runs.
 * @typedef {Side & { settings: RunSettings, session: string, kept: string }} RunningSide `kept` is the ID under which the
 *   browser keeps it, "" before that
 */

/**
 * Where the rounds are.
 * @typedef {object} Progress
 * @property {number} round counted from 1
 * @property {number} count
 * @property {string} side the name of the one that runs, "" if there is but one or both do
 */

export class StreamRounds {
  #isStopped = false;
  /** @type {Progress} */
  progress;

  /**
   * @param {string} path of the service
   * @param {RunningSide[]} sides one, or A and B; their frames and rounds are replaced as they come
   * @param {object} options
   * @param {number} options.count of rounds
   * @param {boolean} options.isTogether both sides at the same time
   * @param {AbortSignal} options.signal ends all
   * @param {(side: RunningSide, frame: Frame) => void} options.onFrame
   */
  constructor(path, sides, { count, isTogether, signal, onFrame }) {
    this.path = path;
    this.sides = sides;
    this.isTogether = isTogether;
    this.signal = signal;
    this.onFrame = onFrame;
    this.progress = { round: 1, count, side: "" };
  }

  /**
   * Run all rounds, or until `stop`.
   * @throws {import("./common.js").RequestError}
   */
  async run() {
    const { count } = this.progress;
    for (let round = 1; round <= count; round += 1) {
      const order = round % 2 ? this.sides : [...this.sides].reverse();
      if (this.isTogether) await Promise.all(order.map((side) => this.#runSide(side, round)));
      else for (const side of order) await this.#runSide(side, round);
    }
  }

  /**
   * @param {RunningSide} side
   * @param {number} round
   */
  async #runSide(side, round) {
    if (this.#isStopped) return;
    this.progress = { ...this.progress, round, side: this.isTogether ? "" : side.name };
    const json = { session: side.session, ...side.settings };
    for await (const frame of framesOf(this.path, json, this.signal)) {
      side.frame = frame; // each has all that is drawn
      if (frame.over) countRound(side, frame);
      else if (this.#isStopped) this.#stopSide(side); // it began when the server was told to stop it
      this.onFrame(side, frame);
    }
  }

  /** End what runs; no other round begins. */
  async stop() {
    this.#isStopped = true;
    await Promise.all(this.sides.map((side) => this.#stopSide(side)));
  }

  /** @param {RunningSide} side */
  async #stopSide({ session }) {
    await requestJson(`${this.path}/stop`, { json: { session } }).catch(() => {});
  }
}

/**
 * A round that was stopped says nothing of the others.
 * @param {Side} side
 * @param {Frame} frame
 */
function countRound(side, { summary, lanes }) {
  if (summary && !lanes.some(({ state }) => state === "stopped")) side.rounds.push(summary);
}
