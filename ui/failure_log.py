"""Log lines of failed events: where they failed, never the message, which may quote what a user wrote.

Gradio's messages have the values of components in them, and so do those of Python for a wrong value.
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

_MAX_FRAMES = 3

_LOGGER = logging.getLogger(__name__)


def print_exc() -> None:
    """Log the current exception; this module takes the place of `traceback` in Gradio."""
    error = sys.exception()
    if error is not None:
        _LOGGER.warning("An event of the page failed: %s in %s.", type(error).__name__, _where(error))


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    return " < ".join(
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
