"""HTTP connections for the HTTP and WebSocket targets: addresses, request encoding, reply parsing."""

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

DEFAULT_SAMPLE_RATE = 24_000
"""Hz of PCM where a server does not say: what OpenAI's clients assume."""
_P = TypeVar("_P", bound=asyncio.BaseProtocol)
_PLAIN_PORTS = {"http": 80, "ws": 80}
_SECURE_PORTS = {"https": 443, "wss": 443}
_VOICES = "/v1/audio/voices"
_CHECK_SECONDS = 5.0
"""Within which a server has to list its voices before it is measured."""


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Address of a server for HTTP and WebSocket requests."""

    uri: str
    host: str
    port: int
    is_secure: bool
    prefix: str
    """Path before all paths of the API; usually empty."""
    api_key: str | None = None

    @classmethod
    def parse(cls, uri: str, api_key: str | None) -> WebAddress:
        """Parse `http://HOST:PORT`, or the same with https, ws or wss.

        Raises:
            ClientError: the URI is not valid.
        """
        ports = _PLAIN_PORTS | _SECURE_PORTS
        try:
            address = urlsplit(uri)
            if address.scheme in ports and address.hostname:
                port = address.port or ports[address.scheme]
                is_secure = address.scheme in _SECURE_PORTS
                return cls(uri, address.hostname, port, is_secure, address.path.rstrip("/"), api_key)
        except ValueError:
            pass  # the port is not a number
        raise ClientError(
            f"{uri!r} is not an address to connect to.", hint="Give http://HOST:8880 or ws://HOST:8880."
        )

    @property
    def host_and_port(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    async def open_connection(self, make: Callable[[], _P]) -> _P:
        """Connect with an asyncio protocol; raises OSError if that fails."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(make, self.host, self.port, ssl=self.is_secure or None)
        return protocol

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        """Encode a request on a connection that is closed after it."""
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {self.prefix}{path} HTTP/1.1", f"Host: {self.host_and_port}", "Accept: */*"]
        if self.api_key is not None:
            lines.append(f"Authorization: Bearer {self.api_key}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + content


class HttpReplyParser:
    """Incremental parser of the reply to one request, however its bytes are split."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.CLIENT)
        # h11 must have seen a request first; the framing of a reply is the same for any.
        self._http.send(h11.Request(method="GET", target="/", headers=[("Host", "any")]))
        self._http.send(h11.EndOfMessage())

    def feed(self, data: bytes) -> Iterator[h11.Event]:
        """Feed received bytes, none for the end of the connection; yields the events that they complete.

        Raises:
            h11.RemoteProtocolError: this is not HTTP, or the connection ended before the reply.
        """
        self._http.receive_data(data)
        while True:
            event = self._http.next_event()
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                return
            yield event
            if isinstance(event, h11.EndOfMessage):
                return


class _SingleRequest(asyncio.Protocol):
    """Sends one request and collects its reply."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._replies = HttpReplyParser()
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
            self.answered.set_exception(ConnectionError(f"not HTTP: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.data_received(b"")
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionError("the server closed the connection"))

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


async def fetch_voices_status(address: WebAddress, time_limit: float) -> int:
    """Fetch the whole list of voices on a connection of its own; returns the HTTP status.

    Raises:
        OSError: no connection, no reply within `time_limit` seconds (TimeoutError), or not HTTP.
    """
    request = address.request("GET", _VOICES)
    async with asyncio.timeout(time_limit):
        exchange = await address.open_connection(lambda: _SingleRequest(request))
        try:
            status, _ = await exchange.answered
        finally:
            exchange.answered.cancel()
            exchange.close()
    return status


async def measure_voices_latency(address: WebAddress, time_limit: float) -> float | None:
    """Seconds from connecting to the complete list of voices; None if there is none in `time_limit`."""
    started_at = time.perf_counter()
    try:
        status = await fetch_voices_status(address, time_limit)
    except OSError:
        return None
    return time.perf_counter() - started_at if status == 200 else None  # noqa: PLR2004 -- HTTP's "OK"


async def require_voices(address: WebAddress) -> None:
    """Check that the server lists its voices.

    Raises:
        ClientError: it cannot be reached, refuses access, or has no list of voices.
    """
    try:
        status = await fetch_voices_status(address, _CHECK_SECONDS)
    except TimeoutError:
        raise ClientError(f"{address.uri} did not answer within {_CHECK_SECONDS:g} s.") from None
    except OSError as error:
        raise ClientError(
            f"No answer from {address.uri}: {error}.",
            hint="Is the server running there? `wyoming-tts serve` starts one.",
        ) from error
    if status in {401, 403}:
        raise ClientError(f"{address.uri} refused access ({status}).", hint="Give --api-key.")
    if status != 200:  # noqa: PLR2004 -- HTTP's "OK"
        raise ClientError(
            f"{address.uri} has no list of voices: it answered {status} to {_VOICES}.",
            hint="Is it the right port?",
        )
