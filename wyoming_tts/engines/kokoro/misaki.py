"""Japanese and Mandarin phonemes for Kokoro by misaki, the package that its model was trained with.

It is an extra: without it espeak-ng speaks these languages, poorly. What is written in other letters
within a text goes to espeak-ng either way, since misaki would hand letters on as if they were phonemes.
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

# The classes that upstream takes for this model, without what they would import for others.
_CLASSES = {"ja": ("misaki.cutlet", "Cutlet"), "zh": ("misaki.zh", "ZHG2P")}
_ONE = "一"
"""A word of both languages; the first one that is asked for has the dictionaries read."""

# Latin, Greek and Cyrillic words with what stands between them.
_LETTER = "A-Za-zÀ-ÖØ-öø-ԯ"
_FOREIGN = re.compile(rf"([{_LETTER}](?:[{_LETTER}0-9'’ -]*[{_LETTER}])?)")
_GAP_BEFORE_MARK = re.compile(r" +(?=[,.;:!?…”)])")


class MisakiPhonemizer:
    """misaki for one language; used by any number of threads."""

    def __init__(self, language: str) -> None:
        """Import it and have it read its dictionaries, which takes about a second.

        Args:
            language: as misaki calls it: `ja` or `zh`.

        Raises:
            Exception: a package or a dictionary is missing, in as many ways as there are.
        """
        module, name = _CLASSES[language]
        self._g2p: Callable[[str], Any] = getattr(import_module(module), name)()
        # It logs on a handler of its own, past the format and level that the server logs with.
        logging.getLogger("jieba").handlers.clear()
        logging.getLogger("jieba").setLevel(logging.WARNING)
        self._lock = threading.Lock()
        self._made_of(_ONE)

    def phonemes(self, text: str, *, foreign: Callable[[str], str], poorly: Callable[[str], str]) -> str:
        """The text's phonemes and marks.

        Args:
            text: On one line, with marks that the model knows.
            foreign: Phonemizes what is written in other letters.
            poorly: Phonemizes what misaki fails at.
        """
        parts = [part.strip() for part in self._parts(text, foreign, poorly)]
        return _GAP_BEFORE_MARK.sub("", " ".join(filter(None, parts)))

    def _parts(self, text: str, foreign: Callable[[str], str], poorly: Callable[[str], str]) -> Iterator[str]:
        # Split at a pattern with a group: every second one is foreign.
        for index, part in enumerate(_FOREIGN.split(text)):
            if index % 2:
                yield foreign(part)
            else:
                yield self._native(part, poorly) if any(map(str.isalnum, part)) else part

    def _native(self, text: str, poorly: Callable[[str], str]) -> str:
        try:
            return self._made_of(text)
        except Exception as error:  # noqa: BLE001  # it asserts much; a poor sentence is better than none
            # Not the error itself: it may quote the text.
            kind = type(error).__name__
            _LOGGER.warning("misaki failed at %d characters (%s): espeak-ng reads them.", len(text), kind)
            return poorly(text)

    def _made_of(self, text: str) -> str:
        with self._lock:
            phonemes, _ = self._g2p(text.strip())
        return str(phonemes)


class MisakiPhonemizers:
    """misaki where a language needs it and it is installed; where it is not, that is told once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, MisakiPhonemizer | None] = {}

    def of(self, language: KokoroLanguage) -> MisakiPhonemizer | None:
        """None where espeak-ng is to do it."""
        if language.misaki is None:
            return None
        with self._lock:
            if language.misaki not in self._found:
                self._found[language.misaki] = _loaded(language, language.misaki)
            return self._found[language.misaki]


def _loaded(language: KokoroLanguage, name: str) -> MisakiPhonemizer | None:
    try:
        return MisakiPhonemizer(name)
    except Exception as error:  # noqa: BLE001  # of a package or its dictionary
        _LOGGER.warning(
            "Kokoro's pronunciation of %s is poor: espeak-ng makes it, for misaki cannot be used (%s). "
            "Install %s for a better one.",
            language.tag,
            error,
            EXTRA,
        )
        return None
