"""Settings of the group Listening: the addresses the server listens on, and how audio is sent from them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from wyoming_tts.settings.groups.base import Group, SettingsGroup, setting
from wyoming_tts.settings.values.addresses import ListeningUri
from wyoming_tts.settings.values.plain import AnyPath, InstanceName, Whole

_setting = partial(setting, Group.LISTENING)


def _uri_of_host_and_port(values: Mapping[str, Any]) -> str:
    host = f"[{values['host']}]" if ":" in values["host"] else values["host"]
    return f"tcp://{host}:{values['port']}"


class ListeningSettings(SettingsGroup):
    """Fields under the heading Listening."""

    host: str = _setting(
        "0.0.0.0",  # noqa: S104 - satellites are other machines
        "Address to listen on.",
        expects="an address or a host name",
        pattern=r"^[^\s/\[\]]+$",
    )
    port: Whole = _setting(10200, "TCP port to listen on; 0 lets the system choose one.", ge=0, le=65535)
    uri: ListeningUri = _setting(
        _uri_of_host_and_port,
        "Address to listen on, in place of host and port.",
        shown="tcp://HOST:PORT",
        expects="tcp://HOST:PORT, unix:///PATH or stdio://",
    )
    agent_port: Whole | None = _setting(
        None,
        "TCP port that tells HAProxy (agent-check) how much to send here, and to send nobody new to a "
        "server that is stopping; 0 lets the system choose one.",
        shown="none",
        ge=0,
        le=65535,
    )
    zeroconf: bool = _setting(
        True,
        "Announce the server on the local network, under the given instance name if there is one; "
        "only a tcp:// server can be announced.",
        expects="true, false or an instance name",
    )
    zeroconf_name: InstanceName | None = _setting(
        None,
        "Instance name of the announcement; must be unique on the network.",
        shown="made from the machine's name",
        expects="a printable name of 1 to 63 bytes",
        min_length=1,
    )
    http: bool = _setting(True, "Serve the HTTP API and the realtime WebSocket.")
    http_host: str | None = _setting(
        None,
        "Address the HTTP API listens on.",
        shown="0.0.0.0 with a key, an allow list or no page; else 127.0.0.1",
        expects="an address or a host name",
        pattern=r"^[^\s/\[\]]+$",
    )
    http_port: Whole = _setting(
        8880, "TCP port of the HTTP API; 0 lets the system choose one.", ge=0, le=65535
    )
    http_certificate: AnyPath | None = _setting(
        None, "Certificate chain (PEM) with which the HTTP API speaks TLS.", shown="no TLS"
    )
    http_key: AnyPath | None = _setting(
        None, "Private key (PEM) of the certificate.", shown="in the certificate's file"
    )
    stream_prime_bytes: Whole = _setting(
        0,
        "Zero bytes of PCM (silence) sent before the first audio, over HTTP and the realtime WebSocket, for "
        "proxies that hold back what is small.",
        unit="bytes",
        ge=0,
        le=1_048_576,
    )
    mp3_bitrate: Whole = _setting(96, "Bit rate of MP3 over HTTP.", unit="kbit/s", ge=32, le=320)
    opus_bitrate: Whole = _setting(
        48, "Bit rate of Opus over HTTP and the WebSocket.", unit="kbit/s", ge=8, le=256
    )
    opus_complexity: Whole = _setting(
        5,
        "CPU time that Opus may cost: 5 takes 3 ms a second of audio, 10 takes 14. Needs libopus on the "
        "system.",
        ge=0,
        le=10,
    )
    opus_application: Literal["audio", "voip"] = _setting(
        "audio",
        "What Opus encodes for: `audio` is near to the original, `voip` favours what makes speech "
        "intelligible, at more than twice the CPU time. Needs libopus on the system.",
    )
    realtime_flush_idle_ms: Whole = _setting(
        160,
        "Over the realtime WebSocket, speak the text received so far when no more has arrived for this long.",
        unit="milliseconds",
        ge=0,
        le=60_000,
    )
    slow_send_log_ms: Whole = _setting(
        2000,
        "Log, at most once a minute, that a message to a client of the WebSocket took longer to send than "
        "this; 0 never does.",
        unit="milliseconds",
        ge=0,
        le=3_600_000,
    )
    ui: bool = _setting(True, "Serve the web page, on the port of the HTTP API.")
    ui_start: Literal["first_visit", "ready"] = _setting(
        "first_visit",
        "When the page is built, which takes a few seconds, once for each version: on the `first_visit`, or "
        "once the server is `ready`.",
    )
