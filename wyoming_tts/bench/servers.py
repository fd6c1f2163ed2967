"""The server to be measured, by the protocol that its address names."""

from __future__ import annotations

from typing import Protocol

from wyoming_tts.bench.http_listener import HttpTarget
from wyoming_tts.bench.listener import Listener, ListenerRequest
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.realtime_listener import RealtimeTarget
from wyoming_tts.bench.wyoming_listener import WyomingTarget


class BenchTarget(Protocol):
    """What can be asked of a server in any protocol."""

    async def greeted(self, *, streams: bool) -> str:
        """What it is called, once it is known to be there and to take streamed text if it is to.

        Raises:
            ClientError: it cannot be reached, or cannot do that.
        """
        ...

    def request(self, text: str, input_: Input) -> ListenerRequest:
        """The text as it goes over the wire."""
        ...

    async def connect(self, wanted: ListenerRequest) -> Listener:
        """A listener that is ready to send the request; raises OSError if nobody answers."""
        ...

    async def describe_latency(self, patience: float) -> float | None:
        """Seconds from connecting to the answer to what it offers; None if none came in `patience`."""
        ...


def server_at(uri: str, options: BenchOptions) -> BenchTarget:
    """The server at an address.

    Raises:
        ClientError: the address cannot be used.
    """
    match uri.partition("://")[0]:
        case "http" | "https":
            return HttpTarget(uri, options)
        case "ws" | "wss":
            return RealtimeTarget(uri, options)
        case _:
            return WyomingTarget(uri, options)
