"""What markup makes of a text: parts in order, each text with the manner it is to be spoken in.

SSML and the tags of plain text both come down to these, so whatever follows knows one form alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from wyoming_tts.speech import VoiceRequest

MAX_BREAK_SECONDS = 10.0
"""Seconds; a longer one asked for is a mistake or an attack, and a listener takes it for the end."""

MAX_BLOCK_CHARS = 500
"""Characters of a `[[ phonemes ]]` block with its brackets; a longer one is plain text."""


class InterpretAs(StrEnum):
    """What the content of a `say-as` is."""

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
    """How a text is to be read; the whole content of the element is in one `StyledText`."""

    interpret_as: InterpretAs
    format: str = ""
    """As written, in lower case: `ymd`, `hms12`."""


@dataclass(frozen=True, slots=True)
class SpeakingStyle:
    """How to speak, relative to what the utterance asks for; neutral values change nothing."""

    rate: float = 1.0
    """2.0 takes half the time."""
    volume: float = 1.0
    """Linear gain."""
    pitch: float = 1.0
    """Relative, for engines that can."""
    voice: VoiceRequest | None = None
    """Another voice than the utterance's own."""
    language: str | None = None
    """The language that the text is said to be in, as written: `de`, `de-DE`. Not a request for a voice."""
    say_as: SayAs | None = None


NEUTRAL = SpeakingStyle()


@dataclass(frozen=True, slots=True)
class StyledText:
    """Text to be read as any plain text. Neighbours of one manner may be divided anywhere."""

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
    """The sentence before is over, whatever mark it ends with; never without text before it.

    No white space need be on either side of it, or of a paragraph's end.
    """


@dataclass(frozen=True, slots=True)
class ParagraphEnd:
    """The paragraph before is over, and with it its last sentence; never without text before it."""


MarkupPart: TypeAlias = StyledText | PhonemeBlock | Break | SentenceEnd | ParagraphEnd
