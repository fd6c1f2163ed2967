"""Costs over a restart: what was learned of voices is kept in a file of the state directory.

The first utterance after a start is then judged by what its voice costs, not by a first guess. A file that
cannot be read or written costs no more than that guess.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from wyoming_tts.atomic_write import replace_file
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.bounded_json import InvalidJson, JsonLimits, parse_json
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.synthesis import CostModel
from wyoming_tts.system_reasons import system_reason

FILE_NAME: Final = "voice_costs.json"

_LOGGER = logging.getLogger(__name__)

_INTERVAL_SECONDS: Final = 600.0
"""Between two writes: what is lost to a crash is learned again soon, and memory cards wear out by writes."""
_MAX_BYTES: Final = 256 * 1024
"""Of the file: three times what the costs of all voices take that are kept."""
_LIMITS: Final = JsonLimits(values=10_000, depth=3)


@asynccontextmanager
async def kept_costs(costs: CostModel, path: Path, run_blocking: RunBlocking) -> AsyncIterator[None]:
    """Read the costs of an earlier process, and write them now and then and when the block ends."""
    await run_blocking(partial(_read, costs, path))
    writing = asyncio.create_task(_write_now_and_then(costs, path, run_blocking), name="voice costs")
    try:
        yield
    finally:
        writing.cancel()
        await asyncio.wait({writing})
        await run_blocking(partial(_write, costs.to_json(), path))


async def _write_now_and_then(costs: CostModel, path: Path, run_blocking: RunBlocking) -> None:
    while True:
        await asyncio.sleep(_INTERVAL_SECONDS)
        await run_blocking(partial(_write, costs.to_json(), path))


def _read(costs: CostModel, path: Path) -> None:
    try:
        content = read_regular_file(path, _MAX_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        _LOGGER.warning(
            "What voices cost is learned anew: %s cannot be read: %s.", path, system_reason(error)
        )
        return
    try:
        stored = parse_json(content, _LIMITS) if len(content) <= _MAX_BYTES else None
    except InvalidJson:
        stored = None
    if isinstance(stored, dict):
        costs.load_json(stored)
    else:
        _LOGGER.warning("What voices cost is learned anew: %s is damaged.", path)


def _write(learned: dict[str, list[float]], path: Path) -> None:
    content = json.dumps(learned).encode()
    try:
        if not learned or (path.is_file() and path.read_bytes() == content):
            return
        replace_file(path, content)
    except OSError as error:
        _LOGGER.debug("%s cannot be written: %s.", path, system_reason(error))
