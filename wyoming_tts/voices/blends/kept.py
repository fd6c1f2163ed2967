"""Cache of the kept blends: as they were last read from the disk, for those who must not wait for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.errors import SpeechError
from wyoming_tts.speech import Voice
from wyoming_tts.voices.blends.mixing import BlendBook
from wyoming_tts.voices.blends.store import BlendStore
from wyoming_tts.voices.blends.voices import BlendedVoice, BlendedVoices
from wyoming_tts.voices.catalogue import BLENDING_ENGINE
from wyoming_tts.voices.names import same_name

_LOGGER = logging.getLogger(__name__)


class KeptBlends:
    """The blends on the disk, and as they were last read."""

    def __init__(
        self,
        store: BlendStore,
        *,
        run_blocking: RunBlocking,
        as_voice: Callable[[Voice, BlendedVoice], Voice],
    ) -> None:
        """Read nothing yet.

        Args:
            store: Where they are kept.
            run_blocking: Reads them.
            as_voice: Makes a blend of one of the voices that it mixes, as their engine speaks it.
        """
        self.store = store
        """Blocks: for `run_blocking`."""
        self._run_blocking = run_blocking
        self._as_voice = as_voice
        self._book = BlendBook()

    async def read(self) -> None:
        """Read them; if they cannot be, those that were read before stay."""
        try:
            self._book = await self._run_blocking(self.store.book)
        except SpeechError as error:
            _LOGGER.error("The blends read before stay in use. %s", error)  # noqa: TRY400 - it says it all

    def voice(self, name: str, installed: Iterable[Voice]) -> Voice | None:
        """Return the voice that speaks as a blend's name or recipe says; touches no file.

        Args:
            name: The name of a kept blend or a recipe, which may be of one voice alone.
            installed: All voices that are here.

        Returns:
            None if nothing can be blended, or the name is neither.

        Raises:
            SpeechError: the recipe is malformed, or one of its voices is not here.
        """
        here = {
            voice.name: voice
            for voice in installed
            if voice.engine == BLENDING_ENGINE and voice.version is None
        }
        if not here:
            return None
        languages = {voice.name: voice.language for voice in here.values()}
        found = BlendedVoices(lambda: self._book, lambda: languages).find(name)
        if found is not None:
            return self._as_voice(_made_of([here[part] for part in sorted(found.made_of)], found), found)
        own = same_name(name, here)
        return here[own] if own is not None else None


def _made_of(parts: list[Voice], blend: BlendedVoice) -> Voice:
    """The first of the voices with the files of all, and a fingerprint that changes with each of them."""
    files = dict.fromkeys(path for part in parts for path in part.files)
    prints = dict.fromkeys(part.fingerprint for part in parts)
    return replace(parts[0], files=tuple(files), fingerprint=",".join([*prints, blend.identity]))
