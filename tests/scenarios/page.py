"""The product with its page and every kind of voice that the page shows, for pictures of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import VOICES

__all__ = ["Site", "site_with_kokoro"]


@contextmanager
def site_with_kokoro(directory: Path) -> Iterator[Site]:
    """The product in a thread: the embedded voice speaks, Piper's and Kokoro's small models are there too."""
    kokoro = {"kokoro_model": VOICES / "kokoro-tones.onnx", "kokoro_voices": VOICES / "voices-tones.bin"}
    with site_in_a_thread(directory, voice="espeak-en-us", **kokoro) as site:
        yield site
