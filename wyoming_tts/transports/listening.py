"""Addresses to listen on, and their sockets.

Light on purpose: the command line binds a tcp address before it imports what speaks, so that a client
that comes meanwhile waits in the socket's queue for a moment and is not refused.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

BACKLOG = 128
"""Clients that may wait to be accepted."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen."""

    scheme: str
    """`tcp`, `unix` or `stdio`."""
    host: str = ""
    port: int = 0
    path: Path = Path()

    @classmethod
    def parse(cls, uri: str) -> ListenAddress:
        """The address that `tcp://host:port`, `unix:///path` or `stdio://` names.

        Raises:
            ValueError: it is none of these; the message says what it should be.
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
            raise ValueError(f"Cannot listen on {uri!r}: expected tcp://HOST:PORT, as tcp://0.0.0.0:10200.")
        return cls("tcp", parts.hostname or "0.0.0.0", port)  # noqa: S104  # a server is for others


def host_in_uri(host: str) -> str:
    """Return the host as a URI has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def bind_tcp(address: ListenAddress) -> list[socket.socket]:
    """Open the sockets of a tcp address, listening already. Blocks if the host is a name.

    Raises:
        OSError: it cannot be listened on, as because another process does.
    """
    sockets = _listening(address)
    for each in sockets:
        # Or a small write waits for the answer to the one before, 40 ms. asyncio leaves it to us, because
        # it knows a TCP socket by its protocol number, which is not set here.
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sockets


def _listening(address: ListenAddress) -> list[socket.socket]:
    if address.host == "::" and socket.has_dualstack_ipv6():
        both = socket.create_server(
            ("::", address.port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
        )
        return [both]
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, where in _resolved(address):
            sockets.append(socket.create_server(where[:2], family=family, backlog=BACKLOG))
    except OSError:
        for opened in sockets:
            opened.close()
        raise
    return sockets


def _resolved(address: ListenAddress) -> list[tuple[socket.AddressFamily, int, int, str, tuple[str, int]]]:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys(found))  # type: ignore[arg-type]
