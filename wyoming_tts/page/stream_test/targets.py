"""Stream-test targets: the servers that visitors may have tested, so that the page is no port scanner.

They are this server, those that were found on the network, which have answered as text-to-speech servers,
and those of a setting. Anything else is refused by one message that says nothing about it, before its name
is resolved. A name of the setting is resolved once for all clients of a run. The same hosts and ports may be
reached by each kind of client; this server by its address for that kind.
"""

from __future__ import annotations

import ipaddress
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.client import DiscoveredServer
from wyoming_tts.errors import BadRequest
from wyoming_tts.messages import Message
from wyoming_tts.page.stream_test.request import ClientKind, parse_address
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.transports.listening import host_in_uri

_MAX_FOUND = 64
"""Servers found on the network that are remembered."""


@dataclass(frozen=True, slots=True)
class StreamTestTarget:
    """A server that may be tested."""

    uri: str
    """For Wyoming `tcp://HOST:PORT` or a unix socket, else `http://HOST:PORT` or the same with https."""
    api_key: str | None = None
    """This server's own; no other server is sent one."""
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """Where this server is reached from this machine."""

    wyoming: str
    http: str = ""
    """Empty while it has none."""
    api_key: str | None = None


class StreamTestTargets:
    """Finds the server to test."""

    def __init__(
        self, own: Callable[[], OwnAddresses], allowed: Iterable[str] = (), *, run_blocking: RunBlocking
    ) -> None:
        """`allowed` are addresses from the settings; `run_blocking` resolves their names."""
        self._own = own
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

    async def resolve(self, target: str, kind: ClientKind = ClientKind.WYOMING_STREAM) -> StreamTestTarget:
        """Return the server to test; an empty target is this server.

        Raises:
            BadRequest: the target is malformed or may not be tested, or its name has no address.
        """
        own = self._own()
        if not target.strip():
            return _own_target(own, kind)
        uri = parse_address(target, kind.default_port)
        if uri in {own.wyoming, _tcp(own.http)}:
            return _own_target(own, kind)
        if uri in self._found:
            return StreamTestTarget(_for_kind(self._found[uri], kind))
        if uri in self._allowed:
            return StreamTestTarget(_for_kind(await self._run_blocking(partial(_resolve_host, uri)), kind))
        raise BadRequest(
            Message(
                "other_target",
                "The stream test reaches only this server, servers found on the network, and those in the "
                "setting stream_test_targets.",
            ),
            hint=Message(
                "allow_target", "Leave the server empty, search for it, or add it to stream_test_targets."
            ),
        )


def _own_target(own: OwnAddresses, kind: ClientKind) -> StreamTestTarget:
    if not kind.is_web:
        return StreamTestTarget(own.wyoming, is_own=True)
    if not own.http:
        raise BadRequest(Message("no_http", "This server does not listen for HTTP."))
    return StreamTestTarget(own.http, own.api_key, is_own=True)


def _tcp(http: str) -> str:
    return f"tcp://{http.partition('://')[2]}"


def _for_kind(uri: str, kind: ClientKind) -> str:
    return f"http://{uri.partition('://')[2]}" if kind.is_web else uri


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
        raise BadRequest(
            Message("no_address", "{host} has no address: {reason}.", host=host, reason=system_reason(error))
        ) from error
    return f"tcp://{host_in_uri(str(found[0][4][0]))}:{parts.port}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
