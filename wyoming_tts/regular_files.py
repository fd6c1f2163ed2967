"""Reads of regular files only: a pipe would block for ever, and a huge file take the memory."""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path


def read_regular_file(path: Path, limit: int) -> bytes:
    """Return the content of a file: all of it, or `limit` + 1 bytes of one that is longer. Blocks.

    Raises:
        OSError: it cannot be read, or is something else: a directory, a pipe, a device.
    """
    with open_regular_file(path) as file:
        return file.read(limit + 1)


def open_regular_file(path: Path) -> BufferedReader:
    """Open a file for reading. Blocks, but for nobody at the other end of a pipe.

    Raises:
        OSError: it cannot be opened, or is something else: a directory, a pipe, a device.
    """
    try:
        file = open(path, "rb", opener=open_without_waiting)  # noqa: SIM115 - the caller closes it
    except IsADirectoryError:
        raise _not_regular() from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _not_regular()
    return file


def _not_regular() -> OSError:
    return OSError("it is not a regular file")


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file for `open(opener=...)`: a pipe without waiting for whoever is at its other end."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)
