"""The server's parts in this process, with the test voices and without transports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.tones import LETTERS, VOICES
from wyoming_tts.assembly.parts import Parts, assemble, make_workers
from wyoming_tts.settings import Settings
from wyoming_tts.speech import AudioChunk


def settings_for_tests(**changes: Any) -> Settings:
    """Settings that speak letter by letter and never use the network."""
    given: dict[str, Any] = {
        "uri": "tcp://127.0.0.1:0",
        "voice": LETTERS.name,
        "data_dir": [VOICES],
        "offline": True,
        "zeroconf": False,
        "http": False,
        "metrics": False,
        "noise_scale": 0.0,
        "noise_w_scale": 0.0,
        "auto_punctuation": "",
    }
    return Settings(**given | changes)


@asynccontextmanager
async def running_parts(**changes: Any) -> AsyncIterator[Parts]:
    """The parts of a server without its transports; their threads end with the block."""
    async with running_parts_of(settings_for_tests(**changes)) as parts:
        yield parts


@asynccontextmanager
async def running_parts_of(settings: Settings) -> AsyncIterator[Parts]:
    """The same, of settings that are made."""
    workers = make_workers(settings)
    async with assemble(settings, workers) as parts:
        yield parts
    assert await workers.close()


def join_chunks(chunks: list[AudioChunk]) -> npt.NDArray[np.int16]:
    """Join chunks, which must follow each other without a gap."""
    position = 0
    for chunk in chunks:
        assert chunk.first_sample == position
        position += chunk.samples
    return np.frombuffer(b"".join(chunk.pcm for chunk in chunks), dtype="<i2")
