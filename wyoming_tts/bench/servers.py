"""The server to be measured, by the protocol that its address names."""

from __future__ import annotations

from typing import Protocol

from wyoming_tts.bench.http_listener import HttpServer
from wyoming_tts.bench.listener import Listener, Request
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.realtime_listener import RealtimeServer
from wyoming_tts.bench.wyoming_listener import WyomingServer


class Server(Protocol):
    """What can be asked of a server in any protocol."""

    async def greeted(self, *, streams: bool) -> str:
        """What it is called, once it is known to be there and to take streamed text if it is to.

        Raises:
            ClientError: it cannot be reached, or cannot do that.
        """
        ...

    def request(self, text: str, input_: Input) -> Request:
        """The text as it goes over the wire."""
        ...

    async def connect(self, wanted: Request) -> Listener:
        """A listener that is ready to send the request; raises OSError if nobody answers."""
        ...

    async def describe_latency(self, patience: float) -> float | None:
        """Seconds from connecting to the answer to what it offers; None if none came in `patience`."""
        ...


def server_at(uri: str, options: BenchOptions) -> Server:
    """The server at an address.

    Raises:
        ClientError: the address cannot be used.
    """
    match uri.partition("://")[0]:
        case "http" | "https":
            return HttpServer(uri, options)
        case "ws" | "wss":
            return RealtimeServer(uri, options)
        case _:
            return WyomingServer(uri, options)
