"""Text input of the command line: standard input as it arrives, or a text that is complete."""

from __future__ import annotations

import asyncio
import codecs
import os
from collections.abc import AsyncIterator

from wyoming_tts.client.errors import ClientError

_READ_BYTES = 65536


async def single_piece(text: str) -> AsyncIterator[str]:
    """Yield a complete text, where pieces are expected."""
    yield text


async def read_stdin_text(fd: int = 0) -> AsyncIterator[str]:
    """Yield text as it arrives at stdin, whether that is a pipe, a terminal or a file.

    UTF-8 with or without a byte order mark; invalid bytes are replaced. A character split between two reads
    is kept whole.

    Raises:
        ClientError: stdin cannot be read.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    while data := await _read_bytes(fd):
        if text := decoder.decode(data):
            yield text
    if rest := decoder.decode(b"", final=True):
        yield rest


async def _read_bytes(fd: int) -> bytes:
    try:
        await _wait_readable(fd)
        return os.read(fd, _READ_BYTES)
    except OSError as error:
        raise ClientError(f"Cannot read the text from stdin: {error.strerror}.") from error


async def _wait_readable(fd: int) -> None:
    # A pipe transport would switch the descriptor to non-blocking mode, and a terminal shares that flag with
    # stdout, stderr and the shell that runs afterwards.
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except PermissionError:
        # epoll refuses regular files and /dev/null; they are always readable.
        await asyncio.sleep(0)
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
