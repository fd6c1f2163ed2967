"""Map of the voices of Kokoro's pack for the Blend tab, computed once for each pack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.style_tables import read_pack
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.voices.blends.voice_map import MapPoint, map_voices


@dataclass(frozen=True, slots=True)
class MappedVoice:
    """A voice of the pack on the map of voices."""

    name: str
    language: str
    x: float
    """From -1 to 1, as `y` is."""
    y: float


class PackMap:
    """Where the voices of a pack lie; kept until the file is another one."""

    def __init__(self) -> None:
        """Have read none yet."""
        self._points: Mapping[str, MapPoint] = {}
        self._state: tuple[Path, int, int] | None = None

    def read(self, pack: Path, languages: Mapping[str, str]) -> tuple[MappedVoice, ...]:
        """Return where those of the voices lie whose languages are given. Blocks.

        Raises:
            VoiceUnavailable: the pack cannot be read.
        """
        try:
            status = pack.stat()
            state = pack, status.st_mtime_ns, status.st_size
            if state != self._state:
                self._points, self._state = map_voices(read_pack(pack)), state
        except (OSError, ValueError) as error:
            reason = system_reason(error) if isinstance(error, OSError) else str(error)
            raise VoiceUnavailable(
                Message("voices_not_read", "The voices cannot be read: {reason}.", reason=reason)
            ) from error
        return tuple(
            MappedVoice(name, languages[name], *point)
            for name, point in self._points.items()
            if name in languages
        )
