"""Hostile connections: opened by the hundred, sending what they are told, reading nothing unless asked."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

ATTACKER = "127.0.0.66"
"""Address that attacks come from: of this machine, but not that of the listeners."""
_OPENS_WITHIN = 5.0


async def open_socket(
    address: tuple[str, int], data: bytes = b"", *, source: str = ATTACKER
) -> socket.socket | None:
    """Connect from a source address and send; None if the server refuses, or takes nothing within seconds.

    A plain socket, without asyncio's reader: nothing is read, and what the server sends fills its buffers.
    """
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((source, 0))
    try:
        async with asyncio.timeout(_OPENS_WITHIN):
            await loop.sock_connect(sock, address)
            await loop.sock_sendall(sock, data)
    except OSError:
        sock.close()
        return None
    return sock


@asynccontextmanager
async def flood(
    address: tuple[str, int], data: bytes = b"", *, count: int, source: str = ATTACKER
) -> AsyncIterator[list[socket.socket]]:
    """Hold this many connections that have sent the same bytes, as far as the server takes them."""
    attempts = [await open_socket(address, data, source=source) for _ in range(count)]
    opened = [sock for sock in attempts if sock is not None]
    try:
        yield opened
    finally:
        close_all(opened)


def close_all(sockets: Iterable[socket.socket]) -> None:
    """Close sockets as a client does that ends."""
    for sock in sockets:
        sock.close()


def reset(sock: socket.socket) -> None:
    """Reset a connection like a process killed with unread data: the server sees no end of stream."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def received(sock: socket.socket) -> bytes:
    """All that has arrived so far; reading is what the attacker does not do otherwise."""
    data = bytearray()
    with suppress(OSError):
        while chunk := sock.recv(65536):
            data += chunk
    return bytes(data)


async def exchange(address: tuple[str, int], data: bytes, *, ends: bool, patience: float = 2.0) -> bytes:
    """Send bytes from the attacker's address and return what comes back until the server closes.

    Args:
        address: of the server.
        data: sent as far as the server takes it.
        ends: send an end of stream afterwards; else the connection stays open for `patience`.
        patience: seconds after which the connection is reset.
    """
    reply = bytearray()
    loop = asyncio.get_running_loop()
    sock = await open_socket(address)
    if sock is None:
        return b""
    try:
        async with asyncio.timeout(patience):
            await loop.sock_sendall(sock, data)
            if ends:
                sock.shutdown(socket.SHUT_WR)
            while chunk := await loop.sock_recv(sock, 65536):
                reply += chunk
    except OSError:  # a timeout as well
        pass
    finally:
        reset(sock)
    return bytes(reply)
