"""Stream-test targets: the servers that visitors may have tested, so that the page is no port scanner.

They are this server, those that were found on the network, which have answered as text-to-speech servers,
and those of a setting. Anything else is refused by one message that says nothing about it, before its name
is resolved. A name of the setting is resolved once for all clients of a run.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from urllib.parse import urlsplit

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.client import DiscoveredServer
from wyoming_tts.errors import BadRequest
from wyoming_tts.page.stream_test.request import parse_address
from wyoming_tts.transports.listening import host_in_uri

_MAX_FOUND = 64
"""Servers found on the network that are remembered."""


class StreamTestTargets:
    """Finds the URI of a server to test."""

    def __init__(
        self, own_uri: Callable[[], str], allowed: Iterable[str] = (), *, run_blocking: RunBlocking
    ) -> None:
        """`allowed` are addresses from the settings; `run_blocking` resolves their names."""
        self._own_uri = own_uri
        self._allowed = frozenset(map(parse_address, allowed))
        self._run_blocking = run_blocking
        self._found: OrderedDict[str, str] = OrderedDict()

    def add(self, servers: Iterable[DiscoveredServer]) -> None:
        """Remember servers that were found on the network."""
        for server in servers:
            address = parse_address(server.uri)
            self._found[address] = server.uri
            self._found.move_to_end(address)
        while len(self._found) > _MAX_FOUND:
            self._found.popitem(last=False)

    async def resolve(self, target: str) -> str:
        """Return the URI of the server to test; an empty target is this server.

        Raises:
            BadRequest: the target is malformed or may not be tested, or its name has no address.
        """
        if not target.strip():
            return self._own_uri()
        uri = parse_address(target)
        if uri in self._found:
            return self._found[uri]
        if uri == self._own_uri():
            return uri
        if uri in self._allowed:
            return await self._run_blocking(partial(_resolve_host, uri))
        raise BadRequest(
            "The stream test reaches only this server, servers found on the network, and those in the "
            "setting stream_test_targets.",
            hint="Leave the server empty, search for it, or add it to stream_test_targets.",
        )


def _resolve_host(uri: str) -> str:
    """Replace a host name by its first address. Blocks.

    Raises:
        BadRequest: it has none.
    """
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if _is_address(host):
        return uri
    try:
        found = socket.getaddrinfo(host, parts.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise BadRequest(f"{host} has no address: {error.strerror or error}.") from error
    return f"tcp://{host_in_uri(str(found[0][4][0]))}:{parts.port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
