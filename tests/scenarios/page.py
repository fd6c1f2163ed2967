"""The server with its web page and a voice of every kind, for screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.support.page_site import Site, site_in_a_thread
from tests.support.tones import VOICES

__all__ = ["Site", "site_with_kokoro"]

_KOKORO_NAMES = (
    *("af_bella", "af_heart", "af_nicole", "af_river", "af_sky"),
    *("am_adam", "am_echo", "am_fenrir", "am_michael", "am_puck"),
    *("bf_alice", "bf_emma", "bf_lily", "bm_fable", "bm_george"),
    *("bm_lewis", "ef_dora", "ff_siwis", "if_sara", "pf_dora"),
    *("pm_alex",),
)


@contextmanager
def site_with_kokoro(directory: Path) -> Iterator[Site]:
    """Run the server in a thread: the embedded voice speaks, small Piper and Kokoro models are installed."""
    kokoro = {"kokoro_model": VOICES / "kokoro-tones.onnx", "kokoro_voices": _named_pack(directory)}
    with site_in_a_thread(directory, voice="espeak-en-us", **kokoro) as site:
        yield site


def _named_pack(directory: Path) -> Path:
    """A pack of Kokoro voices with names that are known, whose places on the map are as of women and men."""
    path = directory / "voices-named.bin"
    random = np.random.default_rng(4)
    with np.load(VOICES / "voices-tones.bin") as tones, path.open("wb") as file:
        some = tones[tones.files[0]]
        axes = random.normal(size=(3, some.shape[-1])).astype(np.float32)
        tables = {}
        for name in _KOKORO_NAMES:
            place = 2 * (name[1] == "m") * axes[0] + random.normal(size=2) @ axes[1:]
            tables[name] = some + place.astype(np.float32)
        np.savez_compressed(file, **tables)
    return path
