"""Buffers of TLS, a quarter of a megabyte for each client, are freed as soon as a client has gone."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from asyncio.sslproto import SSLProtocol
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.conftest import Served, serving
from tests.support.certificates import write_certificate

PATIENCE = 10.0


def client_hello() -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[weakref.ref[SSLProtocol]]]:
    """The TLS connections of the server and of clients; reference cycles are not collected."""
    made: list[weakref.ref[SSLProtocol]] = []
    begin = SSLProtocol.connection_made

    def note(self: SSLProtocol, transport: asyncio.BaseTransport) -> None:
        made.append(weakref.ref(self))
        begin(self, transport)

    monkeypatch.setattr(SSLProtocol, "connection_made", note)
    gc.disable()
    yield made
    gc.enable()


async def until_all_freed(opened: list[weakref.ref[SSLProtocol]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not opened or any(each() is not None for each in opened):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.001)


async def ask_over_tls(served: Served) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(*served.address, ssl=context)
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()


@pytest.mark.parametrize(
    "sent",
    [b"", client_hello()[:50], client_hello(), b"\x16\x03\x01" + b"x" * 500, b"GET / HTTP/1.1\r\n\r\n"],
    ids=["nothing", "half a hello", "hello", "garbage", "plain HTTP"],
)
async def test_a_handshake_that_ends_early_leaves_no_buffers(
    tmp_path: Path, opened: list[weakref.ref[SSLProtocol]], sent: bytes
) -> None:
    certificate, key = write_certificate(tmp_path)
    async with serving(certificate=certificate, key=key) as served:
        _, writer = await asyncio.open_connection(*served.address)
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            while not opened:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0)
        writer.transport.abort()
        await until_all_freed(opened)


async def test_a_client_that_was_served_over_tls_leaves_no_buffers(
    tmp_path: Path, opened: list[weakref.ref[SSLProtocol]]
) -> None:
    certificate, key = write_certificate(tmp_path)
    async with serving(certificate=certificate, key=key) as served:
        await ask_over_tls(served)
        await until_all_freed(opened[-1:])
