"""Responses in every audio format, decoded by PyAV as a client would."""

from __future__ import annotations

import io

import av
import pytest

from tests.http.conftest import Served
from tests.support.fake_synthesizer import RATE, speech_pcm

TEXT = "what is said takes a while, so that a tail that is lost would be noticed"


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("encoding", ["mp3", "opus", "aac", "flac", "wav"])
async def test_every_format_decodes_to_the_duration_of_the_speech(
    served: Served, encoding: str, *, whole: bool
) -> None:
    body = {"input": TEXT, "response_format": encoding, "stream": not whole}
    answer = await served.client.post("/v1/audio/speech", json=body)
    with av.open(io.BytesIO(answer.content)) as container:
        frames = list(container.decode(audio=0))
    seconds = sum(frame.samples / frame.sample_rate for frame in frames)
    assert abs(seconds - len(speech_pcm(TEXT)) / 2 / RATE) < 0.06
