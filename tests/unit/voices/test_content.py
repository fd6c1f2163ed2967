"""Identity of voices by the content of their files, as a shared cache needs it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from wyoming_tts.speech import Attribution, Voice
from wyoming_tts.voices.content import VoiceContents
from wyoming_tts.voices.listing import stamp_of

T = TypeVar("T")


async def in_executor(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


def voice_of(*files: Path, **fields: str) -> Voice:
    """A voice as it is listed: its fingerprint tells sizes and times."""
    stamps = [stamp_of(path.stat()) for path in files]
    voice = Voice(
        name="en_US-tone-medium",
        engine="piper",
        language="en_US",
        description="",
        sample_rate=22_050,
        model=str(files[0]) if files else "built-in",
        attribution=Attribution("", ""),
        files=files,
        fingerprint=",".join([*stamps, ""]),
    )
    return replace(voice, **fields)  # type: ignore[arg-type]


def write(path: Path, content: str, *, at: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    os.utime(path, ns=(at, at))
    return path


async def identity_of(contents: VoiceContents, voice: Voice) -> str | None:
    """The identity once all of its files had the time to be read."""
    for _ in range(2):  # it may be reading for another voice
        if contents.identity(voice) is None and contents._reading is not None:
            await contents._reading
    return contents.identity(voice)


async def test_files_of_the_same_content_give_the_same_identity_whatever_their_paths_and_times(
    tmp_path: Path,
) -> None:
    here = (write(tmp_path / "a/model", "sound", at=1), write(tmp_path / "a/json", "config", at=2))
    there = (write(tmp_path / "b/model", "sound", at=3), write(tmp_path / "b/json", "config", at=4))
    other = (there[0], write(tmp_path / "c/json", "canfig", at=2))
    async with aclosing(VoiceContents(in_executor)) as contents:
        one = voice_of(*here)
        assert contents.identity(one) is None  # it does not wait
        found = await identity_of(contents, one)
        assert found is not None
        assert await identity_of(contents, voice_of(*there)) == found
        assert await identity_of(contents, voice_of(*other)) not in {found, None}
        assert await identity_of(contents, voice_of(*here, version="a blend")) not in {found, None}


async def test_a_file_that_is_replaced_is_unknown_until_its_voice_is_listed_again(tmp_path: Path) -> None:
    path = write(tmp_path / "model", "sound", at=1)
    async with aclosing(VoiceContents(in_executor)) as contents:
        before = voice_of(path)
        write(path, "other", at=2)
        assert await identity_of(contents, before) is None
        after = await identity_of(contents, voice_of(path))
        assert after is not None
        write(path, "third", at=3)
        assert await identity_of(contents, voice_of(path)) not in {after, None}
        path.unlink()
        assert await identity_of(contents, replace(before, fingerprint="4-4,")) is None


async def test_a_voice_without_files_is_known_by_its_model() -> None:
    async with aclosing(VoiceContents(in_executor)) as contents:
        assert contents.identity(voice_of()) != contents.identity(voice_of(model="remote-12"))
        assert contents.identity(voice_of()) != contents.identity(voice_of(version="2"))


async def test_a_pipe_has_no_content_that_a_voice_could_be_known_by(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.onnx")
    async with aclosing(VoiceContents(in_executor)) as contents:
        assert await identity_of(contents, voice_of(tmp_path / "model.onnx")) is None
