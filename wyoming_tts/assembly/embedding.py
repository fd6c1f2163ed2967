"""Embedding: a synthesizer in the caller's own process and event loop, made from the settings alone.

No port is opened and nothing is fetched: it speaks with the voices that are installed, and with those of
the servers that the setting `remote` names.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wyoming_tts.assembly.parts import Parts, assemble, open_workers
from wyoming_tts.scheduler import Lookahead
from wyoming_tts.settings import Settings
from wyoming_tts.synthesis import Synthesizer

_AS_FAST_AS_PULLED = Lookahead(alone=math.inf)
"""The caller may write a file as well as play: what it does not pull is not computed anyway."""


@asynccontextmanager
async def open_synthesizer(settings: Settings | None = None) -> AsyncIterator[Synthesizer]:
    """Start a synthesizer; leaving the block frees its models and ends its threads.

    Args:
        settings: As for the server; those about listening, HTTP, downloads and logs have no effect. None
            takes the defaults.

    Raises:
        SettingsError: the engine that was chosen is not installed.
    """
    async with open_parts(settings or Settings()) as parts:
        yield parts.synthesizer


@asynccontextmanager
async def open_parts(settings: Settings) -> AsyncIterator[Parts]:
    """Make all parts with worker threads of their own; otherwise as `open_synthesizer`.

    Raises:
        SettingsError: the chosen engine is not installed.
    """
    async with open_workers(settings, _AS_FAST_AS_PULLED) as workers, assemble(settings, workers) as parts:
        await parts.refresh_remote_voices()
        yield parts
