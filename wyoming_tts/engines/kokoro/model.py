"""Speaking phonemes with a Kokoro model: in chunks where a voice's statistics are known, else in batches.

A model in parts speaks a whole sentence in one pass, and its beginning is heard while the rest is computed.
It needs the statistics of the voice (`statistics`), which it learns from all that it decodes whole. Until
they are enough, and for sentences unlike those that they were learned from, it speaks as a model does that
cannot be cut: in batches that end where a speaker would pause (`batches`), each heard once it is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import numpy as np

from wyoming_tts.engines.base import Rendered
from wyoming_tts.engines.kokoro.batches import BatchLimits, cut_batches, last_mark
from wyoming_tts.engines.kokoro.decoder import FRAME_SAMPLES, Encoded, KokoroDecoder, Request, Sentence
from wyoming_tts.engines.kokoro.statistics import Prediction, VoiceStatistics
from wyoming_tts.engines.kokoro.trimming import (
    CLAUSE_PAUSE,
    POWER_FRAME,
    SAMPLE_RATE,
    StreamTrimmer,
    find_sound,
    loud_frames,
    loudest_power,
    pause_after,
    trim,
)
from wyoming_tts.engines.kokoro.word_timings import (
    NO_WORDS,
    BatchTimes,
    BatchWords,
    TextWords,
    heard_edges,
    timed,
)
from wyoming_tts.engines.onnx import NO_SAMPLES, OnnxModel, return_freed_memory
from wyoming_tts.errors import EngineFailed, SpeechError
from wyoming_tts.messages import Message
from wyoming_tts.offset_text import Span
from wyoming_tts.speech import Samples, WordTimings

SHORT_SECONDS: Final = 2.5
"""Audio up to which a sentence is decoded whole: there is little to gain, and short ones vary most."""
WHOLE_SECONDS: Final = 12.0
"""Audio up to which a sentence may be decoded whole in one step, as a batch of MAX_PHONEMES is."""
SLOWEST_PREDICTED: Final = 0.7
FASTEST_PREDICTED: Final = 1.4
"""Speeds outside of which statistics, learned at a usual speed, are not predicted."""
MAX_PASS_PHONEMES: Final = 505
"""Phonemes of one pass in chunks; the model takes 510."""
MAX_PASS_SECONDS: Final = 60.0
"""Audio of one pass in chunks; 505 phonemes last 30 to 50. The text part and the decoder blocks compute all
of it at once, and a style from anywhere may make phonemes longer."""

_LARGE_SECONDS = 30.0
"""Audio of a batch after which memory is returned to the system; an ordinary one lasts at most 20 seconds."""
_ENDING_SECONDS = 1.0
"""Before the end of a sentence from which on silence may be that at its end."""

Check = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Speech:
    """What to speak, and how."""

    phonemes: str
    row: Samples
    """Of the voice's style table, shape (1, 1, 256)."""
    speed: float
    statistics: VoiceStatistics | None = None
    """Of the voice; None if the model cannot be cut."""
    check_batch: Check = lambda _: None
    """Called before a batch is spoken; raises what is to stop it."""
    words: TextWords | None = None
    """Those of the text; None if nobody is told when they are heard."""

    def words_of(self, batch: str) -> BatchWords:
        """The words of the next batch."""
        return self.words.of(batch) if self.words else BatchWords(batch)


class KokoroModel(Protocol):
    """A model, whole or in parts."""

    @property
    def tells_durations(self) -> bool:
        """Whether it is known when phonemes are heard."""
        ...

    def speak(self, speech: Speech) -> Iterator[Rendered]:
        """Speak in steps, each of which yields the next samples, shape (n,), or none.

        The first samples of a batch come with the times of its words, counted from the first of them.

        Raises:
            EngineFailed: the model failed.
        """
        ...

    def count_samples(self, phonemes: str, row: Samples, speed: float) -> int:
        """How many samples phonemes last at a speed, which may be beyond the usual.

        Raises:
            EngineFailed: the model failed.
        """
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


