"""A realtime session: what holds for all responses of a connection until its client changes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

from wyoming_tts.bounded_json import JsonLimits
from wyoming_tts.speech import Start
from wyoming_tts.text.text_limits import TextLimits

PCM: Final = "pcm"
OPUS: Final = "opus"
DEFAULT_RATE = 24_000
"""Hz; what clients of OpenAI's APIs assume."""


@dataclass(frozen=True, slots=True)
class RealtimeLimits:
    """Size limits of messages and texts."""

    message_bytes: int = 1_000_000
    """UTF-8 bytes in one message."""
    text_chars: int = 100_000
    """Characters in the text of one response."""
    text_words: int = 0
    """Words in the text of one response; 0 is no limit."""
    json: JsonLimits = field(default_factory=JsonLimits)
    """Of one message; none has twenty values."""

    @property
    def text(self) -> TextLimits:
        """The longest text of one response."""
        return TextLimits(self.text_chars, self.text_words)


@dataclass(frozen=True, slots=True)
class OpusFormat:
    """What a client has to know to decode Opus packets."""

    pre_skip: int
    """Samples at 48 kHz that come before the audio, as in an OpusHead (RFC 7845)."""
    frame_ms: int = 20
    """Audio in each packet."""


@dataclass(frozen=True, slots=True)
class RealtimeSession:
    """Session settings: the defaults of responses that set nothing themselves."""

    id: str
    voice: str | None = None
    language: str | None = None
    speed: float | None = None
    """Relative to the server's setting; None is 1."""
    start: Start | None = None
    """When the first audio is sent; None takes the server's setting."""
    leading_silence: float | None = None
    """Seconds of silence before each response; None takes the server's setting."""
    patience: float | None = None
    """Seconds within which something has to be heard; None takes the server's setting."""
    sample_rate: int = DEFAULT_RATE
    binary: bool = False
    """Audio goes out as binary messages instead of base64 in events."""
    opus: OpusFormat | None = None
    """Audio goes out as Opus, a packet in each message; None: as PCM."""
    words: bool = True
    """Events tell when which word sounds."""

    def as_json(self) -> dict[str, Any]:
        """The complete session as a JSON object."""
        return {
            "id": self.id,
            "voice": self.voice,
            "language": self.language,
            "speed": self.speed,
            "start": self.start,
            "leading_silence": self.leading_silence,
            "patience": self.patience,
            "words": self.words,
            "audio": self.audio,
        }

    @property
    def audio(self) -> dict[str, Any]:
        """The audio format as a JSON object."""
        name = OPUS if self.opus else PCM
        audio = {"format": name, "sample_rate": self.sample_rate, "binary": self.binary}
        return audio | (asdict(self.opus) if self.opus else {})
