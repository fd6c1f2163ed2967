"""A listener of a Wyoming server: TCP or a unix socket, one request a connection."""

from __future__ import annotations

import asyncio
import time

from wyoming.info import Describe
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from wyoming_tts.bench.listener import (
    Listener,
    ListenerRequest,
    RequestOutcome,
    TimedText,
    word_by_word,
    words_until_certain,
)
from wyoming_tts.bench.options import BenchOptions, Input
from wyoming_tts.bench.skimmer import Skimmed, Skimmer, connected
from wyoming_tts.client import ClientError, describe, supports_streaming
from wyoming_tts.wyoming_framing import ProtocolError, encode_event


class WyomingTarget:
    """A server that is asked in Wyoming."""

    def __init__(self, uri: str, options: BenchOptions) -> None:
        self._uri = uri
        self._options = options

    async def greeted(self, *, streams: bool) -> str:
        """What it calls itself.

        Raises:
            ClientError: it cannot be reached, has no speech, or takes no streamed text and is to.
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

    def request(self, text: str, input_: Input) -> ListenerRequest:
        """The text as it is sent."""
        options = self._options
        return request(text, input_, words_per_second=options.words_per_second, voice=options.voice)

    async def connect(self, wanted: ListenerRequest) -> Listener:
        """A listener whose connection stands; raises OSError if nobody answers."""
        return await WyomingListener.connect(self._uri, wanted)

    async def describe_latency(self, patience: float) -> float | None:
        """As the function of that name."""
        return await describe_latency(self._uri, patience)


def request(
    text: str, input_: Input, *, words_per_second: float, voice: str | None = None
) -> ListenerRequest:
    """Prepare a text to be sent in one go, or word by word at a pace."""
    chosen = SynthesizeVoice(voice) if voice else None
    whole = encode_event(Synthesize(text, chosen).event())
    if input_ is Input.PLAIN:
        return ListenerRequest((TimedText(0.0, whole),), ends_with="audio-stop")
    pieces = [TimedText(0.0, encode_event(SynthesizeStart(chosen).event()))]
    pieces += [
        TimedText(due, encode_event(SynthesizeChunk(word).event()))
        for due, word in word_by_word(text, words_per_second)
    ]
    # What clients send besides, for servers that passed over the pieces.
    pieces.append(TimedText(pieces[-1].due, whole + encode_event(SynthesizeStop().event())))
    return ListenerRequest(tuple(pieces), 1, 1 + words_until_certain(text), ends_with="synthesize-stopped")


class WyomingListener(Listener):
    """Made by `WyomingListener.connect`."""

    def __init__(self, wanted: ListenerRequest) -> None:
        super().__init__(wanted)
        self._skimmer = Skimmer()
        self._bytes_per_second: int | None = None

    @classmethod
    async def connect(cls, uri: str, wanted: ListenerRequest) -> WyomingListener:
        """A listener whose connection stands.

        Raises:
            ClientError: the address cannot be used.
            OSError: nobody answers there.
        """
        _, listener = await connected(uri, lambda: cls(wanted))
        return listener

    def data_received(self, data: bytes) -> None:
        """Note what came, at the time of the read."""
        self._active()
        try:
            for event in self._skimmer.feed(data):
                self._take(event)
        except ProtocolError:
            self._end(RequestOutcome.CUT_OFF, "not Wyoming")

    def _take(self, event: Skimmed) -> None:
        if event.type == "audio-chunk":
            if self._bytes_per_second is None:
                self._bytes_per_second = _bytes_per_second(event)
            self._take_audio(event.payload / self._bytes_per_second)
        elif event.type == "error":
            self._end(RequestOutcome.REFUSED, str(event.data().get("code") or "error"))
        elif event.type == self._request.ends_with:
            self._end_spoken()


def _bytes_per_second(event: Skimmed) -> int:
    data = event.data()
    found = [data.get(key) for key in ("rate", "width", "channels")]
    if not all(isinstance(value, int) and value > 0 for value in found):
        raise ProtocolError(f"Got audio with {data}, expected its rate, width and channels.")
    return int(data["rate"]) * int(data["width"]) * int(data["channels"])


class Probe(asyncio.Protocol):
    """Asks what the server is, once, on a connection of its own."""

    def __init__(self) -> None:
        self._skimmer = Skimmer()
        self._answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(encode_event(Describe().event()))

    def data_received(self, data: bytes) -> None:
        """Look for the answer."""
        try:
            if any(event.type == "info" for event in self._skimmer.feed(data)):
                self._answer(True)
        except ProtocolError:
            self._answer(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """No answer will come."""
        del exc
        self._answer(False)

    async def wait(self) -> bool:
        """Wait for the answer; False if there is none."""
        return await self._answered

    def _answer(self, came: bool) -> None:  # noqa: FBT001 -- what the future holds
        if not self._answered.done():
            self._answered.set_result(came)


async def describe_latency(uri: str, patience: float) -> float | None:
    """Seconds from connecting to the complete answer to `describe`; None if none came in `patience`."""
    started_at = time.perf_counter()
    try:
        async with asyncio.timeout(patience):
            transport, probe = await connected(uri, Probe)
            try:
                answered = await probe.wait()
            finally:
                transport.abort()
    except OSError:  # TimeoutError is one
        return None
    return time.perf_counter() - started_at if answered else None
