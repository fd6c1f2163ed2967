"""Dialogues over HTTP, spoken by the tone voices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.http.conftest import Served, serving
from tests.support.parts import running_parts
from tests.support.tones import LETTERS, LOW, TONES
from wyoming_tts.server.speech_service import ServerSpeechService

DIALOGUE = "/dev/dialogue"


@pytest.fixture
async def server() -> AsyncIterator[Served]:
    async with running_parts() as parts, serving(service=ServerSpeechService(parts)) as running:  # type: ignore[arg-type]
        yield running


def turns(*said: tuple[str, str], **fields: Any) -> dict[str, Any]:
    spoken = [{"voice": voice, "text": text} for voice, text in said]
    return {"turns": spoken, "response_format": "pcm", "sample_rate": LETTERS.rate, **fields}


async def speak(server: Served, body: dict[str, Any], path: str = DIALOGUE) -> npt.NDArray[np.int16]:
    answer = await server.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<i2")


async def test_turns_are_spoken_by_their_voices_in_order(server: Served) -> None:
    spoken = await speak(server, turns((LETTERS.name, "One."), (TONES.name, "Ja."), (LETTERS.name, "Two.")))
    tagged = {
        "input": f"One.\n\n[voice:{TONES.name}] Ja.\n\n[voice:] Two.",
        "voice": LETTERS.name,
        "allow_voice_tags": True,
        "response_format": "pcm",
        "sample_rate": LETTERS.rate,
    }
    assert np.array_equal(spoken, await speak(server, tagged, "/v1/audio/speech"))


async def test_turns_of_one_voice_are_sentences_of_their_own(server: Served) -> None:
    spoken = await speak(server, turns((LETTERS.name, "One"), (LETTERS.name, "Two")))
    assert LETTERS.said(spoken) == ["One", "Two"]


async def test_the_first_voice_need_not_be_the_servers_own(server: Served) -> None:
    spoken = await speak(server, turns((TONES.name, "Ja."), (LETTERS.name, "One."), sample_rate=TONES.rate))
    alone = await speak(server, turns((TONES.name, "Ja."), sample_rate=TONES.rate))
    assert np.array_equal(spoken[: len(alone)], alone)


async def test_each_turn_is_read_in_the_language_of_its_voice(server: Served) -> None:
    spoken = await speak(server, turns((LETTERS.name, "One."), (TONES.name, "25 °C")))
    written = await speak(server, turns((LETTERS.name, "One."), (TONES.name, "fünfundzwanzig Grad Celsius")))
    assert np.array_equal(spoken, written)


async def test_the_pause_between_turns_is_kept(server: Served) -> None:
    said = (LETTERS.name, "One."), (LETTERS.name, "Two.")
    spoken = await speak(server, turns(*said, pause_between_turns=1.5))
    words = [await speak(server, turns(turn)) for turn in said]
    assert len(spoken) == sum(map(len, words)) + 1.5 * LETTERS.rate
    assert np.array_equal(spoken[-len(words[1]) :], words[1])


async def test_turns_may_use_aliases_with_a_rate(server: Served) -> None:
    aliases = {"Bob": {"voice": LETTERS.name, "rate": 0.5}, "Ann": TONES.name}
    slow = await speak(server, turns(("ann", "Ja."), ("bob", "One."), voice_aliases=aliases))
    plain = await speak(server, turns((TONES.name, "Ja."), (LETTERS.name, "One.")))
    one = await speak(server, turns((LETTERS.name, "One.")))
    assert len(slow) == len(plain) + len(one)


async def test_the_names_of_other_servers_for_the_fields_are_taken_too(server: Served) -> None:
    body = {"inputs": [{"voice_id": LOW.name, "text": "One."}], "response_format": "WAV"}
    answer = await server.client.post(DIALOGUE, json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")


async def test_an_unknown_voice_of_a_later_turn_is_refused_before_any_sound(server: Served) -> None:
    answer = await server.client.post(DIALOGUE, json=turns((LETTERS.name, "One."), ("nobody", "Two.")))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_voice")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"turns": []},
        turns((LETTERS.name, " ")),
        turns(("", "One.")),
        turns(("x] [voice:y", "One.")),
        turns(("x\ny", "One.")),
        turns(("x" * 300, "One.")),
        {"turns": [{"text": "One."}]},
        turns(*[(LETTERS.name, "One.")] * 1001),
    ],
)
async def test_turns_that_cannot_be_spoken_are_an_error(server: Served, body: dict[str, Any]) -> None:
    answer = await server.client.post(DIALOGUE, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "turns")


@pytest.mark.parametrize("pause", [-1, 11, "x"])
async def test_the_pause_between_turns_has_limits(server: Served, pause: object) -> None:
    answer = await server.client.post(DIALOGUE, json=turns((LETTERS.name, "One."), pause_between_turns=pause))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "pause_between_turns")
