// window.ttsPlayer: plays speech while it is being made. It asks the HTTP API of the same origin for PCM and
// schedules it in buffers that follow each other to the sample: an AudioWorklet does not exist on plain
// http pages of a home network, and media elements wait for a second of audio before they start.
//
//   ttsPlayer.play({input, voice, ...})   body of v1/audio/speech; what played before is cancelled
//   ttsPlayer.replay(clip, fraction)      what was heard, again
//   ttsPlayer.stop()
//   ttsPlayer.state                       idle, waiting, playing, done, stopped, failed
//   ttsPlayer.rms, .stats, .clip, .problem, .isPlain; event "change" when one of them is another
//   ttsPlayer.show(canvas)                waveform and spectrum are drawn there while it plays
(() => {
  if (window.ttsPlayer) return;

  const AHEAD = 0.03; // seconds between the first audio's arrival and its sound
  const REFILL = 0.4; // the same after the audio came too late
  const USUAL_RATE = 24000;
  const MOST_CONTEXTS = 3; // phones allow few
  const MOST_KEPT = 600; // seconds of audio kept for pictures and replays
  const REST_AFTER = 30000; // milliseconds of silence until the sound device is let go
  const GESTURE_AGE = 1000; // a click longer ago did not ask for this
  const BARS = 64;

  const Context = window.AudioContext || window.webkitAudioContext;
  const canStream =
    Boolean(Context) && typeof ReadableStream === "function" && typeof Response === "function" && "body" in Response.prototype;

  // Audio as it came, in 16 bit.
  class Clip {
    constructor(rate) {
      this.rate = rate;
      this.samples = 0;
      this.isWhole = false;
      this.pieces = [];
    }

    get seconds() {
      return this.samples / this.rate;
    }

    get isKept() {
      return this.isWhole && this.samples > 0 && this.seconds <= MOST_KEPT;
    }

    add(piece) {
      this.samples += piece.length;
      if (this.seconds <= MOST_KEPT) this.pieces.push(piece);
      else this.pieces.length = 0;
    }

    joined() {
      const all = new Float32Array(this.samples);
      let at = 0;
      for (const piece of this.pieces) {
        for (let i = 0; i < piece.length; i++) all[at + i] = piece[i] / 32768;
        at += piece.length;
      }
      return all;
    }
  }

  // Bytes in pieces of any length to whole samples.
  class Samples {
    constructor() {
      this.rest = new Uint8Array(0);
    }

    of(bytes) {
      const all = new Uint8Array(this.rest.length + bytes.length);
      all.set(this.rest);
      all.set(bytes, this.rest.length);
      const whole = all.length & ~1;
      this.rest = all.slice(whole);
      const view = new DataView(all.buffer, 0, whole);
      return Int16Array.from({ length: whole / 2 }, (_, i) => view.getInt16(2 * i, true));
    }
  }

  // One utterance on its way to the ear.
  class Run {
    constructor(startedAt) {
      this.startedAt = startedAt;
      this.abort = new AbortController();
      this.sources = new Set();
      this.context = null;
      this.clip = null;
      this.end = 0; // of what is scheduled, on the context's clock
      this.begin = 0; // seconds into the clip where it was started
      this.scheduled = 0;
      this.isFed = false;
      this.whenQuiet = () => {};
      this.stats = { ttfa: null, heard: null, rtf: null, seconds: 0, underruns: 0 };
    }

    schedule(floats, rate) {
      const now = this.context.currentTime;
      if (this.scheduled === 0) this.end = now + AHEAD;
      else if (this.end < now) {
        this.stats.underruns += 1;
        this.end = now + REFILL;
      }
      const buffer = this.context.createBuffer(1, floats.length, rate);
      buffer.getChannelData(0).set(floats);
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.connect(this.context.tap);
      source.onended = () => this.ended(source);
      this.sources.add(source);
      source.start(this.end);
      if (this.scheduled === 0) this.begins(this.end - now);
      this.end += floats.length / rate;
      this.scheduled += floats.length / rate;
    }

    begins(ahead) {
      const latency = this.context.outputLatency || this.context.baseLatency || 0;
      this.stats.ttfa = performance.now() - this.startedAt + ahead * 1000;
      this.stats.heard = this.stats.ttfa + latency * 1000;
    }

    ended(source) {
      this.sources.delete(source);
      if (this.isFed && this.sources.size === 0) this.whenQuiet();
    }

    quiet() {
      if (this.sources.size === 0) return Promise.resolve();
      return new Promise((resolve) => (this.whenQuiet = resolve));
    }

    // Seconds into the clip that are heard now.
    get position() {
      if (!this.context) return 0;
      return this.begin + Math.max(0, this.scheduled - Math.max(0, this.end - this.context.currentTime));
    }

    cancel() {
      this.abort.abort();
      for (const source of this.sources) source.stop();
      this.whenQuiet();
    }
  }

  class Player extends EventTarget {
    #contexts = new Map();
    #run = null;
    #canvases = new Set();
    #frame = 0;
    #resting = 0;
    #gesture = -Infinity;
    #audio = null;
    #heardWith = null;

    constructor() {
      super();
      this.state = "idle";
      this.stats = null;
      this.clip = null;
      this.problem = "";
      this.isPlain = !canStream;
      if (navigator.audioSession) navigator.audioSession.type = "playback"; // else the mute switch of phones holds
      const options = { capture: true, passive: true };
      for (const kind of ["pointerup", "touchend", "click", "keydown"]) {
        document.addEventListener(kind, (event) => this.#unlock(event), options);
      }
    }

    // Root mean square of what sounds now.
    get rms() {
      const tap = this.#heardWith?.tap;
      if (!tap) return 0;
      const wave = new Float32Array(tap.fftSize);
      tap.getFloatTimeDomainData(wave);
      return Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);
    }

    get isBusy() {
      return this.state === "waiting" || this.state === "playing";
    }

    // Of the clip, from 0 to 1; 0 as long as its length is not known.
    get fraction() {
      const run = this.#run;
      return this.isBusy && run?.clip?.isWhole ? Math.min(1, run.position / run.clip.seconds) : 0;
    }

    show(canvas) {
      this.#canvases.add(canvas);
    }

    // Make ready for audio of a rate, as soon as the browser allows any.
    expect(rate) {
      if (canStream && this.#contexts.size) this.#context(rate);
    }

    // Resolves to the clip once all was heard, to null if it was stopped or failed.
    async play(body) {
      this.#cancel();
      const run = (this.#run = new Run(this.#asked()));
      this.clip = null;
      this.#become(run, "waiting");
      if (!canStream) return this.#playPlainly(run, body);
      try {
        await this.#stream(run, body);
        await run.quiet();
        this.#become(run, "done");
        return this.#run === run && this.state === "done" ? run.clip : null;
      } catch (error) {
        this.#fail(run, error);
        return null;
      }
    }

    async replay(clip, fraction = 0) {
      this.#cancel();
      const run = (this.#run = new Run(this.#asked()));
      run.clip = this.clip = clip;
      run.begin = Math.min(fraction, 0.999) * clip.seconds;
      run.stats.seconds = clip.seconds;
      this.#sounding(run, clip.rate);
      run.schedule(clip.joined().subarray(Math.floor(run.begin * clip.rate)), clip.rate);
      run.isFed = true;
      this.#become(run, "playing");
      await run.quiet();
      this.#become(run, "done");
    }

    stop() {
      const run = this.#run;
      if (!this.isBusy) return;
      this.#cancel();
      this.#become(run, "stopped");
    }

    #cancel() {
      this.#run?.cancel();
      this.#audio?.pause();
      this.#audio?.removeAttribute("src");
      this.#audio?.load(); // which gives up the request
    }

    #become(run, state) {
      if (this.#run !== run || (run.abort.signal.aborted && state !== "stopped")) return;
      this.state = state;
      this.stats = run.stats;
      this.problem = "";
      this.#tell();
      if (!this.isBusy) this.#rest();
    }

    #fail(run, error) {
      if (error.name === "AbortError" || this.#run !== run || run.abort.signal.aborted) return;
      run.cancel();
      this.state = "failed";
      this.problem = error.message;
      this.#tell();
      this.#rest();
    }

    #tell() {
      this.dispatchEvent(new Event("change"));
    }

    async #stream(run, body) {
      const sentAt = performance.now();
      const answer = await fetch(new URL("v1/audio/speech", document.baseURI), {
        method: "POST",
        signal: run.abort.signal,
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...body, response_format: "pcm" }),
      });
      if (!answer.ok) throw new Error(await told(answer));
      const rate = Number(answer.headers.get("X-Sample-Rate")) || USUAL_RATE;
      const clip = (run.clip = this.clip = new Clip(rate));
      this.#sounding(run, rate);
      const samples = new Samples();
      const reader = answer.body.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const piece = samples.of(value);
        if (piece.length) this.#hear(run, clip, piece);
      }
      clip.isWhole = run.isFed = true;
      run.stats.rtf = clip.samples ? (performance.now() - sentAt) / 1000 / clip.seconds : null;
      this.#tell();
    }

    #hear(run, clip, piece) {
      clip.add(piece);
      run.stats.seconds = clip.seconds;
      run.schedule(Float32Array.from(piece, (x) => x / 32768), clip.rate);
      if (this.state === "waiting") this.#become(run, "playing");
    }

    #sounding(run, rate) {
      run.context = this.#heardWith = this.#context(rate);
      clearTimeout(this.#resting);
      if (!this.#frame) this.#frame = requestAnimationFrame(() => this.#draw());
    }

    // One for each rate, so that no buffer is resampled and joins stay exact.
    #context(rate) {
      let context = this.#contexts.get(rate);
      if (!context) {
        this.#closeOldest();
        context = made(rate);
        this.#contexts.set(rate, context);
      }
      if (context.state !== "running") context.resume(); // suspended, or interrupted by a call
      return context;
    }

    #closeOldest() {
      if (this.#contexts.size < MOST_CONTEXTS) return;
      const [rate, oldest] = [...this.#contexts].find(([, context]) => context !== this.#run?.context);
      this.#contexts.delete(rate);
      oldest.close();
    }

    #rest() {
      clearTimeout(this.#resting);
      this.#resting = setTimeout(() => this.#contexts.forEach((context) => context.suspend()), REST_AFTER);
    }

    // Browsers let sound begin only in the handler of a gesture.
    #unlock(event) {
      if (!event.isTrusted) return;
      this.#gesture = event.timeStamp;
      if (!canStream) return;
      if (this.#contexts.size === 0) this.#context(USUAL_RATE);
      for (const context of this.#contexts.values()) if (context.state !== "running") context.resume();
    }

    #asked() {
      const now = performance.now();
      return now - this.#gesture < GESTURE_AGE ? this.#gesture : now;
    }

    async #playPlainly(run, body) {
      const address = new URL("synthesize-stream", document.baseURI);
      address.searchParams.set("text", body.input);
      if (body.voice) address.searchParams.set("voice", body.speaker ? `${body.voice}#${body.speaker}` : body.voice);
      if (body.speed) address.searchParams.set("speed", body.speed);
      const audio = (this.#audio ??= new Audio());
      audio.onplaying = () => {
        run.stats.ttfa ??= performance.now() - run.startedAt;
        this.#become(run, "playing");
      };
      audio.onended = () => this.#become(run, "done");
      audio.onerror = () => this.#fail(run, new Error(audio.error?.message || ""));
      audio.src = address;
      try {
        await audio.play();
      } catch (error) {
        this.#fail(run, error);
      }
      return null;
    }

    #draw() {
      this.#frame = 0;
      const tap = this.#heardWith.tap;
      for (const canvas of this.#canvases) {
        if (!canvas.isConnected) this.#canvases.delete(canvas);
        else if (canvas.offsetParent) drawLive(canvas, tap, this.isBusy);
      }
      if (this.isBusy) this.#frame = requestAnimationFrame(() => this.#draw());
    }
  }

  function made(rate) {
    let context;
    try {
      context = new Context({ sampleRate: rate, latencyHint: "interactive" });
    } catch {
      context = new Context(); // a rate that it cannot do: it resamples
    }
    context.tap = context.createAnalyser();
    context.tap.fftSize = 1024;
    context.tap.smoothingTimeConstant = 0.6;
    context.tap.connect(context.destination);
    return context;
  }

  async function told(answer) {
    try {
      return (await answer.json()).error.message;
    } catch {
      return `HTTP ${answer.status}`;
    }
  }

  // The canvas in the pixels of the screen, and empty.
  function cleared(canvas) {
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * scale));
    const height = Math.max(1, Math.round(canvas.clientHeight * scale));
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    pen.clearRect(0, 0, width, height);
    return { pen, width, height, scale };
  }

  function colour(canvas) {
    return getComputedStyle(canvas).getPropertyValue("--color-accent").trim() || getComputedStyle(canvas).color;
  }

  function drawLive(canvas, tap, isBusy) {
    const { pen, width, height, scale } = cleared(canvas);
    if (!isBusy) return;
    const wave = new Float32Array(tap.fftSize);
    const levels = new Uint8Array(tap.frequencyBinCount);
    tap.getFloatTimeDomainData(wave);
    tap.getByteFrequencyData(levels);
    pen.fillStyle = pen.strokeStyle = colour(canvas);
    pen.globalAlpha = 0.35;
    for (let i = 0; i < BARS; i++) {
      const bar = (levels[Math.floor((i * levels.length) / BARS)] / 255) * height;
      pen.fillRect((i * width) / BARS, height - bar, width / BARS - scale, bar);
    }
    pen.globalAlpha = 1;
    pen.lineWidth = 1.5 * scale;
    pen.beginPath();
    wave.forEach((x, i) => pen.lineTo((i / wave.length) * width, (height * (1 - x)) / 2));
    pen.stroke();
  }

  window.ttsPlayer = new Player();
  window.ttsPlayer.canvas = { cleared, colour };
})();
