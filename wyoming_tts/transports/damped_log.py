"""Damped log: lines about what a flood of others' messages causes, limited in rate."""

from __future__ import annotations

import asyncio
import logging

LOG_INTERVAL = 60.0
"""Seconds between two lines of one kind."""


class DampedLog:
    """Log lines about what floods cause: at most one in `LOG_INTERVAL`, with the number that was left out."""

    def __init__(self, logger: logging.Logger, level: int = logging.WARNING) -> None:
        self._logger = logger
        self._level = level
        self._logged_at: float | None = None
        self._left_out = 0

    def log(self, message: str, *args: object) -> None:
        """Log a line, unless one was logged a short while ago."""
        now = asyncio.get_running_loop().time()
        if self._logged_at is not None and now - self._logged_at < LOG_INTERVAL:
            self._left_out += 1
            return
        more = f" ({self._left_out} more since the last such line.)" if self._left_out else ""
        self._logged_at, self._left_out = now, 0
        self._logger.log(self._level, "%s%s", message % args, more)
