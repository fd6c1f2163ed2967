"""Ending a process by SIGTERM, and by SIGKILL if that does not end it."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process


async def end_process(process: Process, *, patience: float) -> None:
    """End a process and wait for it; it is killed when it has not ended after `patience` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(patience):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