class WholeModel:
    """A model that cannot be cut: a step for each batch."""

    def __init__(self, model: OnnxModel, kokoro: Any, *, clause_pauses: bool = True) -> None:
        """Take the model.

        Args:
            model: the whole.
            kokoro: a kokoro_onnx.Kokoro that runs it.
            clause_pauses: whether kokoro_onnx may lengthen pauses within a batch, as it does where it is told
                the durations.
        """
        self._model = model
        self._kokoro = kokoro
        self._clause_pause = CLAUSE_PAUSE if clause_pauses else 0.0

    @property
    def tells_durations(self) -> bool:
        """As `KokoroModel.tells_durations`."""
        return bool(self._kokoro.has_timings)

    def speak(self, speech: Speech) -> Iterator[Rendered]:
        """As `KokoroModel.speak`."""
        for batch in cut_batches(speech.phonemes):
            speech.check_batch(batch)
            words = speech.words_of(batch)
            samples, times = self._speak(batch, speech)
            yield _trimmed(samples, words, times, speech.speed)

    def _speak(self, batch: str, speech: Speech) -> tuple[Samples, BatchTimes | None]:
        try:
            # No pause for full stops: within a batch they mostly end an abbreviation.
            audio, _, timings = self._kokoro.create_timed(
                batch,
                speech.row,
                speech.speed,
                is_phonemes=True,
                trim=False,
                sentence_pause=0.0,
                clause_pause=self._clause_pause / speech.speed,
            )
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(
                Message(
                    "kokoro_failed",
                    "Kokoro failed on {count} phonemes: {reason}",
                    count=len(batch),
                    reason=str(error),
                )
            ) from error
        samples = np.asarray(audio, dtype=np.float32).reshape(-1)
        if len(samples) > _LARGE_SECONDS * SAMPLE_RATE:
            return_freed_memory()
        if len(timings) != len(batch):
            return samples, None
        ends = (timings[0].start, *(timing.end for timing in timings))
        edges = heard_edges(np.array([round(end * SAMPLE_RATE) for end in ends]))
        return samples, BatchTimes(edges, loud_frames(samples), POWER_FRAME)

    def count_samples(self, phonemes: str, row: Samples, speed: float) -> int:
        """As `KokoroModel.count_samples`, by speaking them."""
        tokens = self._kokoro.tokenizer.tokenize(phonemes)
        return len(self._kokoro._infer(tokens, row[0], speed)[0])  # noqa: SLF001  # it takes any speed

    def close(self) -> None:
        """Free its memory."""
        self._model.close()


