"""Benchmark target over Wyoming: TCP or a unix socket, one request per connection."""

from __future__ import annotations

import asyncio
import time

from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.targets.listener import (
    Listener,
    ListenerRequest,
    RequestOutcome,
    TimedWrite,
    count_words_to_sentence_end,
    schedule_words,
)
from wyoming_tts.bench.targets.skimmer import EventSkimmer, SkimmedEvent, open_wyoming_connection
from wyoming_tts.client import ClientError, describe, supports_streaming
from wyoming_tts.wyoming_framing import ProtocolError, encode_event


class WyomingTarget:
    """A server under test, reached over Wyoming."""

    def __init__(self, uri: str, options: BenchOptions) -> None:
        self._uri = uri
        self._options = options

    async def identify(self, *, streams: bool) -> str:
        """Ask the server for its name and version.

        Raises:
            ClientError: it cannot be reached, has no text-to-speech, or takes no streamed text although
                `streams` is set.
        """
        info = await describe(self._uri)
        if streams and not supports_streaming(info):
            raise ClientError(f"{self._uri} takes no streamed text.", hint="Measure it with --input plain.")
        programs = [program for program in info.tts if program.installed]
        if not programs:
            raise ClientError(
                f"{self._uri} has no text-to-speech.", hint="Is it another kind of Wyoming server?"
            )
        return f"{programs[0].name} {programs[0].version or ''}".strip()

    def make_request(self, text: str, input_: Input) -> ListenerRequest:
        """Encode a text, in one piece or word by word."""
        options = self._options
        return make_request(text, input_, words_per_second=options.words_per_second, voice=options.voice)

    async def connect(self, request: ListenerRequest) -> Listener:
        """Connect a listener; raises OSError if that fails."""
        return await WyomingListener.connect(self._uri, request)

    async def measure_describe_latency(self, time_limit: float) -> float | None:
        """Seconds from connecting to the answer to `describe`; None if there is none in `time_limit`."""
        return await measure_describe_latency(self._uri, time_limit)


def make_request(
    text: str, input_: Input, *, words_per_second: float, voice: str | None = None
) -> ListenerRequest:
    """Encode a text as one `synthesize` event, or as a stream of words at a pace."""
    chosen = SynthesizeVoice(voice) if voice else None
    whole = encode_event(Synthesize(text, chosen).event())
    if input_ is Input.PLAIN:
        return ListenerRequest((TimedWrite(0.0, whole),), end_event="audio-stop")
    pieces = [TimedWrite(0.0, encode_event(SynthesizeStart(chosen).event()))]
    pieces += [
        TimedWrite(due, encode_event(SynthesizeChunk(word).event()))
        for due, word in schedule_words(text, words_per_second)
    ]
    # Clients also send the whole text, for servers that ignore the chunks.
    pieces.append(TimedWrite(pieces[-1].due, whole + encode_event(SynthesizeStop().event())))
    return ListenerRequest(
        tuple(pieces), 1, 1 + count_words_to_sentence_end(text), end_event="synthesize-stopped"
    )


class WyomingListener(Listener):
    """Records the audio of a Wyoming reply; made by `WyomingListener.connect`."""

    def __init__(self, request: ListenerRequest) -> None:
        super().__init__(request)
        self._skimmer = EventSkimmer()
        self._bytes_per_second: int | None = None

    @classmethod
    async def connect(cls, uri: str, request: ListenerRequest) -> WyomingListener:
        """Connect a listener.

        Raises:
            ClientError: the URI is not valid.
            OSError: the connection failed.
        """
        _, listener = await open_wyoming_connection(uri, lambda: cls(request))
        return listener

    def data_received(self, data: bytes) -> None:
        """Record the events received, at the time of the read."""
        self._mark_active()
        try:
            for event in self._skimmer.feed(data):
                self._take(event)
        except ProtocolError:
            self._finish(RequestOutcome.CUT_OFF, "not Wyoming")

    def _take(self, event: SkimmedEvent) -> None:
        if event.type == "audio-chunk":
            if self._bytes_per_second is None:
                self._bytes_per_second = _bytes_per_second(event)
            self._record_audio(event.payload / self._bytes_per_second)
        elif event.type == "error":
            self._finish(RequestOutcome.REFUSED, str(event.data().get("code") or "error"))
        elif event.type == self._request.end_event:
            self._finish_spoken()


def _bytes_per_second(event: SkimmedEvent) -> int:
    data = event.data()
    found = [data.get(key) for key in ("rate", "width", "channels")]
    if not all(isinstance(value, int) and value > 0 for value in found):
        raise ProtocolError(f"Got audio with {data}, expected its rate, width and channels.")
    return int(data["rate"]) * int(data["width"]) * int(data["channels"])


class DescribeProbe(asyncio.Protocol):
    """Sends one `describe` on a connection of its own."""

    def __init__(self) -> None:
        self._skimmer = EventSkimmer()
        self._answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send `describe`."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(encode_event(Describe().event()))

    def data_received(self, data: bytes) -> None:
        """Look for the `info` event."""
        try:
            if any(event.type == "info" for event in self._skimmer.feed(data)):
                self._finish(True)
        except ProtocolError:
            self._finish(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """End without an answer."""
        del exc
        self._finish(False)

    async def wait(self) -> bool:
        """Wait for the answer; False if there will be none."""
        return await self._answered

    def _finish(self, answered: bool) -> None:  # noqa: FBT001 -- the future's value
        if not self._answered.done():
            self._answered.set_result(answered)


async def measure_describe_latency(uri: str, time_limit: float) -> float | None:
    """Seconds from connecting to the complete answer to `describe`; None if none came in `time_limit`."""
    started_at = time.perf_counter()
    try:
        async with asyncio.timeout(time_limit):
            transport, probe = await open_wyoming_connection(uri, DescribeProbe)
            try:
                answered = await probe.wait()
            finally:
                transport.abort()
    except OSError:  # TimeoutError is one
        return None
    return time.perf_counter() - started_at if answered else None
