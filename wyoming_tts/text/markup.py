"""Markup parts: what SSML and inline voice tags both become, so that later stages know one form.

A text with markup is a sequence of these parts; each text carries the style that it is spoken in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from wyoming_tts.speech import VoiceRequest

MAX_BREAK_SECONDS = 10.0
"""Longer breaks are shortened: they are mistakes or attacks, and a listener takes them for the end."""
MAX_BREAKS_SECONDS = 3_600.0
"""Of all breaks of an utterance together: an hour is more than a guided meditation has, but a request of
100,000 characters can hold breaks of 14 hours."""

MAX_BLOCK_CHARS = 500
"""Characters of a `[[ phonemes ]]` block with its brackets; a longer one is plain text."""


class InterpretAs(StrEnum):
    """The kinds of content that `say-as` can declare."""

    CARDINAL = "cardinal"
    ORDINAL = "ordinal"
    CHARACTERS = "characters"
    DIGITS = "digits"
    DATE = "date"
    TIME = "time"
    TELEPHONE = "telephone"
    UNIT = "unit"
    FRACTION = "fraction"
    CURRENCY = "currency"
    EXPLETIVE = "expletive"


@dataclass(frozen=True, slots=True)
class SayAs:
    """The `say-as` that applies to a text; the element's whole content is in one `StyledText`."""

    interpret_as: InterpretAs
    format: str = ""
    """As written, in lower case: `ymd`, `hms12`."""


@dataclass(frozen=True, slots=True)
class SpeakingStyle:
    """How to speak, relative to what the utterance requests; neutral values change nothing."""

    rate: float = 1.0
    """Factor of the speed: 2.0 takes half the time."""
    volume: float = 1.0
    """Linear gain."""
    pitch: float = 1.0
    """Factor of the frequency, for engines that support it."""
    voice: VoiceRequest | None = None
    """A voice other than the utterance's."""
    language: str | None = None
    """The declared language of the text as written, `de` or `de-DE`. Not a request for a voice."""
    say_as: SayAs | None = None


NEUTRAL = SpeakingStyle()


@dataclass(frozen=True, slots=True)
class StyledText:
    """Text that is processed like plain text; consecutive texts of one style may be divided anywhere."""

    text: str
    style: SpeakingStyle = NEUTRAL


@dataclass(frozen=True, slots=True)
class PhonemeBlock:
    """Phonemes, as one `[[ ]]` block in IPA."""

    block: str
    style: SpeakingStyle = NEUTRAL


@dataclass(frozen=True, slots=True)
class Break:
    """A pause, more than 0 and up to `MAX_BREAK_SECONDS`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SentenceEnd:
    """The end of a sentence, whatever mark it ends with; never without text before it.

    It does not need white space on either side, and neither does a `ParagraphEnd`.
    """


@dataclass(frozen=True, slots=True)
class ParagraphEnd:
    """The end of a paragraph and of its last sentence; never without text before it."""


MarkupPart: TypeAlias = StyledText | PhonemeBlock | Break | SentenceEnd | ParagraphEnd
