"""Errors of file systems that pass, as those of a share that is away for a while."""

from __future__ import annotations

import errno

TRANSIENT = (
    errno.EMFILE,
    errno.ENFILE,
    errno.EIO,
    errno.EACCES,
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
)
