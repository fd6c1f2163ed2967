"""The server with its web page and a voice of every kind, for screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import VOICES

__all__ = ["Site", "site_with_kokoro"]


@contextmanager
def site_with_kokoro(directory: Path) -> Iterator[Site]:
    """Run the server in a thread: the embedded voice speaks, small Piper and Kokoro models are installed."""
    kokoro = {"kokoro_model": VOICES / "kokoro-tones.onnx", "kokoro_voices": VOICES / "voices-tones.bin"}
    with site_in_a_thread(directory, voice="espeak-en-us", **kokoro) as site:
        yield site
