"""Texts with `[[ phonemes ]]` for Kokoro, which speaks IPA: a block goes to the model as it is.

Its vocabulary is that of espeak-ng and of misaki, so a sign it lacks is given by the nearest it has.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

from wyoming_tts.engines.phoneme_blocks import has_phonemes, parts
from wyoming_tts.languages import language_code

_NEAREST: Final = str.maketrans(
    {
        **dict(zip("gʏʉɘɵɞɶɱʍɫɬɮʑʐʀħɦʕʜʟɺɢɓɗʄɠ'’:,", "ɡyuəəɜamwlllʒʒʁhhʔhlɾɡbdɟɡˈˈːˌ", strict=True)),
        **dict.fromkeys("\u0361\u035c.|‖‿-ˑ()", None),
        "ɝ": "ɜː",
        "\u0329": None,
    }
)
_SYLLABIC: Final = "\u0329"


def phonemes(text: str, phonemize: Callable[[str], str], *, language: str) -> str:
    """The phonemes of a text on one line, some of it given as blocks of IPA.

    Args:
        text: On one line.
        phonemize: Turns a text without blocks into phonemes and marks.
        language: As espeak-ng calls it. In English `r` is `ɹ`, as dictionaries mean it.
    """
    if not has_phonemes(text):
        return phonemize(text)
    made = (
        _symbols(part.text, language) if part.is_ipa else _with_gaps(part.text, phonemize)
        for part in parts(text)
    )
    return "".join(made)


def _symbols(ipa: str, language: str) -> str:
    signs = unicodedata.normalize("NFD", " ".join(ipa.split())).replace("c\u0327", "ç")
    for consonant in "lmnŋɫr":
        signs = signs.replace(consonant + _SYLLABIC, f"ə{consonant}")
    symbols = signs.translate(_NEAREST)
    return symbols.replace("r", "ɹ") if language_code(language) == "en" else symbols


def _with_gaps(text: str, phonemize: Callable[[str], str]) -> str:
    """The phonemes with the spaces around the text, by which a block stays apart from words."""
    inner = text.strip()
    spoken = phonemize(inner).strip() if any(map(str.isalnum, inner)) else inner
    before = " " if text[:1].isspace() else ""
    return f"{before}{spoken} " if inner and text[-1:].isspace() else f"{before}{spoken}"
