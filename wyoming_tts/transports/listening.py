"""Listening addresses and sockets.

Cheap to import on purpose: the command line binds a TCP address before it imports the engines, so that a
client which connects meanwhile waits in the socket's backlog instead of being refused.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

BACKLOG = 128
"""Connections that may wait to be accepted."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on."""

    scheme: str
    """`tcp`, `unix` or `stdio`."""
    host: str = ""
    port: int = 0
    path: Path = Path()

    @classmethod
    def parse(cls, uri: str) -> ListenAddress:
        """Parse `tcp://host:port`, `unix:///path` or `stdio://`.

        Raises:
            ValueError: it is none of these; the message says what was expected.
        """
        scheme, _, rest = uri.partition("://")
        if scheme == "tcp":
            return cls._parse_tcp(uri)
        if scheme == "unix" and rest.startswith("/"):
            return cls("unix", path=Path(rest))
        if scheme == "stdio" and not rest:
            return cls("stdio")
        raise ValueError(f"Cannot listen on {uri!r}: expected tcp://HOST:PORT, unix:///PATH or stdio://.")

    @classmethod
    def _parse_tcp(cls, uri: str) -> ListenAddress:
        try:
            parts = urlsplit(uri)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"Cannot listen on {uri!r}: {error}.") from None
        if port is None or parts.path or parts.username:
            raise ValueError(
                f"Cannot listen on {uri!r}: expected tcp://HOST:PORT, for example tcp://0.0.0.0:10200."
            )
        return cls("tcp", parts.hostname or "0.0.0.0", port)  # noqa: S104  # a server is there for other machines


def host_in_uri(host: str) -> str:
    """Return a host as written in a URI: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def bind_tcp(address: ListenAddress) -> list[socket.socket]:
    """Open the sockets of a TCP address, already listening. Blocks if the host is a name.

    Raises:
        OSError: it cannot be listened on, for example because another process does.
    """
    sockets = _open_sockets(address)
    for each in sockets:
        # Otherwise a small write waits up to 40 ms for the previous one to be acknowledged. asyncio sets it
        # only on sockets whose protocol number says TCP, which is not set here.
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def _open_sockets(address: ListenAddress) -> list[socket.socket]:
    if address.host == "::" and socket.has_dualstack_ipv6():
        both = socket.create_server(
            ("::", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
        return [both]
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in _resolve(address):
            sockets.append(socket.create_server(where[:2], family=family, backlog=BACKLOG))
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _resolve(address: ListenAddress) -> list[tuple[socket.AddressFamily, int, int, str, tuple[str, int]]]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys(found))  # type: ignore[arg-type]
