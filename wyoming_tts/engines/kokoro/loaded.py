"""A Kokoro model in memory: a text to phonemes, its words and its audio, with all voices of the pack.

A voice is a style: its table is read, or mixed, at its first use and kept with what is learned of the voice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wyoming_tts.engines.base import BlendSource, Rendered, StyleTables
from wyoming_tts.engines.kokoro.batches import STOPS, last_mark
from wyoming_tts.engines.kokoro.calibration import calibration_sentences
from wyoming_tts.engines.kokoro.duration_probe import check_duration
from wyoming_tts.engines.kokoro.model import CutModel, KokoroModel, Speech, is_predictable
from wyoming_tts.engines.kokoro.names import (
    KokoroLanguage,
    named_languages,
    spoken_language,
)
from wyoming_tts.engines.kokoro.phonemes import KokoroPhonemizer
from wyoming_tts.engines.kokoro.statistics import VoiceStatistics
from wyoming_tts.engines.kokoro.statistics_store import StatisticsStore
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.engines.kokoro.word_timings import TextWords, in_stream, words_with_phonemes
from wyoming_tts.engines.onnx import NO_SAMPLES, return_freed_memory
from wyoming_tts.engines.phonemizer.cleaning import clean_text
from wyoming_tts.engines.word_alignment import WordPhonemes, align_words
from wyoming_tts.errors import EngineFailed, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Prosody, Samples, Segment, Voice, VoiceSpec
from wyoming_tts.spoken_words import words_of
from wyoming_tts.style_tables import read_packed_table
from wyoming_tts.system_reasons import underlying_reason
from wyoming_tts.time_stretch import stretch_steps

_LOGGER = logging.getLogger(__name__)

_SLOWEST, _FASTEST = 0.5, 2.0
"""The speeds that the model was made for; others are clamped to these."""
_SLOWEST_CLEAR, _FASTEST_CLEAR = 0.8, 1.1
"""Speeds up to which the model speaks by itself. Beyond them what it makes is stretched: at 1.35 times the
speed a recognizer then missed 16 of 121 words, and 38 of the model's own."""

TYPICAL_SENTENCE = 70
"""Phonemes of a sentence of 12 words: the length assumed where only a sentence's beginning is known.

A style has a row for each number of phonemes, made from utterances of that length; those for very
short ones are hasty and flat. The beginning of a sentence is not a short utterance, and should sound
like the rest of it."""

_FILES_OF_PACK_VOICES = 2
"""The model and the pack. Those of imported voices, and of blends with one, come from anywhere."""

_MAX_PROBED = 10_000

_MAX_STYLES = 32  # of 0.5 MB each, 2 with statistics; clients may ask for any number of blend recipes


_StyleKey = tuple[str, str | None, str]


@dataclass(frozen=True, slots=True)
class _Style:
    """A voice's style table, and what was learned of the voice."""

    table: Samples
    """A row per number of tokens, shape (n, 1, 256)."""
    statistics: VoiceStatistics | None
    """None if the model cannot be cut."""


