/**
 * Jitter buffer: schedules when each piece of audio starts to sound, whatever the pace at which pieces arrive.
 *
 * Pieces follow each other without a gap for as long as they arrive in time. One that comes too late is an underrun:
 * what follows is held back a little longer, so that one late piece does not become a row of clicks. Times are
 * seconds on a clock that is passed in; nothing here plays anything.
 */

export const INITIAL_DELAY = 0.03; // between the first audio's arrival and its sound
export const REBUFFER_DELAY = 0.4; // the same after the audio came too late

export class JitterBuffer {
  /** @param {number} [begin] where in the clip the audio begins that will be added */
  constructor(begin = 0) {
    this.begin = begin;
    this.scheduled = 0; // seconds of audio added
    this.end = 0; // when the last of it will have sounded
    this.underruns = 0;
    this.heard = 0; // seconds of audio added before the last underrun: all of that was heard
  }

  /**
   * Add a piece of audio, and return when it starts to sound.
   * @param {number} seconds its length
   * @param {number} now when it arrived
   */
  add(seconds, now) {
    if (this.scheduled === 0) this.end = now + INITIAL_DELAY;
    else if (this.end < now) {
      this.underruns += 1;
      this.heard = this.scheduled;
      this.end = now + REBUFFER_DELAY;
    }
    const start = this.end;
    this.end += seconds;
    this.scheduled += seconds;
    return start;
  }

  /**
   * Seconds into the clip that are heard.
   * @param {number} now
   */
  position(now) {
    return this.begin + Math.max(this.heard, this.scheduled - Math.max(0, this.end - now));
  }
}
