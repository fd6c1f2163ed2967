"""Japanese and Mandarin phonemes by misaki, the package that Kokoro's model was trained with.

It is an optional extra: without it espeak-ng phonemizes these languages, poorly. Words in other alphabets
go to espeak-ng in any case, because misaki would pass letters on as if they were phonemes.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Final

from wyoming_tts.engines.kokoro.names import KokoroLanguage

_LOGGER = logging.getLogger(__name__)

EXTRA: Final = "wyoming-tts[misaki]"

# The classes that upstream uses with this model; importing them alone spares what other languages need.
_CLASSES = {"ja": ("misaki.cutlet", "Cutlet"), "zh": ("misaki.zh", "ZHG2P")}
_ONE = "一"
"""A word of both languages; the first word that is phonemized makes misaki read its dictionaries."""

# Latin, Greek and Cyrillic words, with what stands between them.
_LETTER = "A-Za-zÀ-ÖØ-öø-ԯ"
_FOREIGN = re.compile(rf"([{_LETTER}](?:[{_LETTER}0-9'’ -]*[{_LETTER}])?)")
_GAP_BEFORE_MARK = re.compile(r" +(?=[,.;:!?…”)])")


class MisakiPhonemizer:
    """misaki for one language, for any number of threads."""

    def __init__(self, language: str) -> None:
        """Import it and have it read its dictionaries, which takes about a second.

        Args:
            language: misaki's name of it, `ja` or `zh`.

        Raises:
            Exception: of any kind, if a package or a dictionary is missing.
        """
        module, name = _CLASSES[language]
        self._g2p: Callable[[str], Any] = getattr(import_module(module), name)()
        # It adds a handler of its own, which would bypass the server's log format and level.
        logging.getLogger("jieba").handlers.clear()
        logging.getLogger("jieba").setLevel(logging.WARNING)
        self._lock = threading.Lock()
        self._phonemize(_ONE)

    def phonemes(self, text: str, *, foreign: Callable[[str], str], fallback: Callable[[str], str]) -> str:
        """The text's phonemes and punctuation.

        Args:
            text: On one line, with punctuation that the model knows.
            foreign: Phonemizes words in other alphabets.
            fallback: Phonemizes what misaki fails at.
        """
        parts = [part.strip() for part in self._parts(text, foreign, fallback)]
        return _GAP_BEFORE_MARK.sub("", " ".join(filter(None, parts)))

    def _parts(
        self, text: str, foreign: Callable[[str], str], fallback: Callable[[str], str]
    ) -> Iterator[str]:
        # The pattern has a group, so every second part is foreign.
        for index, part in enumerate(_FOREIGN.split(text)):
            if index % 2:
                yield foreign(part)
            else:
                yield self._native(part, fallback) if any(map(str.isalnum, part)) else part

    def _native(self, text: str, fallback: Callable[[str], str]) -> str:
        try:
            return self._phonemize(text)
        except Exception as error:  # noqa: BLE001  # it is full of asserts; a poor sentence is better than none
            # The error itself is not logged: it may quote the text.
            kind = type(error).__name__
            _LOGGER.warning(
                "misaki failed on %d characters (%s): espeak-ng phonemizes them.", len(text), kind
            )
            return fallback(text)

    def _phonemize(self, text: str) -> str:
        with self._lock:
            phonemes, _ = self._g2p(text.strip())
        return str(phonemes)


class MisakiPhonemizers:
    """misaki for each language that needs it, if it is installed; if not, one warning says so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, MisakiPhonemizer | None] = {}

    def find(self, language: KokoroLanguage) -> MisakiPhonemizer | None:
        """The language's phonemizer, loaded at its first use; None if espeak-ng has to do it."""
        if language.misaki is None:
            return None
        with self._lock:
            if language.misaki not in self._found:
                self._found[language.misaki] = _try_load(language, language.misaki)
            return self._found[language.misaki]


def _try_load(language: KokoroLanguage, name: str) -> MisakiPhonemizer | None:
    try:
        return MisakiPhonemizer(name)
    except Exception as error:  # noqa: BLE001  # of a package or its dictionary
        _LOGGER.warning(
            "Kokoro's pronunciation of %s is poor: misaki cannot be used (%s), so espeak-ng phonemizes it. "
            "Install %s for a better one.",
            language.tag,
            error,
            EXTRA,
        )
        return None
