/** Runs of a stream test: their types, and one run on the server as the frames that come from it. */

import { RequestError, request } from "./common.js";
import { EventStreamReader } from "./event_stream.js";

/** @typedef {import("./stream_buffer.js").Level} Level */
/** @typedef {import("./stream_lanes.js").Owner} Owner */

/**
 * What a run is asked for.
 * @typedef {object} RunSettings
 * @property {string} text
 * @property {string} kind of client
 * @property {string} target "" for this server
 * @property {string} voice "" for the server's own
 * @property {number} words_per_second
 * @property {number} clients
 * @property {number} recorded the client whose audio is kept
 * @property {boolean} vary
 * @property {boolean} warm_up
 */

/**
 * One client; times are seconds since the start.
 * @typedef {object} Lane
 * @property {number} client counted from 1
 * @property {string} state
 * @property {import("./problems.js").Said} error "" if there was none
 * @property {number | null} ttfa
 * @property {number} chunks
 * @property {number} audio seconds of it
 * @property {import("./stream_lanes.js").Gap[]} gaps some of them, if there are many
 * @property {Record<Owner, import("./stream_lanes.js").GapCount>} gap_counts all of them
 * @property {number} recorded seconds that can be heard afterwards
 * @property {Level[]} buffer
 * @property {import("./stream_lanes.js").LaneRecord["text"]} text
 * @property {number[]} starts when audio began
 * @property {number | null} first_audio
 * @property {number | null} ended
 * @property {[at: number, word: string][]} words when each word is heard, of the client whose audio is kept
 */

/** @typedef {Record<string, number | null>} Summary */

/**
 * The state of a run. Each frame holds everything that is drawn, so some may be skipped; only the log is incremental.
 * @typedef {object} Frame
 * @property {string} run
 * @property {number} seconds since the start
 * @property {boolean} over
 * @property {Lane[]} lanes
 * @property {Summary | null} summary
 * @property {Summary | null} before the summary of the run before
 * @property {number} logged lines so far, of which `lines` are the newest
 * @property {import("./run_log.js").Line[]} lines
 */

/**
 * Have the server run a stream test.
 * @param {string} path of the service
 * @param {RunSettings & { session: string }} json
 * @param {AbortSignal} signal ends the run
 * @returns {AsyncGenerator<Frame, void, void>}
 * @throws {RequestError} also if the frames end before the run is over
 */
export async function* framesOf(path, json, signal) {
  const answer = await request(`${path}/run`, { json, signal });
  const events = new EventStreamReader();
  const reader = answer.body?.getReader();
  /** @type {Frame | undefined} */
  let newest;
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { done: true, value: undefined };
    if (done || !value) break;
    const frame = events.read(value).at(-1);
    if (!frame) continue;
    newest = frame;
    yield frame;
  }
  if (!newest?.over) throw new RequestError("", 0);
}

/**
 * @param {string} run
 * @param {string} name of what the server keeps of it
 */
export const pathOf = (run, name) => `page/stream-test/${run}/${name}`;
