"""Settings of the group Access: who may use the server, how often, and how much of it."""

from __future__ import annotations

from functools import partial

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import Address, Hosts, Networks
from wyoming_tts.settings.values.plain import Phrases, Whole
from wyoming_tts.settings.values.token_keys import MIN_SECRET_BYTES, TokenKeys

_setting = partial(setting, Group.ACCESS)


class AccessSettings(SettingsGroup):
    """Fields under the heading Access."""

    api_keys: Phrases = _setting(
        (),
        "Keys of which the HTTP API requires one, as `Authorization: Bearer KEY`; several flags, a list in "
        "the file, or lines in the environment.",
        shown="none is required",
        expects="texts",
    )
    allow_networks: Networks = _setting(
        (),
        "Networks that may connect, such as `192.168.1.0/24`; this machine always may.",
        shown="all",
        expects="networks in CIDR form",
    )
    cors_origins: Phrases = _setting(
        (),
        "Origins of web pages that may use the HTTP API from a browser.",
        shown="none",
        expects="origins such as https://example.org, or *",
    )
    token_keys: TokenKeys = _setting(
        (),
        "Secrets with which other sites' backends sign short-lived tokens for browsers, each behind its id; "
        "several flags, a list in the file, or lines in the environment.",
        shown="none, no token is taken",
        expects=f"ID=SECRET, the secret of at least {MIN_SECRET_BYTES} bytes",
    )
    token_lifetime: Whole = _setting(
        3600,
        "Longest time for which such a token may be valid.",
        unit="seconds",
        ge=10,
        le=604_800,
    )
    stream_test_targets: Hosts = _setting(
        (),
        "Servers that the page's stream test may reach, besides this one and those found on the network.",
        shown="none",
        expects="HOST or HOST:PORT",
    )
    ingress_peer: Address | None = _setting(
        None,
        "Address of Home Assistant's ingress proxy, whose users may use the page without a key.",
        shown="none",
        expects="an IP address",
    )
    requests_per_minute: Whole = _setting(
        0,
        "Limit of speech requests over HTTP, and of responses over the WebSocket, from one address per "
        "minute; 0 is no limit.",
        ge=0,
        le=100_000,
    )
    max_body_kb: Whole = _setting(1024, "Largest body of an HTTP request.", unit="kB", ge=16, le=1_048_576)
    allow_unload: bool = _setting(
        False,
        "Let clients unload all models with `POST /dev/unload`, to free memory for other programs.",
    )
