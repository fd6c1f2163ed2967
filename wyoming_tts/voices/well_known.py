"""Names that clients send without knowing this server: those of OpenAI's voices, and `female` and `male`.

Each stands for a Kokoro voice that is like it, if that is installed; it never fails and fetches nothing,
because such a client cannot be told to send another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

from wyoming_tts.languages import LanguageTag
from wyoming_tts.speech import Voice

_ENGINE = "kokoro"

_FEMALE = ("af_heart", "af_bella", "af_nicole", "bf_emma", "af_aoede", "af_kore", "af_sarah")
_MALE = ("am_michael", "am_fenrir", "am_puck", "bm_fable", "bm_george", "bm_lewis", "am_echo")
"""By upstream's grades, the best first."""

NAMES = MappingProxyType(
    {
        "alloy": ("af_alloy", *_FEMALE),
        "ash": ("am_eric", *_MALE),
        "ballad": ("bm_george", *_MALE),
        "coral": ("af_bella", *_FEMALE),
        "echo": ("am_echo", *_MALE),
        "fable": ("bm_fable", *_MALE),
        "female": _FEMALE,
        "male": _MALE,
        "nova": ("af_nova", *_FEMALE),
        "onyx": ("am_onyx", *_MALE),
        "sage": ("af_sarah", *_FEMALE),
        "shimmer": ("af_sky", *_FEMALE),
        "verse": ("am_puck", *_MALE),
    }
)
"""The Kokoro voices that each name stands for, the likest first."""


def likest(name: str, voices: Sequence[Voice], language: LanguageTag) -> Voice | None:
    """The installed Kokoro voice that a name of `NAMES` stands for and that speaks the language.

    Where none of its own speaks it, one of the same gender that does; None where there is none.
    """
    speaking = {
        voice.name: voice
        for voice in voices
        if voice.engine == _ENGINE and LanguageTag.parse(voice.language).speaks(language)
    }
    own = (speaking[wanted] for wanted in NAMES[name] if wanted in speaking)
    gender = NAMES[name][0][1]  # of `af_heart`
    alike = (voice for voice in speaking.values() if voice.name[1:3] == f"{gender}_")
    return next(own, None) or next(alike, None)
