from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from itertools import product

import pytest

from tests.support.timed_words import timed_words
from wyoming_tts.commands.karaoke import Karaoke, WordPrinter, make_karaoke
from wyoming_tts.speech import AudioFormat

FORMAT = AudioFormat(1000)


class Clock:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.on_wake: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_wake()
        await asyncio.sleep(0)


class Recorder(io.StringIO):
    """A stream that notes when something was written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.times: dict[str, float] = {}

    def write(self, text: str) -> int:
        self.times.setdefault(text.strip(), self.clock.now)
        return super().write(text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def audio(seconds: float) -> bytes:
    return bytes(round(seconds * 1000) * 2)


def printed(text: str, *, highlight: bool = False, width: int | None = None) -> str:
    stream = io.StringIO()

    async def show() -> None:
        printer = WordPrinter(stream, highlight=highlight, width=width)
        async with Karaoke(printer, paced=False) as karaoke:
            karaoke.add_text(text)
            karaoke.add_words(timed_words(text))

    asyncio.run(show())
    return stream.getvalue()


def screen(written: str) -> list[str]:
    """The lines of a terminal after what was written, without colours."""
    lines, column = [""], 0
    position = 0
    while position < len(written):
        if written[position] == "\x1b":
            end = next(index for index in range(position, len(written)) if written[index].isalpha())
            if written[end] == "D":
                column -= int(written[position + 2 : end])
            position = end + 1
            continue
        if written[position] == "\n":
            lines.append("")
            column = 0
        else:
            lines[-1] = lines[-1][:column] + written[position] + lines[-1][column + 1 :]
            column += 1
        position += 1
    return lines


def test_words_are_printed_with_their_punctuation_a_sentence_a_line() -> None:
    assert printed("Hello, you. It is “late”!") == "Hello, you.\nIt is “late”!\n"


def test_the_current_word_is_highlighted_until_the_next_one() -> None:
    written = printed("One, two.", highlight=True)
    assert written == "\x1b[1;32mOne,\x1b[0m\x1b[4DOne, \x1b[1;32mtwo.\x1b[0m\x1b[4Dtwo.\n"
    assert screen(written) == ["One, two.", ""]


def test_lines_are_broken_between_words_at_the_terminals_width() -> None:
    text = "the quick brown fox jumps over a lazy dog"
    for highlight in (False, True):
        assert screen(printed(text, highlight=highlight, width=16)) == [
            "the quick brown",
            "fox jumps over a",
            "lazy dog",
            "",
        ]


def test_a_word_wider_than_the_terminal_is_printed_once() -> None:
    """The cursor could not go back to its beginning."""
    assert printed("extraordinarily so", highlight=True, width=10).count("extraordinarily") == 1


def test_what_follows_a_word_is_printed_once_it_is_known() -> None:
    stream = io.StringIO()

    async def show() -> None:
        printer = WordPrinter(stream, highlight=True, width=80)
        async with Karaoke(printer, paced=False) as karaoke:
            for piece in ("Go", ", on", " now", "."):
                karaoke.add_text(piece)
                karaoke.add_words(
                    [word for word in timed_words("Go, on now.") if word.text in piece.split()[-1:]]
                )
                await asyncio.sleep(0)

    asyncio.run(show())
    assert screen(stream.getvalue()) == ["Go, on now.", ""]


async def paced(clock: Clock, stream: io.StringIO, play: Callable[[Karaoke], Awaitable[None]]) -> None:
    printer = WordPrinter(stream, highlight=False)
    async with Karaoke(printer, paced=True, clock=clock, sleep=clock.sleep) as karaoke:
        await play(karaoke)


async def test_words_wait_for_their_time_after_the_first_audio() -> None:
    clock = Clock()
    stream = Recorder(clock)
    words = timed_words("one two three", start_time=0.5)

    async def play(karaoke: Karaoke) -> None:
        karaoke.add_text("one two three")
        karaoke.add_words(words)
        await asyncio.sleep(0)
        assert stream.getvalue() == ""
        clock.now = 103.0  # the model takes its time
        await karaoke.write(FORMAT, b"")
        await karaoke.write(FORMAT, audio(2.0))

    await paced(clock, stream, play)
    assert [stream.times[word.text] - 103 for word in words] == pytest.approx(
        [word.start_time for word in words]
    )


async def test_words_wait_while_the_player_has_run_dry() -> None:
    clock = Clock()
    stream = Recorder(clock)
    one, two = timed_words("one two")

    async def play(karaoke: Karaoke) -> None:
        karaoke.add_text("one two")
        karaoke.add_words([one, two])
        await karaoke.write(FORMAT, audio(two.start_time))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.now += 3.0
        await karaoke.write(FORMAT, audio(1.0))

    await paced(clock, stream, play)
    assert stream.times["one"] == 100.0
    assert stream.times["two"] == pytest.approx(103.0)


async def test_no_word_is_printed_after_the_player_was_closed() -> None:
    clock = Clock()
    stream = Recorder(clock)

    async def play(karaoke: Karaoke) -> None:
        karaoke.add_text("one two")
        karaoke.add_words(timed_words("one two"))
        await karaoke.write(FORMAT, audio(0.1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        karaoke.stop()

    await paced(clock, stream, play)
    assert stream.getvalue() == "one\n"


async def test_an_error_ends_the_display_at_once() -> None:
    clock = Clock()
    stream = Recorder(clock)

    async def play(karaoke: Karaoke) -> None:
        karaoke.add_words(timed_words("one two"))
        raise OSError

    with pytest.raises(OSError):
        await paced(clock, stream, play)
    assert stream.getvalue() == ""


async def test_words_without_audio_are_printed_at_the_end() -> None:
    clock = Clock()
    stream = Recorder(clock)

    async def play(karaoke: Karaoke) -> None:
        karaoke.add_text("one")
        karaoke.add_words(timed_words("one"))

    await paced(clock, stream, play)
    assert stream.getvalue() == "one\n"


async def test_colours_are_for_terminals_alone() -> None:
    for stream, colours in product((Terminal(), io.StringIO()), (False, True)):
        stream.seek(0)
        stream.truncate()
        async with make_karaoke(stream, is_played=False, colours=colours) as karaoke:
            karaoke.add_text("one")
            karaoke.add_words(timed_words("one"))
            await karaoke.write(FORMAT, audio(0.5))
        assert ("\x1b" in stream.getvalue()) == (colours and stream.isatty())
        assert "one" in stream.getvalue()
