"""The catalogue of a running server, which may be replaced: a newer index may come while it runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.voices.catalogue import BLENDING_ENGINE, Catalogue, load_catalogue


class KnownVoices:
    """The catalogue as it was last read."""

    def __init__(self, index: Path, run_blocking: RunBlocking) -> None:
        """Read nothing yet.

        Args:
            index: A newer index of the Piper voices, which need not be there.
            run_blocking: Reads the files.
        """
        self._index = index
        self._run_blocking = run_blocking
        self.catalogue = Catalogue(())

    async def read(self) -> None:
        """Read which voices could be fetched."""
        self.catalogue = await self._run_blocking(partial(load_catalogue, self._index))

    def pack(self) -> dict[str, str]:
        """Return the languages of the voices that can be blended, by name."""
        blending = (voice for voice in self.catalogue.voices if voice.engine == BLENDING_ENGINE)
        return {voice.name: voice.language for voice in blending}
