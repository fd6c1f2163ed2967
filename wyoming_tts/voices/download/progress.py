"""Progress display of downloads: bars on a terminal, else a log line every ten percent."""

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
"""Bytes between two log lines where the total is unknown."""


class ProgressLog:
    """Logs every tenth of a download; an `on_progress` callback for `DownloadManager`."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Log the report if it is the first one of its tenth."""
        if progress.state.over:
            self._steps.pop(progress.voice, None)
        elif progress.state is DownloadState.WAITING:
            self._steps.setdefault(progress.voice, 0)
        elif _step(progress) > self._steps.get(progress.voice, -1):
            self._steps[progress.voice] = _step(progress)
            _LOGGER.info("Downloading %s: %s.", progress.voice, _format_progress(progress))


class ProgressBars:
    """Draws a bar for each download; an `on_progress` callback for `DownloadManager`. To be closed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Update the bar of the download; the first report adds it, the last removes it."""
        if progress.state.over:
            self._remove(progress.voice)
            return
        bars = self._started_bars()
        if progress.voice not in self._tasks:
            self._tasks[progress.voice] = bars.add_task(progress.voice, total=progress.total)
        bars.update(self._tasks[progress.voice], completed=progress.received, total=progress.total)

    def close(self) -> None:
        """Remove all bars."""
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

    def _started_bars(self) -> Progress:
        if self._bars is None:
            self._bars = _new_bars(self._stream)
            self._bars.start()
        return self._bars


def _new_bars(stream: TextIO) -> Progress:
    from rich import progress  # noqa: PLC0415 - takes 100 ms; most starts download nothing
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
    """Provide an `on_progress` for `DownloadManager`: bars if the stream is a terminal, else log lines."""
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


def _format_progress(progress: DownloadProgress) -> str:
    if not progress.total:
        return format_size(progress.received)
    percent = progress.received * 100 // progress.total
    return f"{percent} % of {format_size(progress.total)}"
