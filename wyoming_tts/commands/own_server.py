"""Address of the server on this machine, as its settings describe it and a client connects to it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from wyoming_tts.settings import Settings

CONNECT_HOSTS: Mapping[str, str] = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - see below
"""Addresses to listen on that nobody connects to, and the ones to connect to."""


def own_server(settings: Settings) -> str | None:
    """Return the Wyoming URI of the server that the settings describe; None if they name no fixed address."""
    parts = urlsplit(settings.uri)
    if parts.scheme == "unix":
        return settings.uri
    if parts.scheme != "tcp" or not parts.hostname or not parts.port:
        return None
    return tcp_uri(CONNECT_HOSTS.get(parts.hostname, parts.hostname), parts.port)


def tcp_uri(host: str, port: int) -> str:
    """Return the Wyoming URI of a host, by name or address, and a port."""
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
