"""The examples in docs/embedding.md work as described."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wyoming_tts
from tests.docs.pages import ROOT, Page
from tests.support.parts import settings_for_tests

PAGE = Page(ROOT / "docs" / "embedding.md")
WHOLE, STREAMED = (block.text for block in PAGE.blocks() if block.language == "python")


@pytest.mark.slow
def test_the_example_writes_a_playable_wav_file(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WHOLE],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    with wave.open(str(tmp_path / "door.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 22_050)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert 0.5 < len(samples) / 22_050 < 5
    assert np.abs(samples).max() > 1000


async def test_the_streaming_example_speaks_before_all_text_has_arrived() -> None:
    """Uses eSpeak NG, the only German voice available in tests."""
    example: dict[str, Any] = {}
    exec(STREAMED, example)
    first_audio = asyncio.Event()
    received: list[bytes] = []

    async def tokens() -> AsyncIterator[str]:
        yield "Die Tür ist offen. "
        yield "Das Licht "
        await first_audio.wait()
        yield "ist an."

    def play(pcm: bytes) -> None:
        first_audio.set()
        received.append(pcm)

    async with wyoming_tts.open_synthesizer(
        settings_for_tests(engine="espeak", data_dir=["/"])
    ) as synthesizer:
        await example["speak"](synthesizer, tokens(), play)
    assert len(b"".join(received)) > 2 * 22_050


def test_every_name_in_the_page_is_public() -> None:
    names = {span for span in PAGE.code_spans() if span[0].isupper() and span.isidentifier()}
    assert names - {*wyoming_tts.__all__, "ValidationError"} == set()
