from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from wyoming_tts.client import ClientError, read_stdin_text


async def collect(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


async def test_piped_text_is_yielded_as_it_is_written() -> None:
    reading, writing = os.pipe()
    pieces = read_stdin_text(reading)
    try:
        os.write(writing, b"One. ")
        assert await anext(pieces) == "One. "
        os.write(writing, b"Two.")
        assert await anext(pieces) == "Two."
        os.close(writing)
        assert await collect(pieces) == []
        assert os.get_blocking(reading)
    finally:
        os.close(reading)


async def test_a_character_split_between_two_writes_is_decoded_whole() -> None:
    reading, writing = os.pipe()
    pieces = read_stdin_text(reading)
    try:
        os.write(writing, b"\xef\xbb\xbfGr\xc3")
        assert await anext(pieces) == "Gr"
        os.write(writing, b"\xbc\xc3\x9fe")
        assert await anext(pieces) == "üße"
    finally:
        os.close(writing)
        await pieces.aclose()  # type: ignore[attr-defined]
        os.close(reading)


@pytest.mark.parametrize(
    ("written", "read"), [(b"a\xff\xfeb", "a\ufffd\ufffdb"), (b"ends\xe2\x82", "ends\ufffd"), (b"", "")]
)
async def test_a_file_is_read_to_its_end_and_invalid_utf8_is_replaced(
    tmp_path: Path, written: bytes, read: str
) -> None:
    path = tmp_path / "text"
    path.write_bytes(written)
    with path.open("rb") as file:
        assert "".join(await collect(read_stdin_text(file.fileno()))) == read


async def test_dev_null_is_an_empty_text() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        assert await collect(read_stdin_text(null)) == []
    finally:
        os.close(null)


async def test_a_closed_stdin_is_a_one_line_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with pytest.raises(ClientError, match="stdin"):
        await collect(read_stdin_text(reading))


async def test_cancelling_the_read_removes_the_reader_of_stdin() -> None:
    reading, writing = os.pipe()
    try:
        waiting = asyncio.create_task(collect(read_stdin_text(reading)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not asyncio.get_running_loop().remove_reader(reading)
    finally:
        os.close(reading)
        os.close(writing)
