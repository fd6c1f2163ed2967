"""What HTTP and WebSocket listeners share: addresses, connections, requests and their replies."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import h11

from wyoming_tts.client import ClientError

RATE = 24_000
"""Hz of PCM where a server does not tell: what clients of OpenAI assume."""
_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_PLAIN_PORTS = {"http": 80, "ws": 80}
_SECURE_PORTS = {"https": 443, "wss": 443}
_VOICES = "/v1/audio/voices"
_CHECK_SECONDS = 5.0
"""Within which a server that is to be measured has to answer."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where a server is, whichever of the two protocols it is asked in."""

    uri: str
    host: str
    port: int
    is_secure: bool
    prefix: str
    """What comes before the paths; empty at most servers."""
    api_key: str | None = None

    @classmethod
    def parsed(cls, uri: str, api_key: str | None) -> WebAddress:
        """Read `http://HOST:PORT` and its like.

        Raises:
            ClientError: it is none.
        """
        ports = _PLAIN_PORTS | _SECURE_PORTS
        try:
            address = urlsplit(uri)
            if address.scheme in ports and address.hostname:
                port = address.port or ports[address.scheme]
                is_secure = address.scheme in _SECURE_PORTS
                return cls(uri, address.hostname, port, is_secure, address.path.rstrip("/"), api_key)
        except ValueError:
            pass  # a port that is no number
        raise ClientError(
            f"{uri!r} is not an address to connect to.", hint="Give http://HOST:8880 or ws://HOST:8880."
        )

    @property
    def host_and_port(self) -> str:
        """As the Host header has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    async def connected(self, make: Callable[[], _P]) -> _P:
        """A connection, handled by a protocol of our own; raises OSError if nobody answers."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(make, self.host, self.port, ssl=self.is_secure or None)
        return protocol

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """A request as it goes over the wire, on a connection that ends with it."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"Host: {self.host_and_port}", "Accept: */*"]
        if self.api_key is not None:
            lines.append(f"Authorization: Bearer {self.api_key}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


class Replies:
    """Reads the reply to one request, however its bytes were cut."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        # The reader has to know that there was a request; how a reply is framed is the same for any.
        self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "any")]))
        self._http.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> Iterator[h11.Event]:
        """Take received bytes, none at the end of the connection; the events they complete.

        Raises:
            h11.RemoteProtocolError: that is not HTTP, or it ended before the reply did.
        """
        self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                return
            yield event
            if isinstance(event, h11.EndOfMessage):
                return


class _Question(asyncio.Protocol):
    """Asks something small, once."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._replies = Replies()
        self._status = 0
        self._body = bytearray()
        self._transport: asyncio.Transport | None = None
        self.answered: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.answered.done():
            return
        try:
            for event in self._replies.feed(data):
                self._take(event)
        except h11.RemoteProtocolError as error:
            self.answered.set_exception(ConnectionError(f"that is not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.data_received(b"")
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("it closed the connection"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take(self, event: h11.Event) -> None:
        if isinstance(event, h11.Response):
            self._status = event.status_code
        elif isinstance(event, h11.Data):
            self._body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.answered.set_result((self._status, bytes(self._body)))


async def voices_status(address: WebAddress, patience: float) -> int:
    """Ask for the list of voices on a connection of its own, all of it; the status of the answer.

    Raises:
        OSError: no connection, no answer in `patience` seconds (TimeoutError is one), or not HTTP.
    """
    request = address.request("GET", _VOICES)
    async with asyncio.timeout(patience):
        question = await address.connected(lambda: _Question(request))
        try:
            status, _ = await question.answered
        finally:
            question.answered.cancel()
            question.close()
    return status


async def voices_latency(address: WebAddress, patience: float) -> float | None:
    """Seconds from connecting to the complete list of voices; None if none came in `patience`."""
    started_at = time.perf_counter()
    try:
        status = await voices_status(address, patience)
    except OSError:
        return None
    return time.perf_counter() - started_at if status == 200 else None  # noqa: PLR2004 -- HTTP's "OK"


async def check_voices(address: WebAddress) -> None:
    """Make sure that a server of speech is there.

    Raises:
        ClientError: it is not.
    """
    try:
        status = await voices_status(address, _CHECK_SECONDS)
    except TimeoutError:
        raise ClientError(f"{address.uri} did not answer within {_CHECK_SECONDS:g} s.") from None
    except OSError as error:
        raise ClientError(
            f"No answer from {address.uri}: {error}.",
            hint="Is the server running there? `wyoming-tts serve` starts one.",
        ) from error
    if status in {401, 403}:
        raise ClientError(f"{address.uri} lets nobody in ({status}).", hint="Give --api-key.")
    if status != 200:  # noqa: PLR2004 -- HTTP's "OK"
        raise ClientError(
            f"{address.uri} has no list of voices: it answered {status} to {_VOICES}.",
            hint="Is it the right port?",
        )
