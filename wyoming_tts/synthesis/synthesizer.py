"""The synthesizer: the one path from a request to sound.

Admission, the voice, segments of text as it arrives, their rendering, chunks of audio: each stage runs
only as far as the next one pulls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from math import inf

from wyoming_tts import audio
from wyoming_tts.admission import Admission, Place
from wyoming_tts.cache import SegmentCache
from wyoming_tts.engines.base import REMOTE_ENGINE, FirstCut, RemoteVoice
from wyoming_tts.engines.model_cache import ModelCache
from wyoming_tts.scheduler import Lookahead, StreamClock
from wyoming_tts.speech import (
    AudioChunk,
    AudioFormat,
    Segment,
    SpeakingVoice,
    Start,
    Utterance,
    UtteranceRecord,
    Voice,
    VoiceReason,
    VoiceRequest,
    VoiceSpec,
)
from wyoming_tts.synthesis.admission_queue import AdmissionQueue
from wyoming_tts.synthesis.background_loading import BackgroundLoading
from wyoming_tts.synthesis.calibration import VoiceCalibration
from wyoming_tts.synthesis.costs import CostModel, StepClocks
from wyoming_tts.synthesis.explanation import Explanation
from wyoming_tts.synthesis.job import Job, Pause
from wyoming_tts.synthesis.loudness import VoiceLoudness
from wyoming_tts.synthesis.options import FIRST_CUT_WORDS, SynthesisOptions
from wyoming_tts.synthesis.playout import Piece, PlayoutBuffer, PlayoutPolicy
from wyoming_tts.synthesis.prefetch import Prefetch
from wyoming_tts.synthesis.prosody import merge_prosody
from wyoming_tts.synthesis.rendering import Pronunciations, SegmentRenderer
from wyoming_tts.synthesis.resampling import StreamResampler
from wyoming_tts.synthesis.running import RunningUtterance, RunningUtterances
from wyoming_tts.synthesis.utterance_voices import UtteranceVoices, wait_for_any_voice
from wyoming_tts.text.first_segment import NEVER_CUT
from wyoming_tts.text.lexicon.rules import EMPTY_LEXICON, Lexicon, LexiconHit
from wyoming_tts.text.normalization import NormalizerRegistry, TextNormalizer, protect_nothing
from wyoming_tts.text.scripts import ScriptMode, languages_in
from wyoming_tts.text.segments import Segmenter, SegmentOptions, TextTrace
from wyoming_tts.text.text_limits import TextLimits, TextMeter
from wyoming_tts.voices.library import VoiceLibrary
from wyoming_tts.voices.names import VoiceAliases
from wyoming_tts.workers import Workers

Clock = Callable[[], float]

_SAMPLE_BYTES = 2
_KNOWN_SEGMENTS = 64
"""Segments whose text is read ahead: some minutes of speech, by which it is judged when to start."""

_KEEP_ALIVE = 0.25
"""Seconds of silence sent at a time while a listener waits, as fast as it is played."""

_PIECE_CHARS = 256
"""Text given to the segmenter in one go: mostly less than a millisecond of work on the event loop."""


def _piece(pcm: bytes, rate: int, segment: int) -> Piece:
    return Piece(pcm, len(pcm) / (_SAMPLE_BYTES * rate), segment)


class SpeechStream:
    """The audio of an utterance on its way to a listener; iterate it for the chunks."""

    def __init__(self, job: Job, chunks: AsyncGenerator[AudioChunk, None]) -> None:
        self.format = AudioFormat(rate=job.rate)
        """The format of every chunk, known before the first one."""
        self._job = job
        self._chunks = chunks

    @property
    def voice(self) -> SpeakingVoice:
        """The voice that speaks, and why; another one from where a remote voice failed."""
        return self._job.speaking

    def __aiter__(self) -> SpeechStream:
        return self

    async def __anext__(self) -> AudioChunk:
        return await anext(self._chunks)


class Synthesizer:
    """Speaks utterances with the voices of a library, on the workers that all of them share."""

    def __init__(
        self,
        *,
        library: VoiceLibrary,
        loaded: ModelCache,
        workers: Workers,
        admission: Admission,
        cache: SegmentCache,
        options: SynthesisOptions,
        costs: CostModel | None = None,
        languages: NormalizerRegistry | None = None,
        lexicon: Callable[[], Lexicon] = lambda: EMPTY_LEXICON,
        pronunciations: Pronunciations | None = None,
        content: Callable[[Voice], str | None] = lambda _: None,
        on_record: Callable[[UtteranceRecord], None] = lambda _: None,
        lookahead: Lookahead | None = None,
        hops: Callable[[Utterance], int] = lambda _: 0,
        clock: Clock = time.monotonic,
        step_clocks: StepClocks | None = None,
    ) -> None:
        """Compose a synthesizer.

        Args:
            library: Resolves voice requests.
            loaded: Loads voices and keeps them in memory.
            workers: Where local voices compute.
            admission: Decides who is served, who waits and who is refused.
            cache: Keeps finished segments.
            options: Defaults of every utterance.
            costs: Learns what speech costs, and tells what is still to be computed; None starts with nothing.
            languages: Normalizes numbers and the like; None leaves them as written.
            lexicon: Returns the pronunciation lexicon in force.
            pronunciations: Returns the default pronunciations for a voice, on a worker; None: there are none.
            content: Returns what identifies a voice's sound on every machine, for a shared cache; None while
                that is not known.
            on_record: Called with the record of every utterance that is over.
            lookahead: How far ahead of its listener a remote voice is read; for local voices the scheduler
                decides.
            hops: Returns the servers that an utterance passed through before this one.
            clock: Monotonic time in seconds.
            step_clocks: The clocks of a worker, for the time of steps.
        """
        self._library = library
        self._loaded = loaded
        self._workers = workers
        self._admission = admission
        self._queue = AdmissionQueue(admission, clock)
        self._running = RunningUtterances(clock)
        self._options = options
        self._languages = languages
        self._lexicon = lexicon
        self._pronunciations = pronunciations
        self._on_record = on_record
        self._clock = clock
        costs = costs or CostModel(slots=workers.scheduler.slots, capacity=workers.scheduler.capacity)
        self._costs = costs
        step_clocks = step_clocks or StepClocks()
        self.loading = BackgroundLoading(partial(self.warm_up, in_background=False))
        """Loads voices whose listeners wait for no longer than their patience."""
        self.calibration = VoiceCalibration(loaded, workers, clock=clock)
        """Learns what can be learned of voices while nobody else wants to compute, where it is run."""
        self._loudness = VoiceLoudness(
            workers, options.loudness, clocks=step_clocks, on_calibrated=costs.learn_calibration
        )
        self._content = content
        self._renderer = SegmentRenderer(
            workers=workers,
            cache=cache,
            options=options,
            lexicon=lexicon,
            pronunciations=pronunciations,
            content=content,
            lookahead=lookahead or Lookahead(),
            hops=hops,
            clock=clock,
            costs=costs,
            step_clocks=step_clocks,
            on_voice_used=self.calibration.request,
        )

    @property
    def voices(self) -> tuple[Voice, ...]:
        """The installed voices, sorted by name."""
        return self._library.voices

    @property
    def running(self) -> tuple[RunningUtterance, ...]:
        """The utterances that are spoken now."""
        return self._running.now()

    @asynccontextmanager
    async def speak(self, utterance: Utterance) -> AsyncIterator[SpeechStream]:
        """Open the stream of an utterance; its audio is made as the stream is iterated.

        Raises:
            Busy: the server is full; the client may try again later. Raised on iterating, as nobody holds a
                place before there is text to compute.
            UnknownVoice: no voice has the requested name, language or speaker.
            VoiceUnavailable: the voice's files are missing or broken.
            SpeechError: anything else that is reported to the client, also while iterating.
        """
        async with self._speak(utterance) as stream:
            yield stream

    @asynccontextmanager
    async def _speak(
        self, utterance: Utterance, *, in_background: bool = False
    ) -> AsyncIterator[SpeechStream]:
        job = Job(utterance, self._clock, self._costs)
        job.clock.in_background = in_background
        if not in_background:
            self._workers.make_way()  # also before its first step: a model may have to be loaded
        try:
            with self._running.watching(job):
                with job.recording_failure():
                    spec = await self._resolve(utterance)
                    job.on_voice_resolved(spec, speed=self._options.prosody.speed)
                async with aclosing(self._chunks(job)) as chunks:
                    yield SpeechStream(job, chunks)
        finally:
            self._on_record(job.record())

    async def _resolve(self, utterance: Utterance) -> VoiceSpec:
        """Find the utterance's voice, and see that the others are there that it is known to name."""
        aliases = VoiceAliases(utterance.voice_aliases)
        patience = self._patience(utterance) or None
        request = aliases.apply(utterance.voice)
        spec = await self._library.resolve(replace(request, patience=patience))
        if request != utterance.voice and spec.reason is VoiceReason.REQUESTED:
            spec = replace(spec, reason=VoiceReason.ALIAS)
        for request in utterance.named_voices:
            own = utterance.voice
            named = replace(
                aliases.apply(request),
                may_download=own.may_download,
                allowed=own.allowed,
                patience=patience,
            )
            await self._load_language((await self._library.resolve(named)).voice)
        return spec

    def _patience(self, utterance: Utterance) -> float:
        """Seconds within which the listener has to hear something; 0 if it waits as long as it takes."""
        return self._options.patience if utterance.patience is None else utterance.patience

    async def warm_up(self, spec: VoiceSpec | None = None, *, in_background: bool = True) -> VoiceSpec:
        """Load a voice (None: the default voice) and measure its loudness; return which voice it is.

        Unless `in_background`, somebody waits for it.

        Raises:
            SpeechError: as for `speak`.
        """
        spec = spec or self._library.resolve_now(VoiceRequest())
        self._content(spec.voice)  # takes a while to become known
        await self._load_language(spec.voice)
        async with self._loaded.lease(spec.voice) as loaded:
            if isinstance(loaded, RemoteVoice):
                return spec  # its own server warms it up
            stream = StreamClock(
                work_since=self._clock(), in_background=in_background, shares_cores=loaded.shares_cores
            )
            with self._loaded.quarantining(spec.voice):
                await self._loudness.gain(spec, loaded, stream)
            self.calibration.request(spec, loaded)
        return spec

    async def prepare(self, text: str) -> None:
        """Render a text with the default voice into the cache, at the lowest priority.

        Raises:
            SpeechError: as for `speak`.
        """
        async with self._speak(Utterance.of(text, transport="preparing"), in_background=True) as stream:
            async for _ in stream:
                pass

    def _voices(self, job: Job) -> UtteranceVoices:
        utterance, patience = job.utterance, self._patience(job.utterance)

        async def wait(spec: VoiceSpec) -> bool:
            return self._is_ready(spec) or await self.loading.wait(spec, job.patience_left(patience))

        return UtteranceVoices(
            self._library,
            self._loaded,
            self._loudness,
            job.spec,
            job.clock,
            may_download=utterance.voice.may_download,
            allowed=utterance.voice.allowed,
            patience=patience or None,
            wait=wait if patience else wait_for_any_voice,
            on_substituted=job.on_voice_substituted,
            aliases=VoiceAliases(utterance.voice_aliases),
        )

    def _is_ready(self, spec: VoiceSpec) -> bool:
        """Whether a voice speaks at once, without a load."""
        with self._loaded.lease_loaded(spec.voice) as loaded:
            return isinstance(loaded, RemoteVoice) or (loaded is not None and self._loudness.is_known(spec))

    async def explain(self, utterance: Utterance) -> Explanation:
        """Return what each stage makes of an utterance, down to the phonemes, without rendering audio.

        Raises:
            SpeechError: as for `speak`.
        """
        spec = await self._resolve(utterance)
        trace, hits, texts, phonemes = TextTrace(), list[LexiconHit](), list[str](), list[str]()
        job = Job(utterance, self._clock, self._costs)
        clock = job.clock
        job.on_voice_resolved(spec)
        async with (
            self._voices(job) as voices,
            aclosing(self._segments(job, trace)) as segments,
        ):
            async for segment in segments:
                lease = await voices.find(segment.voice)
                result = await self._renderer.apply_lexicon(segment, lease.spec.voice)
                hits += result.hits
                texts.append(result.text)
                loaded = await lease.load()
                if isinstance(loaded, RemoteVoice):
                    phonemes.append(result.text)  # what its own server makes of it is not known here
                    continue
                work = partial(loaded.phonemes, replace(segment, text=result.text), lease.spec)
                with lease.quarantining():
                    phonemes.append(await self._workers.run_step(clock, work))
        return Explanation(
            voice=spec.voice.name,
            cleaned="".join(trace.cleaned),
            spoken="".join(trace.normalized),
            lexicon=tuple(hits),
            segments=tuple(texts),
            phonemes=tuple(phonemes),
        )

    async def _chunks(self, job: Job) -> AsyncGenerator[AudioChunk, None]:
        with job.recording_failure(), self._queue.place(job.clock, job.utterance.peer) as place:
            policy = self._playout_policy(job, place)
            async with (
                self._voices(job) as voices,
                PlayoutBuffer(self._pieces(job, place, voices), job.clock, policy, self._clock) as playout,
            ):
                async with aclosing(self._keep_alive(job, voices, playout)) as silence:
                    async for chunk in silence:
                        yield chunk
                while (piece := await playout.take()) is not None:
                    job.held_seconds = playout.held_seconds
                    if not job.has_audio:
                        for chunk in _silence(job, self._leading_silence(job.utterance)):
                            yield chunk
                            job.on_chunk_requested()
                        job.begin_playing()
                    yield job.make_chunk(piece.pcm)
                    job.on_chunk_requested()
            if job.has_audio:
                for chunk in _silence(job, self._options.trailing_silence):
                    yield chunk
                    job.on_chunk_requested()
            job.on_done()

    async def _keep_alive(
        self, job: Job, voices: UtteranceVoices, playout: PlayoutBuffer
    ) -> AsyncGenerator[AudioChunk, None]:
        """Yield silence as long as it lasts, from the end of the listener's patience to the first audio.

        With the first of it the listener is told which voice speaks.
        """
        patience = self._patience(job.utterance)
        if not patience or not job.utterance.keeps_alive:
            return
        ready = asyncio.ensure_future(playout.wait())
        try:
            while True:
                seconds = min(max(job.patience_left(patience), _KEEP_ALIVE), patience)
                if (await asyncio.wait([ready], timeout=seconds))[0]:
                    return
                if job.patience_left(patience) <= 0:
                    await voices.settle()
                    for pcm in audio.silence(_KEEP_ALIVE, job.rate):
                        yield job.keep_alive(pcm)
                        job.on_chunk_requested()
        finally:
            ready.cancel()
            await asyncio.wait([ready])

    def _leading_silence(self, utterance: Utterance) -> float:
        own = utterance.leading_silence
        return self._options.leading_silence if own is None else own

    def _playout_policy(self, job: Job, place: Place) -> PlayoutPolicy:
        start = job.utterance.start or self._options.start
        return PlayoutPolicy(
            starts_at_once=start is Start.AT_ONCE or job.clock.in_background,
            max_hold=self._admission.options.max_hold,
            will_hold=lambda: self._admission.will_hold(place, self._clock()),
            segment_works=job.backlog.works_of,
        )

    async def _pieces(self, job: Job, place: Place, voices: UtteranceVoices) -> AsyncGenerator[Piece, None]:
        """Yield an utterance's audio; between two pieces the place may go to another stream."""
        resampler = StreamResampler(job.rate, self._workers.run_blocking)
        segments = Prefetch(
            self._known_segments(job), room_in=lambda: 0.0 if len(segments) < _KNOWN_SEGMENTS else inf
        )
        async with segments:
            number, samples = 0, 0
            while (segment := await job.next_segment(segments, voices.release)) is not None:
                await self._hold(place, job)
                job.begin_segment()
                if segment.pause_before:
                    self._queue.rest(place)  # silence takes no computing
                    for pcm in audio.silence(segment.pause_before, job.rate):
                        samples += len(pcm) // _SAMPLE_BYTES
                        yield _piece(pcm, job.rate, number)
                    await self._hold(place, job)
                job.words.begin_segment(segment.text, samples)
                rendered = self._renderer.render(job, voices, segment, resampler)
                async with aclosing(rendered) as pieces:
                    async for pcm in pieces:
                        samples += len(pcm) // _SAMPLE_BYTES
                        self._queue.rest(place)
                        yield _piece(pcm, job.rate, number)
                        await self._hold(place, job)
                job.backlog.end()
                number += 1
                self._queue.rest(place)  # until there is text for another segment

    async def _hold(self, place: Place, job: Job) -> None:
        """Make sure that the stream holds a place before it computes more."""
        if not self._queue.keep(place):
            with job.timing_wait():
                await self._queue.wait(place)
            job.predicted_start = place.predicted_start

    async def _known_segments(self, job: Job) -> AsyncGenerator[Segment, None]:
        """Yield the segments as soon as their text is known."""
        async with aclosing(self._segments(job)) as segments:
            async for segment in segments:
                yield job.add_segment(segment)
        job.backlog.complete()

    async def _segments(self, job: Job, trace: TextTrace | None = None) -> AsyncGenerator[Segment, None]:
        await self._load_language(job.spec.voice)
        segmenter = self._segmenter(job, trace)
        meter = TextMeter(TextLimits(self._options.segments.max_text_chars, self._options.max_words))
        async with aclosing(self._text(job, meter)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Pause):
                    for segment in segmenter.flush(everything=piece is Pause.LONG):
                        yield segment
                    continue
                await self._load_languages_in(piece)
                for segment in segmenter.feed(piece):
                    yield segment
                await asyncio.sleep(0)  # a long text must not hold up the event loop
        while rest := segmenter.finish():  # what is left is spoken before an error is raised
            for segment in rest:
                yield segment
        if meter.error is not None:
            raise meter.error

    async def _text(self, job: Job, meter: TextMeter) -> AsyncGenerator[str | Pause, None]:
        """Yield the text in small pieces, as far as it is within the limits; a complete one all or not."""
        idle = job.utterance.flush_idle
        idle = self._options.flush_idle if idle is None else idle or None
        async with aclosing(job.read_text(idle)) as pieces:
            async for text in pieces:
                if isinstance(text, Pause):
                    yield text
                    continue
                if job.utterance.is_complete:
                    meter.check(text)
                taken = meter.take(text)
                for start in range(0, len(taken), _PIECE_CHARS):
                    yield taken[start : start + _PIECE_CHARS]
                if meter.error is not None:
                    return

    async def _load_language(self, voice: Voice) -> None:
        if self._languages and not self._languages.is_loaded(voice.language):
            await self._workers.run_blocking(partial(self._languages.load, voice.language))
            if self._pronunciations is not None:
                await self._workers.run_blocking(partial(self._pronunciations, voice))

    async def _load_languages_in(self, text: str) -> None:
        """Load what words in another script may need; the event loop would have to wait for it later."""
        if self._languages is None or self._options.segments.scripts is not ScriptMode.SWITCH:
            return
        for language in languages_in(text):
            if not self._languages.is_loaded(language):
                await self._workers.run_blocking(partial(self._languages.load, language))

    def _segmenter(self, job: Job, trace: TextTrace | None) -> Segmenter:
        voice, lexicon, languages = job.spec.voice, self._lexicon(), self._languages

        def is_in_lexicon(token: str) -> bool:
            return lexicon.contains(token, voice.language, voice.name)

        def normalizer(language: str) -> TextNormalizer:
            if languages is None:
                return TextNormalizer("")
            return languages.normalizer(language, is_in_lexicon if len(lexicon) else protect_nothing)

        return Segmenter(
            self._segment_options(job),
            text_format=job.utterance.text_format,
            language=voice.language,
            normalizers=normalizer,
            speaks=self._library.speaks,
            protected=is_in_lexicon if len(lexicon) else protect_nothing,
            trace=trace,
        )

    def _segment_options(self, job: Job) -> SegmentOptions:
        prosody = merge_prosody(self._options.prosody, job.utterance.prosody, Segment(""), rate=job.spec.rate)
        cut = self._loaded.first_cut(job.spec.voice, prosody)
        max_words = self._options.first_segment_max_words
        if max_words is None:
            max_words = FIRST_CUT_WORDS if cut is FirstCut.AFTER_WORDS else 0
        is_arriving = not job.utterance.is_complete
        is_cut = cut is not FirstCut.WHILE_ARRIVING or is_arriving or self._options.always_cuts_first
        segments = self._options.segments
        first = replace(segments.first_segment, max_words=max_words) if is_cut else NEVER_CUT
        scripts = None if job.spec.voice.engine == REMOTE_ENGINE else segments.scripts
        return replace(
            segments,
            first_segment=first,
            voice_tags=segments.voice_tags or job.utterance.voice_tags,
            pause_tags=job.utterance.pause_tags,
            scripts=scripts,
        )


def _silence(job: Job, seconds: float) -> Iterator[AudioChunk]:
    """Make chunks of silence one at a time, as they are pulled."""
    return map(job.make_chunk, audio.silence(seconds, job.rate))
