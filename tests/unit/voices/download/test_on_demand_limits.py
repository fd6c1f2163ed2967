"""What clients can cause to be fetched is bounded."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.hub import FakeHub
from tests.unit.voices.download.test_on_demand import ASKED, ERROR, FALLBACK, MODEL, a_house
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import VoiceRequest

OTHER = VoiceRequest("en_US-home-low")
BOTH = 2 * (len(MODEL) + 2)
"""Bytes of the two voices of the catalogue."""


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "clients" in record.getMessage()
    ]


def fetched(hub: FakeHub) -> int:
    return len(hub.asked_for(".onnx"))


async def test_over_the_bytes_that_clients_may_fetch_the_embedded_voice_speaks_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, max_bytes=BOTH - 1) as house:
        assert await house.speaker() == ASKED.name
        for _ in range(3):
            assert await house.speaker(OTHER) == "espeak-en"
        assert fetched(house.hub) == 1
    (warning,) = warnings(caplog)
    assert "as much fetched since the start as they may" in warning
    assert "`wyoming-tts voices download NAME`" in warning


async def test_within_the_bytes_every_voice_is_fetched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, max_bytes=BOTH) as house:
        assert [await house.speaker(), await house.speaker(OTHER)] == [ASKED.name, OTHER.name]
    assert warnings(caplog) == []


async def test_an_error_over_the_bytes_names_the_command(tmp_path: Path) -> None:
    async with a_house(tmp_path, ERROR, max_bytes=1) as house:
        with pytest.raises(VoiceUnavailable, match=r"de_DE-far-high.*not fetched: clients") as caught:
            await house.speaker(VoiceRequest("de_DE-far-high-alias"))
        assert "wyoming-tts voices download de_DE-far-high`" in str(caught.value)
        assert house.hub.connections == 0


async def test_bytes_are_counted_while_they_are_on_their_way(tmp_path: Path) -> None:
    async with a_house(tmp_path, FALLBACK, max_bytes=BOTH - 1) as house:
        held = house.hold()
        assert await house.speaker() == "espeak-de"
        await held.held.wait()
        assert await house.speaker(OTHER) == "espeak-en"
        held.released.set()
        assert await house.missing.fetch(ASKED.name or "")
        assert fetched(house.hub) == 1


async def test_of_too_many_at_once_the_last_waits_for_another_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, FALLBACK, max_concurrent=1) as house:
        held = house.hold()
        assert await house.speaker() == "espeak-de"
        await held.held.wait()
        assert await house.speaker() == "espeak-de"
        assert await house.speaker(OTHER) == "espeak-en"
        assert fetched(house.hub) == 1
        held.released.set()
        assert await house.missing.fetch(ASKED.name or "")
        assert await house.speaker(OTHER) == "espeak-en"
        assert await house.missing.fetch(OTHER.name or "")
        assert await house.speaker(OTHER) == OTHER.name
    (warning,) = warnings(caplog)
    assert "being fetched for clients already" in warning


async def test_one_that_rests_after_a_failure_does_not_keep_others_away(tmp_path: Path) -> None:
    async with a_house(tmp_path, max_concurrent=1) as house:
        files = {path: house.hub.files.pop(path) for path in [*house.hub.files] if "far" in path}
        assert await house.speaker() == "espeak-de"
        assert files
        assert await house.speaker(OTHER) == OTHER.name


async def test_what_the_server_itself_fetches_is_not_the_clients_affair(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path, max_bytes=BOTH // 2) as house:
        assert await house.missing.fetch(OTHER.name or "")
        assert await house.speaker() == ASKED.name
        assert fetched(house.hub) == 2
    assert warnings(caplog) == []
