"""Atomic file replacement: the new content is written beside the file, synced and renamed over it.

A reader sees either the old content or the new, even if the machine stops in between.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

_NEW_MODE: Final = 0o644


def replace_file(path: Path, content: bytes) -> None:
    """Replace the file's content and keep its mode; create its directory if need be. Blocks.

    If the path is a symbolic link, its target is replaced, not the link: a file, never a device or a pipe.

    Raises:
        OSError: the file cannot be written; it is unchanged.
    """
    target = _link_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = _mode(target)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.chmod(mode)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _link_target(path: Path) -> Path:
    """Follow symbolic links to the file that is to be replaced, which need not exist. Blocks.

    Raises:
        OSError: they lead in a circle, or to something that is not a file, such as `/dev/null`.
    """
    target = Path(os.path.realpath(path))  # `resolve` raises RuntimeError for a circle before Python 3.13
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if path.is_symlink() and target.exists() and not target.is_file():
        raise OSError("it leads to something that is not a regular file")
    return target


def _mode(target: Path) -> int:
    """The file's mode, or that of a new file; an error must not make a private file public."""
    try:
        return target.stat().st_mode & 0o777
    except FileNotFoundError:
        return _NEW_MODE
