"""Karaoke: prints words while they sound, on a terminal with the current one highlighted."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TextIO

from wyoming_tts.captions import BreakStrength, CaptionText, CaptionWord, columns
from wyoming_tts.speech import AudioFormat, SpokenWord

_HIGHLIGHT: Final = "\x1b[1;32m"
_NORMAL: Final = "\x1b[0m"


class WordPrinter:
    """Prints words one after the other.

    With `highlight` the last word is emphasized until the next one; the stream must be a terminal then.
    """

    def __init__(self, stream: TextIO, *, highlight: bool, width: int | None = None) -> None:
        self._stream = stream
        self._highlight = highlight
        self._width = width
        """Columns of the terminal, to break lines between words; None if it is none."""
        self._column = 0
        self._current = ""
        """The last word, while it is highlighted."""

    def print_word(self, space: str, word: str) -> None:
        """Print the next word."""
        self._end_highlight()
        if self._width is not None and self._column + columns(space + word) > self._width:
            self.end_line()
        if self._column:
            self._write(space)
        # The cursor cannot go back to a line above.
        if self._highlight and (self._width is None or columns(word) < self._width):
            self._current = word
            self._stream.write(f"{_HIGHLIGHT}{word}{_NORMAL}")
            self._column += columns(word)
        else:
            self._write(word)
        self._stream.flush()

    def print_behind(self, text: str) -> None:
        """Print what follows the last word, such as a comma."""
        self._end_highlight()
        self._write(text)
        self._stream.flush()

    def end_line(self) -> None:
        """End the line, unless it is empty."""
        self._end_highlight()
        if self._column:
            self._stream.write("\n")
            self._stream.flush()
        self._column = 0

    def _end_highlight(self) -> None:
        if self._current:
            self._stream.write(f"\x1b[{columns(self._current)}D{self._current}")
            self._current = ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._column += columns(text)


@dataclass(slots=True)
class _Told:
    """A word that was told."""

    word: CaptionWord
    """Without what follows it, until the next word is told."""
    printed: int = 0
    """Characters of its text that were printed."""


class Karaoke:
    """Prints the words of speech in time with its audio, from the first audio on.

    `async with Karaoke(printer, paced=True) as karaoke:`; leaving the block waits for the last word.

    Args:
        printer: Prints the words.
        paced: Whether words wait for their time; else they are printed when they are told.
        clock: Seconds, as `time.monotonic`.
        sleep: As `asyncio.sleep`.
    """

    def __init__(
        self,
        printer: WordPrinter,
        *,
        paced: bool,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._printer = printer
        self._paced = paced
        self._clock = clock
        self._sleep = sleep
        self._text = CaptionText()
        self._waiting: deque[_Told] = deque()
        self._last: _Told | None = None
        self._started_at: float | None = None
        """When the audio would have begun if it had never run dry."""
        self._seconds = 0.0
        """Of audio that was handed over."""
        self._is_complete = False
        self._changed = asyncio.Event()
        self._printing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._printing = asyncio.create_task(self._print_words())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._printing is not None
        if kind is None:
            self._complete_words(self._text.finish())
            self._is_complete = True
            self._changed.set()
        else:
            self._printing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._printing
        self._printer.end_line()

    def stop(self) -> None:
        """Print no more words: the player was closed."""
        if self._printing is not None:
            self._printing.cancel()

    def add_text(self, text: str) -> None:
        """Take more of the text, as it was written."""
        self._text.add_text(text)

    def add_words(self, words: Iterable[SpokenWord]) -> None:
        """Take the words of further audio, before that audio."""
        for word in words:
            self._complete_words(self._text.add_words([word]))
            if self._text.last is not None:
                self._last = _Told(self._text.last)
                self._waiting.append(self._last)
        self._changed.set()

    async def write(self, audio_format: AudioFormat, pcm: bytes) -> None:
        """Take note of audio that was handed to the player."""
        if pcm:
            now = self._clock()
            # It ran dry if all it got before has been played.
            started_at = now if self._started_at is None else self._started_at
            self._started_at = max(started_at, now - self._seconds)
            self._seconds += len(pcm) / audio_format.frame_bytes / audio_format.rate
            self._changed.set()

    def _complete_words(self, words: Iterable[CaptionWord]) -> None:
        for word in words:
            if (told := self._last) is not None:
                told.word = word
                if told.printed and len(word.text) > told.printed:
                    self._printer.print_behind(word.text[told.printed :])

    async def _print_words(self) -> None:
        before: _Told | None = None
        while (told := await self._take()) is not None:
            if before is not None and before.word.strength is BreakStrength.SENTENCE:
                self._printer.end_line()
            self._printer.print_word(told.word.space, told.word.text)
            told.printed = len(told.word.text)
            before = told

    async def _take(self) -> _Told | None:
        """Wait for the next word, and until it sounds; None if there is none."""
        while not self._waiting:
            if self._is_complete:
                return None
            await self._wait_for_change()
        if self._paced:
            await self._wait_until(self._waiting[0].word.spoken.start_time)
        return self._waiting.popleft()

    async def _wait_until(self, position: float) -> None:
        """Wait until the player is at a position of the audio, in seconds."""
        while self._started_at is None or position >= self._seconds:
            if self._is_complete:
                break
            await self._wait_for_change()
        while self._started_at is not None and (left := self._started_at + position - self._clock()) > 0:
            await self._sleep(left)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def make_karaoke(stream: TextIO, *, is_played: bool, colours: bool) -> Karaoke:
    """Make a karaoke display on a stream: in time if it is a terminal or the audio is played."""
    is_terminal = stream.isatty()
    width = shutil.get_terminal_size().columns if is_terminal else None
    printer = WordPrinter(stream, highlight=is_terminal and colours, width=width)
    return Karaoke(printer, paced=is_played or is_terminal)
