"""Bounded reads of regular files: a pipe would block for ever, and a huge file take the memory."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def read_regular_file(path: Path, limit: int) -> bytes:
    """Return the content of a file: all of it, or `limit` + 1 bytes of one that is longer. Blocks.

    Raises:
        OSError: it cannot be read, or is something else: a directory, a pipe, a device.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(limit + 1)
    except IsADirectoryError:
        pass
    raise OSError("it is not a regular file")


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file for `open(opener=...)`: a pipe without waiting for whoever is at its other end."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)
