"""Kokoro's phonemes for a text: by espeak-ng or misaki, with `[[ IPA ]]` passed through.

misaki is used for the languages that it phonemizes better. The model's vocabulary is that of espeak-ng and
of misaki, so a sign of IPA that it lacks becomes the nearest that it has.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from wyoming_tts.engines.kokoro.misaki import MisakiPhonemizers
from wyoming_tts.engines.kokoro.names import KokoroLanguage
from wyoming_tts.engines.phonemizer.client import KokoroPhonemizerProcess
from wyoming_tts.ipa import has_phoneme_blocks, split_phoneme_blocks
from wyoming_tts.languages import language_code

_FOREIGN_WORDS = "en-us"
# Of Chinese, Japanese and Hindi, the languages of Kokoro that do not write with Latin punctuation.
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

_NEAREST: Final = str.maketrans(
    {
        **dict(zip("gʏʉɘɵɞɶɱʍɫɬɮʑʐʀħɦʕʜʟɺɢɓɗʄɠ'’:,", "ɡyuəəɜamwlllʒʒʁhhʔhlɾɡbdɟɡˈˈːˌ", strict=True)),
        **dict.fromkeys("\u0361\u035c.|‖‿-ˑ()", None),
        "ɝ": "ɜː",
        "\u0329": None,
    }
)
_APART: Final = "¿"
"""A punctuation mark that no language has between words."""
_SYLLABIC: Final = "\u0329"


class KokoroPhonemizer:
    """Phonemizer of all languages: espeak-ng in a process for each, started at its first use, and misaki."""

    def __init__(self, misaki: MisakiPhonemizers) -> None:
        self._misaki = misaki
        self._lock = threading.Lock()
        self._espeak: dict[str, KokoroPhonemizerProcess] = {}

    def start(self, language: KokoroLanguage) -> None:
        """Start the language's process in the background, and load misaki if it needs that."""
        self._espeak_for(language.espeak)
        self._misaki.find(language)

    def phonemes(self, text: str, language: KokoroLanguage) -> str:
        """Phonemes and punctuation of a text on one line, not all of which the model may know.

        Raises:
            EngineFailed: espeak-ng crashed on the text.
        """
        return phonemize_around_blocks(
            text, lambda part: self._phonemize(part, language), language=language.espeak
        )

    def phonemes_of_words(self, words: Sequence[str], language: KokoroLanguage) -> list[str]:
        """The phonemes of each word by itself.

        Raises:
            EngineFailed: espeak-ng crashed on them.
        """
        if self._misaki.find(language) is None and not any(_APART in word for word in words):
            # In one request, with a mark between them that no word has.
            phonemes = self.phonemes(f"{_APART} ".join(words), language).split(_APART)
            if len(phonemes) == len(words):
                return phonemes
        return [self.phonemes(word, language) for word in words]

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            for process in self._espeak.values():
                process.close()
            self._espeak.clear()

    def _phonemize(self, text: str, language: KokoroLanguage) -> str:
        text = _with_latin_marks(text)
        espeak = self._espeak_for(language.espeak)
        misaki = self._misaki.find(language)
        if misaki is None:
            return espeak.phonemes(text)
        return misaki.phonemes(text, foreign=self._phonemize_english, fallback=espeak.phonemes)

    def _phonemize_english(self, text: str) -> str:
        return self._espeak_for(_FOREIGN_WORDS).phonemes(text)

    def _espeak_for(self, language: str) -> KokoroPhonemizerProcess:
        with self._lock:
            if language not in self._espeak:
                self._espeak[language] = KokoroPhonemizerProcess(language)
            return self._espeak[language]


def _with_latin_marks(text: str) -> str:
    """Replace other scripts' punctuation and spaced hyphens by marks that the model knows."""
    return _SPACED_HYPHEN.sub("—", text.translate(_LATIN_MARKS))


def phonemize_around_blocks(text: str, phonemize: Callable[[str], str], *, language: str) -> str:
    """Phonemize a text on one line that may hold blocks of IPA.

    Args:
        text: On one line.
        phonemize: Turns a text without blocks into phonemes and punctuation.
        language: espeak-ng's name of it. In English `r` becomes `ɹ`, which is what dictionaries mean by it.
    """
    if not has_phoneme_blocks(text):
        return phonemize(text)
    return "".join(
        _model_symbols(part.text, language) if part.is_ipa else _phonemize_part(part.text, phonemize)
        for part in split_phoneme_blocks(text)
    )


def _model_symbols(ipa: str, language: str) -> str:
    signs = unicodedata.normalize("NFD", " ".join(ipa.split())).replace("c\u0327", "ç")
    for consonant in "lmnŋɫr":
        signs = signs.replace(consonant + _SYLLABIC, f"ə{consonant}")
    symbols = signs.translate(_NEAREST)
    return symbols.replace("r", "ɹ") if language_code(language) == "en" else symbols


def _phonemize_part(text: str, phonemize: Callable[[str], str]) -> str:
    """Phonemes with the spaces around the text, which keep a block apart from words."""
    inner = text.strip()
    spoken = phonemize(inner).strip() if any(map(str.isalnum, inner)) else inner
    before = " " if text[:1].isspace() else ""
    return f"{before}{spoken} " if inner and text[-1:].isspace() else f"{before}{spoken}"
