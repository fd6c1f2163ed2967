"""Downloads as somebody sees them: bars on a terminal, a log line every ten percent anywhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from wyoming_tts.voices.download.downloads import DownloadProgress, DownloadState
from wyoming_tts.voices.download.transfer import format_size

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LOGGER = logging.getLogger(__name__)

_STEP = 10
"""Percent between two log lines."""
_STEP_BYTES = 10_000_000
"""Bytes between two log lines where nobody knows how many there will be."""


class ProgressLog:
    """Writes a line to the log for every tenth of a download. Call it with what `Downloads` reports."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Log it if it is news."""
        if progress.state.over:
            self._steps.pop(progress.voice, None)
        elif progress.state is DownloadState.WAITING:
            self._steps.setdefault(progress.voice, 0)
        elif _step(progress) > self._steps.get(progress.voice, -1):
            self._steps[progress.voice] = _step(progress)
            _LOGGER.info("Fetching %s: %s.", progress.voice, _how_far(progress))


class ProgressBars:
    """Draws a bar a download; use it as a context manager and call it with what `Downloads` reports."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Move its bar; the first report draws it, the last takes it away."""
        if progress.state.over:
            self._remove(progress.voice)
            return
        bars = self._drawn()
        if progress.voice not in self._tasks:
            self._tasks[progress.voice] = bars.add_task(progress.voice, total=progress.total)
        bars.update(self._tasks[progress.voice], completed=progress.received, total=progress.total)

    def close(self) -> None:
        """Take all bars away."""
        for voice in tuple(self._tasks):
            self._remove(voice)

    def _remove(self, voice: str) -> None:
        if self._bars is None or voice not in self._tasks:
            return
        self._bars.remove_task(self._tasks.pop(voice))
        if not self._tasks:
            # Without bars the terminal belongs to the log again.
            self._bars.stop()
            self._bars = None

    def _drawn(self) -> Progress:
        if self._bars is None:
            self._bars = _new_bars(self._stream)
            self._bars.start()
        return self._bars


def _new_bars(stream: TextIO) -> Progress:
    from rich import progress  # noqa: PLC0415 - takes 100 ms; most starts have nothing to download
    from rich.console import Console  # noqa: PLC0415

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(file=stream),
        refresh_per_second=4,
        transient=True,
    )


@contextmanager
def show_progress(stream: TextIO) -> Generator[Callable[[DownloadProgress], None], None, None]:
    """What to give to `Downloads` as `on_progress`: bars if the stream is a terminal, else log lines."""
    if not stream.isatty():
        yield ProgressLog()
        return
    bars = ProgressBars(stream)
    try:
        yield bars
    finally:
        bars.close()


def _step(progress: DownloadProgress) -> int:
    if not progress.total:
        return progress.received // _STEP_BYTES
    return progress.received * 100 // progress.total // _STEP


def _how_far(progress: DownloadProgress) -> str:
    if not progress.total:
        return format_size(progress.received)
    percent = progress.received * 100 // progress.total
    return f"{percent} % of {format_size(progress.total)}"