class CutModel:
    """A model in parts: a step for the text, one for the decoder, then one for each chunk of audio."""

    def __init__(self, decoder: KokoroDecoder, tokenize: Callable[[str], list[int]]) -> None:
        """Take the decoder, and what turns phonemes into tokens."""
        self._decoder = decoder
        self._tokenize = tokenize
        self._learning = threading.Lock()

    @property
    def tells_durations(self) -> bool:
        """As `KokoroModel.tells_durations`."""
        return self._decoder.tells_durations

    def speak(self, speech: Speech) -> Iterator[Rendered]:
        """As `KokoroModel.speak`."""
        assert speech.statistics is not None, "a model in parts needs the statistics of the voice"
        if not is_predictable(speech.statistics, speech.speed):
            yield from self._speak_in_batches(speech.phonemes, speech)
            return
        for phonemes in cut_batches(speech.phonemes, BatchLimits(MAX_PASS_PHONEMES, MAX_PASS_PHONEMES)):
            yield from self._speak_in_one_pass(phonemes, speech)

    def count_samples(self, phonemes: str, row: Samples, speed: float) -> int:
        """As `KokoroModel.count_samples`, by the text part alone."""
        request = Request(tuple(self._tokenize(phonemes)), row.reshape(1, -1), speed)
        return self._decoder.count_samples(self._decoder.encode_text(request))

    def learn(self, speech: Speech) -> Iterator[None]:
        """Decode whole, for nobody to hear, in steps; the statistics learn from it unless it is long.

        Raises:
            EngineFailed: the model failed.
        """
        speech.check_batch(speech.phonemes)
        encoded = self._decoder.encode_text(self._request(speech.phonemes, speech))
        yield
        if self._decoder.count_samples(encoded) <= WHOLE_SECONDS * SAMPLE_RATE:
            sentence = self._decoder.make_sentence(encoded)
            yield
            self._decode_whole(sentence, speech, calibrating=True)
        if speech.statistics is not None:
            speech.statistics.calibrated += 1
        yield

    def _speak_in_one_pass(self, phonemes: str, speech: Speech) -> Iterator[Rendered]:
        # What may be too long is a phoneme, and the check knows how much memory a batch takes.
        speech.check_batch(cut_batches(phonemes)[0])
        encoded = self._decoder.encode_text(self._request(phonemes, speech))
        yield NO_SAMPLES
        if self._decoder.count_samples(encoded) > MAX_PASS_SECONDS * SAMPLE_RATE:
            yield from self._speak_in_batches(phonemes, speech)
            return
        sentence = self._decoder.make_sentence(encoded)
        yield NO_SAMPLES
        prediction = self._predict(sentence, speech)
        if prediction is None and sentence.seconds > WHOLE_SECONDS:
            yield from self._speak_in_batches(phonemes, speech)
            return
        words, times = speech.words_of(phonemes), self._times(encoded, speech)
        if prediction is None:
            yield _trimmed(self._decode_whole(sentence, speech), words, times, speech.speed)
            return
        pause = pause_after(last_mark(phonemes), speech.speed)
        yield from self._decode_in_chunks(sentence, prediction, pause, partial(words.time, times))

    def _speak_in_batches(self, phonemes: str, speech: Speech) -> Iterator[Rendered]:
        for batch in cut_batches(phonemes):
            speech.check_batch(batch)
            encoded = self._decoder.encode_text(self._request(batch, speech))
            yield NO_SAMPLES
            samples = self._decode_whole(self._decoder.make_sentence(encoded), speech)
            if len(samples) > _LARGE_SECONDS * SAMPLE_RATE:
                return_freed_memory()
            words, times = speech.words_of(batch), self._times(encoded, speech)
            yield _trimmed(samples, words, times, speech.speed)

    def _times(self, encoded: Encoded, speech: Speech) -> BatchTimes | None:
        return self._decoder.time_phonemes(encoded) if speech.words else None

    def _predict(self, sentence: Sentence, speech: Speech) -> Prediction | None:
        if sentence.seconds < SHORT_SECONDS or speech.statistics is None:
            return None
        with self._learning:
            return speech.statistics.predict(sentence.features)

    def _decode_in_chunks(
        self,
        sentence: Sentence,
        prediction: Prediction,
        pause: float,
        time_words: Callable[[Span], WordTimings],
    ) -> Iterator[Rendered]:
        """Decode in chunks; the words are timed with the first sound, before which all is trimmed."""
        trimmer = StreamTrimmer(prediction.loudest)
        made, told_until = 0, None
        for samples, left in self._decoder.decode_in_chunks(sentence, prediction.statistics):
            ready, timings = trimmer.add(samples, may_end=left < _ENDING_SECONDS), NO_WORDS
            if told_until is None and trimmer.begin is not None:
                begin = sentence.first_frame * FRAME_SAMPLES + trimmer.begin
                timings = time_words(Span(begin, sentence.end_frame * FRAME_SAMPLES))
                told_until = timings.words[-1].end_sample if timings.words else 0
            if not left:
                ready = np.concatenate([ready, trimmer.finish(pause)])
                # Sound may end before it was expected to.
                ready = np.pad(ready, (0, max(0, (told_until or 0) - made - len(ready))))
            made += len(ready)
            yield timed(ready, timings)

    def _decode_whole(self, sentence: Sentence, speech: Speech, *, calibrating: bool = False) -> Samples:
        samples, taken = self._decoder.decode_whole(sentence)
        # Shorter ones are never predicted, and those of the calibration tell how much they differ.
        is_usual = sentence.seconds >= SHORT_SECONDS and _is_usual(speech.speed)
        if speech.statistics is not None and (calibrating or is_usual):
            with self._learning:
                speech.statistics.learn(
                    sentence.features, taken, loudest=loudest_power(samples), calibrating=calibrating
                )
        return samples

    def _request(self, phonemes: str, speech: Speech) -> Request:
        return Request(tuple(self._tokenize(phonemes)), speech.row.reshape(1, -1), speech.speed)

    def close(self) -> None:
        """Free its memory."""
        self._decoder.close()


def _trimmed(samples: Samples, words: BatchWords, times: BatchTimes | None, speed: float) -> Rendered:
    """A batch without the silence around it, with the pause after its last mark and its words' times."""
    sound = find_sound(samples)
    return timed(trim(samples, pause_after(last_mark(words.batch), speed), sound), words.time(times, sound))


def is_predictable(statistics: VoiceStatistics | None, speed: float) -> bool:
    """Whether sentences of a voice can be predicted at a speed, by what was learned of it."""
    return statistics is not None and statistics.is_enough and _is_usual(speed)


def _is_usual(speed: float) -> bool:
    return SLOWEST_PREDICTED <= speed <= FASTEST_PREDICTED
