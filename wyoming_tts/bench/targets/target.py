"""Interface of a benchmark target, and the choice of its protocol by the URI's scheme."""

from __future__ import annotations

from typing import Protocol

from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.http import HttpTarget
from wyoming_tts.bench.targets.listener import Listener, ListenerRequest
from wyoming_tts.bench.targets.realtime import RealtimeTarget
from wyoming_tts.bench.targets.wyoming import WyomingTarget


class BenchTarget(Protocol):
    """A server under test, whatever its protocol."""

    async def identify(self, *, streams: bool) -> str:
        """Check that the server can be measured, and return its name.

        Raises:
            ClientError: it cannot be reached, or takes no streamed text although `streams` is set.
        """
        ...

    def make_request(self, text: str, input_: Input) -> ListenerRequest:
        """Encode a text as the writes of one request."""
        ...

    async def connect(self, request: ListenerRequest) -> Listener:
        """Connect a listener for the request; raises OSError if that fails."""
        ...

    async def measure_describe_latency(self, time_limit: float) -> float | None:
        """Seconds from connecting to the complete list of voices; None if there is none in `time_limit`."""
        ...


def make_target(uri: str, options: BenchOptions) -> BenchTarget:
    """Make the target for a server's URI.

    Raises:
        ClientError: the URI is not valid.
    """
    match uri.partition("://")[0]:
        case "http" | "https":
            return HttpTarget(uri, options)
        case "ws" | "wss":
            return RealtimeTarget(uri, options)
        case _:
            return WyomingTarget(uri, options)
