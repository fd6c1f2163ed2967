"""The initiator of a request, from the headers that browsers send; those of Chromium are recorded ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.transports.access import AllowedOrigins
from wyoming_tts.transports.http.guard_request import GuardedRequest, Headers, encode_header
from wyoming_tts.transports.http.initiator import Initiator, find_initiator, is_navigation

HOST = "nas.local:8880"
OWN, STRANGER, LISTED = f"http://{HOST}", "http://stranger.example", "https://listed.example.org"
CHROMIUM = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 "
    "Safari/537.36",
    "Accept-Language": "en-GB,en;q=0.9",
}
AUDIO = {**CHROMIUM, "Accept": "*/*", "Range": "bytes=0-"}
WINDOW = {**CHROMIUM, "Accept": "text/html,application/xhtml+xml", "Upgrade-Insecure-Requests": "1"}


def metadata(site: str, mode: str = "no-cors", dest: str = "audio") -> dict[str, str]:
    return {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}


def make_request(headers: dict[str, str], kind: str = "http", method: str = "GET") -> GuardedRequest:
    raw: Headers = [(name.lower().encode(), encode_header(value)) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": kind, "path": "/", "headers": raw}
    return GuardedRequest(scope if kind == "websocket" else {**scope, "method": method})


def initiator(headers: dict[str, str], *listed: str) -> Initiator:
    return find_initiator(make_request(headers), AllowedOrigins(listed), HOST)


@pytest.mark.parametrize(
    "headers",
    [
        {**AUDIO, **metadata("cross-site")},
        {**AUDIO, **metadata("same-site")},
        {**AUDIO, **metadata("cross-site"), "Referer": f"{STRANGER}/"},
        {**AUDIO, **metadata("cross-site"), "Referer": f"{OWN}/"},
        {**AUDIO, **metadata("a value of the future")},
        {**WINDOW, **metadata("cross-site", "navigate", "document")},
        {**WINDOW, **metadata("cross-site", "navigate", "iframe")},
        {**AUDIO, "Referer": f"{STRANGER}/"},
        {**AUDIO, "Referer": "http://nas.local:3000/"},
        {**AUDIO, "Referer": "http://[malformed"},
        {**AUDIO, "Referer": "about:client"},
        {**AUDIO, "Origin": STRANGER},
        {**AUDIO, "Origin": "null"},
        {**AUDIO, **metadata("same-origin"), "Origin": STRANGER},
        {"Origin": STRANGER},
    ],
)
def test_a_page_of_another_origin_is_recognized_by_any_of_its_headers(headers: dict[str, str]) -> None:
    assert initiator(headers, LISTED) is Initiator.CROSS_ORIGIN


@pytest.mark.parametrize(
    "headers",
    [
        {**AUDIO, **metadata("same-origin")},
        {**WINDOW, **metadata("none", "navigate", "document")},
        {**AUDIO, "Referer": f"{OWN}/"},
        {**AUDIO, "Origin": OWN},
        {**AUDIO, "X-Page-Visit": "1"},
    ],
)
def test_the_servers_own_pages_and_the_browsers_user_are_recognized(headers: dict[str, str]) -> None:
    assert initiator(headers) is Initiator.SAME_ORIGIN


@pytest.mark.parametrize(
    "headers",
    [
        {**AUDIO, **metadata("cross-site", "cors"), "Origin": LISTED},
        {**AUDIO, **metadata("cross-site"), "Referer": f"{LISTED}/"},
        {**AUDIO, "Referer": f"{LISTED}/a/page"},
        {**AUDIO, "Origin": LISTED},
    ],
)
def test_a_listed_page_is_recognized_by_origin_or_referer(headers: dict[str, str]) -> None:
    assert initiator(headers, LISTED) is Initiator.ALLOWED_ORIGIN
    assert initiator(headers) is Initiator.CROSS_ORIGIN


def test_a_star_lists_every_page() -> None:
    assert initiator({**AUDIO, **metadata("cross-site")}, "*") is Initiator.ALLOWED_ORIGIN


@pytest.mark.parametrize("headers", [AUDIO, WINDOW, {**CHROMIUM, "Accept": "image/avif"}])
def test_without_metadata_origin_and_referer_a_browsers_page_is_unknown(headers: dict[str, str]) -> None:
    assert initiator(headers) is Initiator.UNKNOWN


@pytest.mark.parametrize("purpose", ["Sec-Purpose", "Purpose", "X-Moz"])
def test_a_prefetch_is_nobodys_wish(purpose: str) -> None:
    headers = {**WINDOW, **metadata("none", "navigate", "document"), purpose: "prefetch;prerender"}
    assert initiator(headers) is Initiator.UNKNOWN


@pytest.mark.parametrize(
    "agent",
    [
        "curl/8.5.0",
        "VLC/3.0.20 LibVLC/3.0.20",
        "HomeAssistant/2026.11.0 aiohttp/3.13",
        "AppleCoreMedia/1.0.0.21A329 (HomePod; U; CPU OS 17_0 like Mac OS X; en_us)",
        "Mozilla/5.0 (X11; Linux armv7l) AppleWebKit/537.36 Chrome/90.0 Safari/537.36 CrKey/1.56.500000",
        "",
    ],
)
def test_programs_and_players_are_no_browsers(agent: str) -> None:
    headers = {"User-Agent": agent, "Accept-Language": "en_us", "Range": "bytes=0-"}
    assert initiator(headers) is Initiator.NOT_A_BROWSER


def test_an_agent_named_mozilla_without_a_language_is_no_browser() -> None:
    powershell = "Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.19041"
    assert initiator({"User-Agent": powershell}) is Initiator.NOT_A_BROWSER


def test_a_websocket_or_post_is_no_navigation() -> None:
    headers = {**WINDOW, **metadata("cross-site", "navigate", "document")}
    assert is_navigation(make_request(headers))
    assert is_navigation(make_request(WINDOW))
    assert not is_navigation(make_request(AUDIO))
    assert not is_navigation(make_request(headers, method="POST"))
    assert not is_navigation(make_request(headers, "websocket"))


@given(st.dictionaries(st.sampled_from(["Origin", "Referer", "Sec-Fetch-Site", "User-Agent"]), st.text()))
def test_no_header_crashes_the_judgement(headers: dict[str, str]) -> None:
    assert initiator(headers) in Initiator
