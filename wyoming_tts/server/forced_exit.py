"""Forced exit: ends the process when stopping takes longer than promised, whatever its threads do.

A thread in a library cannot be ended, and may hold what an orderly end waits for: a file, a lock, even the
interpreter. So the event loop ends the process when its time is up, without waiting for threads, and should
the loop not get that far, a watchdog of the C level does.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

_LOGGER = logging.getLogger(__name__)

_LOOP_SECONDS: Final = 2.0
"""How much later than the event loop the watchdog ends the process."""
_FLUSH_SECONDS: Final = 0.5


class ForcedExit:
    """The end of the process that cannot be held up."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    def arm(self, seconds: float) -> None:
        """Have the process end after so many seconds; replaces an earlier time."""
        self.disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._exit)
        if sys.__stderr__ is not None:
            faulthandler.dump_traceback_later(seconds + _LOOP_SECONDS, exit=True, file=sys.__stderr__)

    def disarm(self) -> None:
        """Have it not end by force."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            faulthandler.cancel_dump_traceback_later()

    def _exit(self) -> NoReturn:
        _LOGGER.warning("Stopping took too long: ending without waiting for what still runs.")
        end_process(0)


def end_process(code: int) -> NoReturn:
    """End this process and its children without waiting for threads; flush what was logged if possible."""
    for child in _children():
        with suppress(OSError):
            os.killpg(child, signal.SIGKILL)
    if sys.__stderr__ is not None:
        # A thread that cannot be ended may hold the lock of a log handler.
        faulthandler.dump_traceback_later(_FLUSH_SECONDS, exit=True, file=sys.__stderr__)
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    logging.shutdown()
    os._exit(code)


def _children() -> Iterator[int]:
    """Process groups of our children, each of which leads one: they end with their input, but not at once."""
    with suppress(OSError):  # no such directory outside of Linux
        for task in Path("/proc/self/task").iterdir():
            with suppress(OSError):
                for child in map(int, (task / "children").read_text().split()):
                    if os.getpgid(child) == child:
                        yield child
