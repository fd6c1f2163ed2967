/**
 * A jitter buffer's timing: when each piece of audio is to sound, if pieces arrive at their own pace.
 *
 * Pieces follow each other without a gap for as long as they arrive in time. One that comes too late is an underrun:
 * what follows is held back a little longer, so that one late piece does not become a row of clicks. Times are
 * seconds on a clock that is passed in; nothing here plays anything.
 */

export const AHEAD = 0.03; // between the first audio's arrival and its sound
export const REFILL = 0.4; // the same after the audio came too late

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
   * Take a piece of audio, and tell when it starts to sound.
   * @param {number} seconds its length
   * @param {number} now when it arrived
   */
  add(seconds, now) {
    if (this.scheduled === 0) this.end = now + AHEAD;
    else if (this.end < now) {
      this.underruns += 1;
      this.heard = this.scheduled;
      this.end = now + REFILL;
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
