"""Phonemizer of a Piper voice: text to phonemes to phrases, by the piper package, as its language needs it.

espeak-ng runs in a child process (`engines/phonemizer/process.py` says why).
"""

from __future__ import annotations

import logging
import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, partial
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple

from wyoming_tts.engines.phonemizer.cleaning import clean_text
from wyoming_tts.engines.phonemizer.client import PiperPhonemizerProcess
from wyoming_tts.engines.piper.phrases import Phrase, cut_phonemes, split_at_silences
from wyoming_tts.engines.word_alignment import PhonemesOf, WordPhonemes
from wyoming_tts.errors import EngineFailed, SpeechError, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Segment

_LOGGER = logging.getLogger(__name__)

_MARKED_BLOCK = re.compile(r"[ ]?\]\]([,;:.!?]+)")
_FINAL_ELLIPSIS = re.compile(r"(?:…|\.\.)[.…]*(?=[\"'”’»)\] ]*$)")
"""The package has no phoneme for it, so the voice would break off."""
_END: Final = "$"

_EXTRAS: Final = {"pinyin": "piper-tts[zh]", "japanese": "piper-tts[ja]", "thai": "piper-tts[th]"}
"""The extra to install, by phoneme type."""


class VoicePhonemizer:
    """The phonemizer of one voice."""

    def __init__(
        self,
        name: str,
        package: Any,
        lock: threading.Lock,
        process: PiperPhonemizerProcess | None,
        *,
        silences: Mapping[str, float],
    ) -> None:
        """Take what it is made of, and close the process in the end.

        Args:
            name: of the voice, for messages.
            package: the package's PiperVoice.
            lock: held while the package phonemizes.
            process: in place of espeak-ng in this process, if the voice needs that.
            silences: seconds of silence after each of some phonemes.
        """
        self._name = name
        self._package = package
        self._config = package.config
        self._lock = lock
        self._process = process
        self._silences = silences
        if process is not None:
            _replace_espeak(package, process)
        self._unknown: set[str] = set()
        self._id_counts: dict[str, int] = {}

    def prepare(self) -> None:
        """Load what the language needs now, not in the middle of the first sentence.

        Raises:
            VoiceUnavailable: it is not installed, cannot be downloaded, or does not exist.
        """
        kind = self.kind
        try:
            if self._process is not None:
                self._process.wait_ready()
            with self._lock:
                self._package.phonemize("")
        except ImportError as error:
            raise VoiceUnavailable(
                Message(
                    "needs_package",
                    "The voice {name} needs a package for {kind} text: {reason}.",
                    name=self._name,
                    kind=kind,
                    reason=str(error),
                ),
                hint=Message(
                    "install_it",
                    "Install it: {command}.",
                    command=f"pip install '{_EXTRAS.get(kind, 'piper-tts')}'",
                ),
            ) from error
        except Exception as error:
            raise VoiceUnavailable(
                Message(
                    "cannot_phonemize",
                    "The voice {name} cannot turn {kind} text into phonemes: {reason}",
                    name=self._name,
                    kind=kind,
                    reason=str(error),
                )
            ) from error

    @property
    def kind(self) -> str:
        """The voice's phoneme type."""
        return str(self._config.phoneme_type.value)

    def phrases(self, segment: Segment) -> list[Phrase]:
        """Phonemes of a segment as phrases; none if there is nothing to pronounce.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        with self._failing():
            return [phrase for part in self._parts(segment) for phrase in self._phrases(part)]

    def sentences(self, segment: Segment) -> list[str]:
        """The phonemes of each sentence.

        Raises:
            EngineFailed: the phonemizer failed.
        """
        with self._failing():
            return ["".join(part.phonemes) for part in self._parts(segment)]

    def id_counts(self, phonemes: Sequence[str]) -> tuple[int, list[int]]:
        """How many ids a phrase begins with, and how many stand for each phoneme, with the blank after it."""
        for phoneme in {*phonemes} - self._id_counts.keys():
            self._id_counts[phoneme] = len(self._package.phonemes_to_ids([phoneme])) - self._framing
        before = self._framing - len(self._config.phoneme_id_map[_END])
        return before, [self._id_counts[phoneme] for phoneme in phonemes]

    @cached_property
    def _framing(self) -> int:
        """How many ids stand around the phonemes."""
        return len(self._package.phonemes_to_ids([]))

    @cached_property
    def phonemes_of(self) -> PhonemesOf | None:
        """Phonemes of words by themselves; None if the package cannot tell, or not soon enough."""
        if self._process is not None:
            return WordPhonemes(partial(_espeak_words, self._process))
        return _letters if self.kind == "text" else None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.close()

    def _parts(self, segment: Segment) -> Iterator[_Part]:
        """What the voice has sounds for of each sentence, in parts that are not too long."""
        text = clean_text(segment)
        if not text:
            return
        with self._lock:
            sentences = self._package.phonemize(_prepare(text))
        for sentence in sentences:
            for number, cut in enumerate(cut_phonemes(sentence)):
                if phonemes := self._known(cut):
                    yield _Part(phonemes, begins_sentence=not number)

    def _phrases(self, part: _Part) -> Iterator[Phrase]:
        to_ids = self._package.phonemes_to_ids
        if not self._silences:
            yield Phrase(part.phonemes, to_ids(part.phonemes), begins_sentence=part.begins_sentence)
            return
        begins = part.begins_sentence
        for phonemes, silence in split_at_silences(part.phonemes, self._silences):
            # A model speaks a lone mark as noise.
            ids = to_ids(phonemes) if any(map(str.isalpha, phonemes)) else []
            yield Phrase(phonemes, ids, silence, begins)
            begins = False

    def _known(self, phonemes: list[str]) -> list[str]:
        known = self._config.phoneme_id_map
        for symbol in sorted({*phonemes} - known.keys() - self._unknown):
            self._unknown.add(symbol)
            _LOGGER.warning("The voice %s has no sound for %r: left out", self._name, symbol)
        kept = [phoneme for phoneme in phonemes if phoneme in known]
        return kept if any(not phoneme.isspace() for phoneme in kept) else []

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except SpeechError:
            raise
        except Exception as error:
            raise EngineFailed(
                Message(
                    "could_not_phonemize",
                    "The voice {name} could not turn a text into phonemes: {reason}",
                    name=self._name,
                    reason=str(error),
                )
            ) from error


class _Part(NamedTuple):
    """Phonemes of a sentence, or of a part of a long one."""

    phonemes: list[str]
    begins_sentence: bool


def _replace_espeak(phonemizer: Any, process: PiperPhonemizerProcess) -> None:
    """Have the package's phonemizer call the child process where it would call espeak-ng in this one.

    What it does besides, for raw phonemes and for Arabic, stays. It keeps its espeak phonemizer in a global
    of its module, for all voices; so this voice gets a copy of the method with other globals.
    """
    method = type(phonemizer).phonemize
    replaced = {"_ESPEAK_PHONEMIZER": process, "_ESPEAK_PHONEMIZER_LOCK": nullcontext()}
    function = FunctionType(method.__code__, method.__globals__ | replaced)
    phonemizer.phonemize = MethodType(function, phonemizer)


def _espeak_words(process: PiperPhonemizerProcess, words: Sequence[str]) -> Sequence[str]:
    """As `PhonemesOf`; a block's phonemes are what it holds."""
    cleaned = [_prepare(clean_text(Segment(word))) for word in words if not _is_block(word)]
    spoken = iter(process.phonemize_each([text for text in cleaned if text]))
    asked = iter([next(spoken) if text else "" for text in cleaned])
    return [word[2:-2].strip() if _is_block(word) else next(asked) for word in words]


def _letters(words: Sequence[str]) -> Sequence[str]:
    """As `PhonemesOf`, for voices whose phonemes are letters."""
    return [unicodedata.normalize("NFD", word) for word in words]


def _is_block(word: str) -> bool:
    return word.startswith("[[") and word.endswith("]]")


def _prepare(text: str) -> str:
    """The text as the package can take it without losing sounds or pauses."""
    return _FINAL_ELLIPSIS.sub(".", _move_marks_into_blocks(_drop_unclosed_block(text)))


def _drop_unclosed_block(text: str) -> str:
    """Blank brackets that open and do not close: the package would read phonemes and lose two letters."""
    head, close, tail = text.rpartition("]]")
    return head + close + tail.replace("[[", " ")


def _move_marks_into_blocks(text: str) -> str:
    """Move punctuation after a block into it: the package would lose it, and its pause."""
    return _MARKED_BLOCK.sub(r"\1]]", text)
