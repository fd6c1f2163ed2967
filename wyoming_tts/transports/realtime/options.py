"""Options of realtime connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from wyoming_tts.encoders import EncoderOptions
from wyoming_tts.transports.realtime.session import OpusFormat, RealtimeLimits


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """Limits and timeouts of realtime connections. Times are in seconds."""

    limits: RealtimeLimits = field(default_factory=RealtimeLimits)
    flush_idle: float = 0.16
    """Appended text is spoken once no more has arrived for this long; 0 waits for the ends of sentences."""
    queued: int = 16
    """Responses a client may have queued, besides the one that is playing."""
    queued_chars: int = 200_000
    """Characters of text in the queued responses together; a single one may exceed it."""
    idle_timeout: float = 300.0
    """A connection with neither messages nor audio for this long is closed."""
    send_timeout: float = 60.0
    """A client that reads nothing for this long is disconnected."""
    slow_send: float = 0.0
    """A message that takes longer to send is logged; 0 logs none."""
    prime_bytes: int = 0
    """Bytes of PCM silence before the first audio of a response, for proxies that hold back what is small."""
    encoders: EncoderOptions = field(default_factory=EncoderOptions)
    opus: OpusFormat | None = None
    """Opus as these encoders make it; None where there is no libopus, and none can be asked for."""
