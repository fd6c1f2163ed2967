"""Limits of the downloads that clients can trigger: total bytes and concurrency."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.support.fake_hub import FakeHub
from tests.unit.voices.download.test_on_demand import ERROR, FALLBACK, MODEL, REQUESTED, on_demand_setup
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import VoiceRequest

OTHER = VoiceRequest("en_US-home-low")
BOTH = 2 * (len(MODEL) + 2)
"""Total bytes of the two voices in the catalogue."""


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and "clients" in record.getMessage()
    ]


def downloaded_count(hub: FakeHub) -> int:
    return len(hub.requests_for(".onnx"))


async def test_over_the_byte_quota_the_embedded_voice_speaks_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, max_bytes=BOTH - 1) as setup:
        assert await setup.speaker() == REQUESTED.name
        for _ in range(3):
            assert await setup.speaker(OTHER) == "espeak-en"
        assert downloaded_count(setup.hub) == 1
    (warning,) = warnings(caplog)
    assert "the limit of bytes downloaded for clients" in warning
    assert "`wyoming-tts voices download NAME`" in warning


async def test_within_the_byte_quota_every_voice_is_downloaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, max_bytes=BOTH) as setup:
        assert [await setup.speaker(), await setup.speaker(OTHER)] == [REQUESTED.name, OTHER.name]
    assert warnings(caplog) == []


async def test_the_error_over_the_byte_quota_names_the_download_command(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, ERROR, max_bytes=1) as setup:
        with pytest.raises(
            VoiceUnavailable, match=r"de_DE-far-high.*not downloaded: the limit of bytes"
        ) as caught:
            await setup.speaker(VoiceRequest("de_DE-far-high-alias"))
        assert "wyoming-tts voices download de_DE-far-high`" in str(caught.value)
        assert setup.hub.connections == 0


async def test_bytes_of_active_downloads_count_towards_the_quota(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, FALLBACK, max_bytes=BOTH - 1) as setup:
        paused = setup.hold_next_download()
        assert await setup.speaker() == "espeak-de"
        await paused.held.wait()
        assert await setup.speaker(OTHER) == "espeak-en"
        paused.released.set()
        assert await setup.missing.fetch(REQUESTED.name or "")
        assert downloaded_count(setup.hub) == 1


async def test_a_download_over_the_concurrency_limit_starts_at_a_later_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, FALLBACK, max_concurrent=1) as setup:
        paused = setup.hold_next_download()
        assert await setup.speaker() == "espeak-de"
        await paused.held.wait()
        assert await setup.speaker() == "espeak-de"
        assert await setup.speaker(OTHER) == "espeak-en"
        assert downloaded_count(setup.hub) == 1
        paused.released.set()
        assert await setup.missing.fetch(REQUESTED.name or "")
        assert await setup.speaker(OTHER) == "espeak-en"
        assert await setup.missing.fetch(OTHER.name or "")
        assert await setup.speaker(OTHER) == OTHER.name
    (warning,) = warnings(caplog)
    assert "the limit of concurrent downloads" in warning


async def test_a_failed_download_awaiting_its_retry_does_not_block_others(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, max_concurrent=1) as setup:
        files = {path: setup.hub.files.pop(path) for path in [*setup.hub.files] if "far" in path}
        assert await setup.speaker() == "espeak-de"
        assert files
        assert await setup.speaker(OTHER) == OTHER.name


async def test_downloads_started_by_the_server_do_not_count_towards_the_client_quota(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, max_bytes=BOTH // 2) as setup:
        assert await setup.missing.fetch(OTHER.name or "")
        assert await setup.speaker() == REQUESTED.name
        assert downloaded_count(setup.hub) == 2
    assert warnings(caplog) == []
