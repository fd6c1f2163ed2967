"""Japanese and Mandarin phonemes by misaki, the package that Kokoro's model was trained with.

It is an optional extra, without which these languages are not spoken: espeak-ng would call every kanji
"Chinese letter", and write the tones of Mandarin as digits, which the model does not know. Words in other
alphabets go to espeak-ng in any case, because misaki would pass letters on as if they were phonemes.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

from wyoming_tts.engines.kokoro.names import KokoroLanguage
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.messages import Message

_LOGGER = logging.getLogger(__name__)

EXTRA: Final = "wyoming-tts[misaki]"

_PARTS = {
    "ja": ("misaki", "fugashi", "jaconv", "unidic_lite"),
    "zh": ("misaki", "cn2an", "jieba", "ordered_set", "pypinyin"),
}
"""What the classes below import, or load their dictionaries from."""
_TOO_NEW = (3, 13)
"""The Python version from which on misaki declares itself unfit; what it needs for these languages is not."""

# The classes that upstream uses with this model; importing them alone spares what other languages need.
_CLASSES = {"ja": ("misaki.cutlet", "Cutlet"), "zh": ("misaki.zh", "ZHG2P")}
_ONE = "一"
"""A word of both languages; the first word that is phonemized makes misaki read its dictionaries."""

# Latin, Greek and Cyrillic words, with what stands between them.
_LETTER = "A-Za-zÀ-ÖØ-öø-ԯ"
_FOREIGN = re.compile(rf"([{_LETTER}](?:[{_LETTER}0-9'’ -]*[{_LETTER}])?)")
_GAP_BEFORE_MARK = re.compile(r" +(?=[,.;:!?…”)])")


def needed_parts(language: KokoroLanguage) -> tuple[str, ...]:
    """Modules that the language's phonemizer needs; none if espeak-ng phonemizes it."""
    return _PARTS.get(language.misaki or "", ())


def missing_parts(language: KokoroLanguage) -> tuple[str, ...]:
    """Those of `needed_parts` that are not installed. Imports none of them."""
    return tuple(part for part in needed_parts(language) if not _is_installed(part))


def how_to_install(version: tuple[int, ...] = sys.version_info[:2]) -> str:
    """How to install what is missing, for this version of Python."""
    command = f"pip install '{EXTRA}'"
    if version < _TOO_NEW:
        return Message("install_it", "Install it: {command}.", command=command)
    return Message(
        "install_both",
        "Install it: {command}, then {second}.",
        command=command,
        second="pip install --no-deps --ignore-requires-python misaki",
    )


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    return find_spec(module) is not None


class MisakiPhonemizer:
    """misaki for one language, for any number of threads."""

    def __init__(self, language: str) -> None:
        """Import it and have it read its dictionaries, which takes about a second.

        Args:
            language: misaki's name of it, `ja` or `zh`.

        Raises:
            Exception: of any kind, if a package or a dictionary is missing.
        """
        if language == "ja" and not _is_installed("mojimoji"):
            sys.modules["mojimoji"] = _width_converter()
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


def _width_converter() -> ModuleType:
    """A stand-in for the package mojimoji, of which there are wheels for few machines, by jaconv.

    misaki converts full-width digits and letters to narrow ones with it, and narrow kana to wide ones.
    """
    jaconv = import_module("jaconv")
    module = ModuleType("mojimoji")
    vars(module).update(
        zen_to_han=lambda text, *, kana: jaconv.z2h(text, kana=kana, ascii=True, digit=True),
        han_to_zen=lambda text, *, digit, ascii: jaconv.h2z(text, kana=True, digit=digit, ascii=ascii),  # noqa: A006  # as it is called
    )
    return module


class MisakiPhonemizers:
    """misaki for each language that needs it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[str, MisakiPhonemizer | str] = {}
        """By language; what went wrong where it could not be loaded."""

    def find(self, language: KokoroLanguage) -> MisakiPhonemizer | None:
        """The language's phonemizer, loaded at its first use; None if espeak-ng phonemizes the language.

        Raises:
            VoiceUnavailable: it cannot be loaded.
        """
        if language.misaki is None:
            return None
        with self._lock:
            if language.misaki not in self._found:
                self._found[language.misaki] = _try_load(language.misaki)
            found = self._found[language.misaki]
        if isinstance(found, str):
            raise VoiceUnavailable(
                Message(
                    "no_misaki",
                    "Kokoro cannot speak {language}: misaki cannot be used: {reason}.",
                    language=language.tag,
                    reason=found,
                ),
                hint=how_to_install(),
            )
        return found


def _try_load(name: str) -> MisakiPhonemizer | str:
    try:
        return MisakiPhonemizer(name)
    except Exception as error:  # noqa: BLE001  # of a package or its dictionary
        return str(error) or type(error).__name__
