"""Identity of voices by the content of their files: the same on every machine, unlike times and paths.

Reading a model takes some tenths of a second: it is done once for each file, in the background, from when
somebody first asks. Until then the content counts as unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import NamedTuple

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.regular_files import open_regular_file
from wyoming_tts.speech import Voice
from wyoming_tts.voices.listing import stamp_of

_BLAKE2B = partial(blake2b, digest_size=32)


class _Content(NamedTuple):
    """A file as it was read."""

    stamp: str
    """As in a voice's fingerprint."""
    digest: str


class VoiceContents:
    """Digests of the files of voices, as far as they were asked for. `aclose` ends what is being read."""

    def __init__(self, run_blocking: RunBlocking) -> None:
        self._run_blocking = run_blocking
        self._known: dict[Path, _Content] = {}
        self._reading: asyncio.Task[None] | None = None

    def identity(self, voice: Voice) -> str | None:
        """Return what changes with a voice's sound and nothing else; None while its files are not read.

        A file that was replaced since the voice was listed is unknown: what still speaks may be the old one.
        """
        stamps = voice.fingerprint.split(",")
        known = [self._known.get(path) for path in voice.files]
        digests = [content.digest for content in known if content and content.stamp in stamps]
        if len(digests) < len(voice.files):
            self._read_soon(voice.files, stamps)
            return None
        model = "" if voice.files else voice.model  # else its path, which may differ
        return ":".join([voice.engine, model, voice.version or "", *digests])

    async def aclose(self) -> None:
        """End what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _read_soon(self, files: Sequence[Path], stamps: Sequence[str]) -> None:
        if self._reading is None or self._reading.done():  # else it is asked for again
            self._reading = asyncio.create_task(self._read(files, stamps), name="content of voices")

    async def _read(self, files: Sequence[Path], stamps: Sequence[str]) -> None:
        for path in files:
            content = self._known.get(path)
            if content is None or content.stamp not in stamps:
                read = await self._run_blocking(partial(_read_content, path, stamps))
                if read is not None:
                    self._known[path] = read


def _read_content(path: Path, stamps: Sequence[str]) -> _Content | None:
    """The content of a file, None if it is none of those that were listed."""
    try:
        before = stamp_of(path.stat())
        if before not in stamps:
            return None
        with open_regular_file(path) as file:
            digest = file_digest(file, _BLAKE2B).hexdigest()
        return _Content(before, digest) if stamp_of(path.stat()) == before else None
    except OSError:
        return None
