"""Spare cores: whether another core is idle at this moment, or other programs run on all of them.

The threads of an operator wait for each other. If one has to share its core with another program, all wait
until the system gives it its turn, hundreds of times in a run of a model: on two cores, one of which is
taken, two threads take twice as long as one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_LOOKS: Final = 3
_PAUSE: Final = 0.0002
"""Seconds between looks: the event loop, and a client that has just got audio, are awake for less."""


def count_running() -> int:
    """Threads of the machine that run or want to run, this one included; 1 where the system does not tell."""
    try:
        figures = Path("/proc/loadavg").read_text(encoding="ascii").split()
        return int(figures[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return 1


def has_spare_core(
    count: Callable[[], int] = count_running,
    *,
    cores: int = os.cpu_count() or 1,
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """Whether a core besides that of the calling thread is idle: at once if so, else after a few looks.

    Args:
        count: as `count_running`.
        cores: of the machine, not only those that this process may use, as it counts threads of all.
        pause: waits for seconds.
    """
    for look in range(_LOOKS):
        if look:
            pause(_PAUSE)
        if count() < cores:
            return True
    return False
