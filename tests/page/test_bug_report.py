"""The bug report: all that the Status tab knows, and no secret, wherever one stands."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.page.test_status import service_of
from tests.support.parts import running_parts
from tests.support.tones import LETTERS
from tests.unit.telemetry.records import failed, record
from wyoming_tts import __version__
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.page.bug_report import REPORT_PATH, BugReporter, bug_report_routes
from wyoming_tts.settings import load_settings
from wyoming_tts.telemetry.log_tail import LogTail, keep_log_tail
from wyoming_tts.telemetry.recent_utterances import RecentUtterances

SECRETS: dict[str, Any] = {
    "api_keys": ["sk-of-the-house"],
    "remote_key": "sk-of-the-remote",
    "token_keys": ["web=" + "0123456789abcdef" * 2],
    "remote": ["http://me:hush-remote@host:1/v1?key=hush-query"],
    "cache_url": "redis://me:hush-cache@host:6379/0",
    "bucket": "https://me:hush-bucket@host/voices",
}
HIDDEN = ("sk-of", "hush", "0123456789abcdef")


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with running_parts() as parts:
        yield parts


@pytest.fixture
def log() -> Iterator[tuple[logging.Logger, LogTail]]:
    logger = logging.Logger("of-a-test")  # noqa: LOG001 - pytest listens to the tree
    secrets = load_settings(SECRETS, environ={}).settings.secrets
    with keep_log_tail(secrets, logger=logger) as tail:
        yield logger, tail


@pytest.fixture
async def client(parts: Parts, log: tuple[logging.Logger, LogTail]) -> AsyncIterator[AsyncClient]:
    logger, tail = log
    logger.warning("It creaks: Authorization: Bearer %s", "sk-of-nobody-known")
    logger.error("http://me:hush@host/ did not answer %s", SECRETS["remote_key"])
    recent = RecentUtterances(clock=lambda: 0.0)
    recent.on_record(record(voice="a|b\ud800"))
    recent.on_record(failed("busy", requested_voice=SECRETS["api_keys"][0], voice_reason="fallback"))
    loaded = load_settings(SECRETS, environ={})
    service = service_of(parts, settings=lambda: loaded, recent=recent, log=tail)
    app = FastAPI()
    app.include_router(bug_report_routes(BugReporter(service, lambda: parts.library.voices, tail.redact)))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
        yield client


async def test_a_bug_report_holds_all_that_is_known_and_nothing_secret(client: AsyncClient) -> None:
    answer = await client.get(f"/{REPORT_PATH}")
    report = answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert report.startswith(f"# wyoming-tts {__version__}\n")
    for known in (
        "- platform: Linux",
        "- packages: wyoming ",
        f"- default_voice: {LETTERS.name}",
        "- api_keys: (set, not shown) (",
        "- remote: http://***@host:1/v1?***",
        f"- {LETTERS.name}: piper, ",
        "| 1970-01-01 00:00:00Z | wyoming | a/b? (asked for: lessac) | 0.0554 |",
        "| failed (busy) |",
        " WARNING of-a-test: It creaks: Authorization: Bearer ***",
    ):
        assert known in report
    for secret in HIDDEN:
        assert secret not in report


async def test_settings_at_their_defaults_are_left_out(client: AsyncClient) -> None:
    assert "- http_port:" not in (await client.get(f"/{REPORT_PATH}")).text
