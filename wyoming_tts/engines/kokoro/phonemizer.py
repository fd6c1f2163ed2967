"""What turns a text into Kokoro's phonemes: espeak-ng, or misaki for the languages that it is better at."""

from __future__ import annotations

import re
import threading

from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers
from wyoming_tts.engines.kokoro.names import KokoroLanguage
from wyoming_tts.engines.phonemizer import KokoroPhonemizing

_FOREIGN_WORDS = "en-us"
# Of Chinese, Japanese and Hindi, the languages of Kokoro that do not write with Latin marks.
_LATIN_MARKS = str.maketrans(
    {
        **dict.fromkeys("，、､", ", "),
        **dict.fromkeys("。｡।॥", ". "),
        "；": "; ",
        "：": ": ",
        "！": "! ",
        "？": "? ",
    }
)
_SPACED_HYPHEN = re.compile(r"(?<=\s)[-–](?=\s)")


class KokoroPhonemizer:
    """espeak-ng by language, each in a process of its own, which starts when it is first wanted."""

    def __init__(self, misaki: MisakiPhonemizers) -> None:
        self._misaki = misaki
        self._lock = threading.Lock()
        self._languages: dict[str, KokoroPhonemizing] = {}

    def start(self, language: KokoroLanguage) -> None:
        """Have the language ready soon."""
        self._of(language.espeak)
        self._misaki.of(language)

    def phonemes(self, text: str, language: KokoroLanguage) -> str:
        """The phonemes and marks of a text, not all of which the model may know.

        Raises:
            EngineFailed: espeak-ng died of the text.
        """
        text = _with_latin_marks(text)
        espeak = self._of(language.espeak)
        misaki = self._misaki.of(language)
        if misaki is None:
            return espeak.phonemes(text)
        return misaki.phonemes(text, foreign=self._english, poorly=espeak.phonemes)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for process in self._languages.values():
                process.close()
            self._languages.clear()

    def _english(self, text: str) -> str:
        return self._of(_FOREIGN_WORDS).phonemes(text)

    def _of(self, language: str) -> KokoroPhonemizing:
        with self._lock:
            if language not in self._languages:
                self._languages[language] = KokoroPhonemizing(language)
            return self._languages[language]


def _with_latin_marks(text: str) -> str:
    """The marks of other scripts and spaced hyphens as those the model knows; else they would be lost."""
    return _SPACED_HYPHEN.sub("—", text.translate(_LATIN_MARKS))
