"""Forced exit: ends the process when stopping takes longer than promised, whatever its threads do.

A thread in a library cannot be ended, and may hold what an orderly end waits for: a file, a lock, even the
interpreter. So a timer on a thread of its own ends the process when its time is up, without waiting for the
event loop, which may be busy with the ends of many streams, or for other threads; and should no thread get to
run, a watchdog of the C level does.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Final, NoReturn

_LOGGER = logging.getLogger(__name__)

_WATCHDOG_SECONDS: Final = 2.0
"""How much later than the timer the watchdog ends the process."""
_FLUSH_SECONDS: Final = 0.5
"""How long flushing may take: a thread that cannot be ended may hold the lock of a log handler."""


class ForcedExit:
    """The end of the process that cannot be held up."""

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None
        self._ends_at = inf

    def arm(self, seconds: float) -> None:
        """Have the process end after so many seconds; an earlier end stays."""
        ends_at = time.monotonic() + seconds
        if ends_at >= self._ends_at:
            return
        self.disarm()
        self._ends_at = ends_at
        self._timer = _start_timer(seconds, self._exit)
        _watch(seconds)

    def disarm(self) -> None:
        """Have it not end by force."""
        self._ends_at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            faulthandler.cancel_dump_traceback_later()

    def _exit(self) -> NoReturn:
        _start_timer(_FLUSH_SECONDS, os._exit, 0)  # the log may be locked
        _LOGGER.warning("Stopping took too long: ending without waiting for what still runs.")
        end_process(0)


def end_process(code: int) -> NoReturn:
    """End this process and its children without waiting for threads; flush what was logged if possible."""
    for child in _children():
        with suppress(OSError):
            os.killpg(child, signal.SIGKILL)
    _start_timer(_FLUSH_SECONDS, os._exit, code)
    _watch(_FLUSH_SECONDS)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    logging.shutdown()
    os._exit(code)


def _start_timer(seconds: float, end: Callable[..., object], *arguments: object) -> threading.Timer:
    timer = threading.Timer(seconds, end, arguments)
    timer.daemon = True
    timer.start()
    return timer


def _watch(seconds: float) -> None:
    """Have the process end with code 1 and a traceback, some time after a timer that does not get to run."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(seconds + _WATCHDOG_SECONDS, exit=True, file=sys.__stderr__)


def _children() -> Iterator[int]:
    """Process groups of our children, each of which leads one: they end with their input, but not at once."""
    with suppress(OSError):  # no such directory outside of Linux
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    if os.getpgid(child) == child:
                        yield child
