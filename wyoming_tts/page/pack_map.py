"""Map of the Kokoro voices for the Blend tab, computed once for each pack and what was imported beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.known_files import FileStamp, stamp_of
from wyoming_tts.messages import Message
from wyoming_tts.style_tables import read_pack
from wyoming_tts.system_reasons import reason_of
from wyoming_tts.voices.blends.voice_map import MapPoint, map_voices
from wyoming_tts.voices.style_files import read_style_file


@dataclass(frozen=True, slots=True)
class MappedVoice:
    """A voice with a style table of its own on the map of voices."""

    name: str
    language: str
    x: float
    """From -1 to 1, as `y` is."""
    y: float


class PackMap:
    """Where the voices of a pack and the imported ones lie; kept until a file is another one."""

    def __init__(self) -> None:
        """Have read none yet."""
        self._points: Mapping[str, MapPoint] = {}
        self._stamps: Mapping[Path, FileStamp] = {}

    def read(
        self, pack: Path, imported: Mapping[str, Path], languages: Mapping[str, str]
    ) -> tuple[MappedVoice, ...]:
        """Return where those of the voices lie whose languages are given. Blocks.

        Args:
            pack: The voice pack.
            imported: Files of further style tables by voice; of one name, the voice of the pack goes first.
            languages: Language tags by voice, of those that are wanted.

        Raises:
            VoiceUnavailable: the pack or an imported file cannot be read.
            BadRequest: an imported file is no longer a style table.
        """
        try:
            stamps = {path: stamp_of(path) for path in (pack, *imported.values())}
            if stamps != self._stamps:
                tables = {name: read_style_file(path) for name, path in imported.items()}
                self._points, self._stamps = map_voices(tables | read_pack(pack)), stamps
        except (OSError, ValueError) as error:
            reason = reason_of(error)
            raise VoiceUnavailable(
                Message("voices_not_read", "The voices cannot be read: {reason}.", reason=reason)
            ) from error
        return tuple(
            MappedVoice(name, languages[name], *point)
            for name, point in self._points.items()
            if name in languages
        )
