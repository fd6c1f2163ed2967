"""Replaces a file as a whole or not at all: written beside it, synced, renamed.

Who reads the file meanwhile sees what was in it before or what is in it after, also if the machine stops.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

_NEW_MODE: Final = 0o644


def replace_file(path: Path, content: bytes) -> None:
    """Put the content in the file's place, with the mode that it had; makes its directory. Blocks.

    Where the path is a link, the file that it leads to is replaced, not the link.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = target.stat().st_mode & 0o777 if target.exists() else _NEW_MODE
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