class LoadedKokoro:
    """A Kokoro model in memory, ready to speak with all voices of its pack."""

    shares_cores = False
    """A batch on a single core would occupy it for long."""

    def __init__(
        self,
        model: KokoroModel,
        kokoro: Any,
        phonemizer: KokoroPhonemizer,
        *,
        whole_speeds: bool = False,
        statistics: StatisticsStore | None = None,
        blends: BlendSource | None = None,
        styles: StyleTables | None = None,
    ) -> None:
        self._model = model
        self._kokoro = kokoro
        self._phonemizer = phonemizer
        self._blends = blends
        self._imported = styles
        self._whole_speeds = whole_speeds
        self._statistics = statistics
        self._styles: dict[_StyleKey, _Style] = {}
        self._reading = threading.Lock()
        self._probed: set[int] = set()
        self._calibrated: set[_StyleKey] = set()
        self._phonemes_of_words: dict[KokoroLanguage, WordPhonemes] = {}

    def __repr__(self) -> str:
        return f"<LoadedKokoro {self._model!r}, {len(self._styles)} styles>"

    def render(self, segment: Segment, spec: VoiceSpec, prosody: Prosody) -> Generator[Rendered, None, None]:
        """Phonemize in the first step, then speak in chunks or batches, as `KokoroModel.speak`.

        The speed is `prosody.speed / prosody.length_scale`, of which the model follows what it speaks well.
        A punctuation mark at a batch's end is followed by its pause. The words of a batch are timed with its
        first audio, once it is known how much silence is trimmed before it.

        Raises:
            UnknownVoice: the pack has no such voice, or a speaker was requested.
            VoiceUnavailable: the voice's style cannot be read.
            TooLong: an imported style makes the phonemes far longer than speech.
            EngineFailed: the phonemizer or the model failed.
        """
        style = self._style(spec)
        speed = self._speed(prosody)
        phonemes = self._phonemes(segment, spec.voice)
        words = self._words(segment, phonemes, spec.voice) if self._model.tells_durations else None
        yield NO_SAMPLES
        spoken = self._model.speak(self._speech(phonemes, spec.voice, style, speed, words))
        yield from stretch_steps(in_stream(spoken), SAMPLE_RATE, prosody.speed / self._own_speed(prosody))

    def speaks_in_chunks(self, voice: Voice, prosody: Prosody) -> bool:
        """Whether the voice is heard while its sentences are decoded; False until it has been used."""
        style = self._styles.get(_style_key(voice))
        return style is not None and is_predictable(style.statistics, self._speed(prosody))

    def calibrate(self, spec: VoiceSpec) -> Generator[int, None, None]:
        """Learn the statistics of a voice from sentences of its language, in steps, for nobody to hear.

        Nothing is done for a voice whose statistics are known, or if the model cannot be cut.

        Raises:
            SpeechError: as for `render`.
        """
        style, model = self._style(spec), self._model
        if self._statistics is None or style.statistics is None or not isinstance(model, CutModel):
            return
        for text in calibration_sentences(spec.voice.language)[style.statistics.calibrated :]:
            phonemes = self._phonemes(Segment(text), spec.voice)
            yield style.statistics.calibrated
            for _ in model.learn(self._speech(phonemes, spec.voice, style, 1.0)):
                yield style.statistics.calibrated
        self._statistics.save(style.table, style.statistics)
        return_freed_memory()  # what is decoded whole takes 20 MB a second, and what follows next to nothing
        self._calibrated.add(_style_key(spec.voice))

    def is_calibrated(self, spec: VoiceSpec) -> bool:
        """Whether `calibrate` has nothing to do. May read a file."""
        if self._statistics is None or _style_key(spec.voice) in self._calibrated:
            return True
        statistics = self._style(spec).statistics
        return statistics is None or statistics.is_calibrated

    def _speech(
        self, phonemes: str, voice: Voice, style: _Style, speed: float, words: TextWords | None = None
    ) -> Speech:
        number = min(_sentence_phonemes(phonemes), len(style.table))
        row = style.table[number - 1 : number]
        probe = partial(self._probe, voice, row, speed)
        return Speech(phonemes, row, speed, style.statistics, probe, words)

    def _words(self, segment: Segment, phonemes: str, voice: Voice) -> TextWords:
        """The words of a text whose phonemes these are."""
        spans = words_of(segment.text)
        words = [segment.text[begin:end] for begin, end in spans]
        try:
            ranges = align_words(words, phonemes, self._word_phonemes(spoken_language(voice)))
        except SpeechError:  # a word may crash espeak-ng, and the text is spoken all the same
            ranges = align_words(words, phonemes)
        return TextWords(phonemes, words_with_phonemes(spans, ranges))

    def _word_phonemes(self, language: KokoroLanguage) -> WordPhonemes:
        if language not in self._phonemes_of_words:
            # Not a method: a reference to itself would keep a model that nobody uses in memory.
            ask = partial(_phonemes_of_words, self._phonemizer, language)
            self._phonemes_of_words.setdefault(language, WordPhonemes(ask))
        return self._phonemes_of_words[language]

    def phonemes(self, segment: Segment, spec: VoiceSpec) -> str:
        """The segment's phonemes that the model knows, one per token, and its punctuation.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        return self._phonemes(segment, spec.voice)

    def calibration_segment(self, spec: VoiceSpec) -> Segment:  # noqa: ARG002  # the same for all voices
        """Five numbers: espeak-ng reads digits in every language."""
        return Segment("1, 2, 3, 4, 5.")

    def close(self) -> None:
        """Free the model."""
        self._phonemizer.close()
        self._styles.clear()
        self._kokoro.voices.close()
        self._model.close()

    def _probe(self, voice: Voice, row: Samples, speed: float, batch: str) -> None:
        """Check how long the first batch in each row of a style lasts that is not the voice pack's own."""
        if len(voice.files) <= _FILES_OF_PACK_VOICES:
            return
        probed = voice.name, voice.fingerprint, row.tobytes()
        if hash(probed) in self._probed:
            return
        tokens = len(self._kokoro.tokenizer.tokenize(batch)) + 2
        check_duration(partial(self._model.count_samples, batch, row), tokens, speed, voice=voice.name)
        if len(self._probed) >= _MAX_PROBED:
            self._probed.clear()
        self._probed.add(hash(probed))

    def _phonemes(self, segment: Segment, voice: Voice) -> str:
        """Phonemes that the model knows, one per token; empty if there is nothing to say."""
        text = clean_text(segment)
        if not text:
            return ""
        try:
            phonemes = self._phonemizer.phonemes(text, spoken_language(voice))
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(
                Message(
                    "kokoro_phonemes",
                    "Kokoro could not turn a text into phonemes: {reason}",
                    reason=str(error),
                )
            ) from error
        known: str = self._kokoro.tokenizer.known(phonemes)
        return " ".join(known.split())

    def _own_speed(self, prosody: Prosody) -> float:
        """The part of a speed that the model follows; the rest is stretched."""
        if self._whole_speeds:
            return 1.0
        return min(max(prosody.speed, _SLOWEST_CLEAR), _FASTEST_CLEAR)

    def _speed(self, prosody: Prosody) -> float:
        requested = self._own_speed(prosody) / (prosody.length_scale or 1.0)
        speed = min(max(requested, _SLOWEST), _FASTEST)
        if self._whole_speeds:
            speed = float(max(1, round(speed)))
        if speed != requested:
            _LOGGER.debug("Kokoro speaks at speed %.2f instead of %.2f", speed, requested)
        return speed

    def _style(self, spec: VoiceSpec) -> _Style:
        name = spec.voice.name
        if spec.speaker:
            raise UnknownVoice(
                Message(
                    "no_such_speaker",
                    "The voice {name} has no speaker {speaker}.",
                    name=name,
                    speaker=spec.speaker,
                ),
                hint=Message("only_one_speaker", "It has only one speaker."),
            )
        with self._reading:
            key = _style_key(spec.voice)
            if key not in self._styles:
                while len(self._styles) >= _MAX_STYLES:
                    del self._styles[next(iter(self._styles))]
                table = self._read_or_mix_style(name)
                statistics = self._statistics.of(table) if self._statistics else None
                self._styles[key] = _Style(table, statistics)
            return self._styles[key]

    def _read_or_mix_style(self, name: str) -> Samples:
        if self._blends is None or self._has_table(name):
            return self._read_style(name)
        blend = self._blends.find(name, named_languages(self._kokoro.voices))
        return self._read_style(name) if blend is None else blend.mix(self._read_style)

    def _has_table(self, name: str) -> bool:
        return name in self._kokoro.voices or (self._imported is not None and name in self._imported.names())

    def _read_style(self, name: str) -> Samples:
        if not self._has_table(name):
            raise UnknownVoice(Message("no_voice_in_pack", "The voice pack has no voice {name}.", name=name))
        try:
            return self._table(name)
        except Exception as error:
            raise VoiceUnavailable(
                Message(
                    "style_not_read",
                    "The style of {name} cannot be read: {reason}",
                    name=name,
                    reason=underlying_reason(error),
                )
            ) from error

    def _table(self, name: str) -> Samples:
        if name in self._kokoro.voices or self._imported is None:
            return read_packed_table(self._kokoro.voices.zip, name)
        return self._imported.read(name)


def _phonemes_of_words(
    phonemizer: KokoroPhonemizer, language: KokoroLanguage, words: Sequence[str]
) -> Sequence[str]:
    """Phonemes of words by themselves, cleaned as a text is."""
    clean = [clean_text(Segment(word)) for word in words]
    found = iter(phonemizer.phonemes_of_words([*filter(None, clean)], language))
    return [next(found) if word else "" for word in clean]


def _style_key(voice: Voice) -> _StyleKey:
    return voice.name, voice.version, voice.fingerprint


def _sentence_phonemes(phonemes: str) -> int:
    """Length of the whole sentence, at least that of a typical one if `phonemes` are only its beginning."""
    mark = last_mark(phonemes)
    return len(phonemes) if mark and mark in STOPS else max(len(phonemes), TYPICAL_SENTENCE)
