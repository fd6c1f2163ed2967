"""One listener: asks for a text on a connection of its own and notes when which audio came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from wyoming_tts.bench.options import Input
from wyoming_tts.bench.player import Playback, play
from wyoming_tts.bench.wire import NotWyoming, Skimmed, Skimmer, connected, encoded

PREBUFFER = 0.1
"""Seconds that the second of the two imagined players holds before it starts."""


class Outcome(StrEnum):
    """How a request ended."""

    SPOKEN = "spoken"
    REFUSED = "refused"
    """With an `error` event."""
    CUT_OFF = "cut off"
    """The connection ended, or could not be made, or made no sense."""
    HUNG = "hung"
    """Nothing came for too long."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes to be written at a time, in seconds after the first."""

    due: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """A text as it goes over the wire."""

    pieces: tuple[Piece, ...]
    ends_with: str
    """The event that ends the reply."""
    first_text: int
    """Which piece holds the first text."""
    sentence_certain: int
    """Which piece makes it certain that the first sentence is over."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener got; times in seconds."""

    outcome: Outcome
    error: str
    """The code of the refusal, or why it was cut off; empty otherwise."""
    ttfa: float | None
    """From the first text written (plain: all of it) to the first audio event; None without audio."""
    after_sentence: float | None
    """Streamed text: from the piece that made the first sentence's end certain to the first audio, below
    0 when the server did not wait for it."""
    total: float
    """From the first text written to the end of the reply."""
    audio: float
    """Playing time."""
    played: Playback | None
    """By a player that starts with the first audio."""
    played_later: Playback | None
    """By one that holds PREBUFFER first."""

    @property
    def real_time_factor(self) -> float | None:
        """Seconds taken for each second of audio."""
        return self.total / self.audio if self.audio else None


def request(text: str, input_: Input, *, words_per_second: float, voice: str | None = None) -> Request:
    """Prepare a text to be sent in one go, or word by word at a pace."""
    chosen: dict[str, object] = {"voice": {"name": voice}} if voice else {}
    whole = encoded("synthesize", text=text, **chosen)
    if input_ is Input.PLAIN:
        return Request((Piece(0.0, whole),), "audio-stop", 0, 0)
    words = text.split()
    spaced = [word if number == 0 else f" {word}" for number, word in enumerate(words)]
    pieces = [Piece(0.0, encoded("synthesize-start", **chosen))]
    pieces += [
        Piece(number / words_per_second, encoded("synthesize-chunk", text=word))
        for number, word in enumerate(spaced)
    ]
    # What clients send besides, for servers that passed over the pieces.
    pieces.append(Piece(pieces[-1].due, whole + encoded("synthesize-stop")))
    return Request(tuple(pieces), "synthesize-stopped", 1, 1 + _words_until_certain(words))


def _words_until_certain(words: list[str]) -> int:
    """How many words come before the one after the first sentence."""
    ends = (number for number, word in enumerate(words, start=1) if word[-1] in ".?!")
    return next(ends, len(words))


class Listener(asyncio.Protocol):
    """Reads the reply to one request. Made by `Listener.connect`, used once."""

    def __init__(self, wanted: Request, now: Callable[[], float]) -> None:
        self._request = wanted
        self._now = now
        self._skimmer = Skimmer()
        self._transport: asyncio.Transport | None = None
        self._format: tuple[int, int, int] | None = None
        self._arrivals: list[tuple[float, int]] = []
        self._written: list[float] = []
        self._active_at = now()
        self._ended_at = 0.0
        self._outcome: tuple[Outcome, str] | None = None
        self._ended = asyncio.Event()

    @classmethod
    async def connect(
        cls, uri: str, wanted: Request, *, now: Callable[[], float] = time.perf_counter
    ) -> Listener:
        """A listener whose connection stands.

        Raises:
            ClientError: the address cannot be used.
            OSError: nobody answers there.
        """
        _, listener = await connected(uri, lambda: cls(wanted, now))
        return listener

    async def listen(self, patience: float) -> Heard:
        """Send the request, and read until the reply ends or nothing came for `patience` seconds."""
        assert self._transport is not None, "it was made without connect"
        sending = asyncio.create_task(self._send(self._transport))
        try:
            await self._until_ended(patience)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._transport.abort()
        return self._heard()

    async def _send(self, transport: asyncio.Transport) -> None:
        started_at = self._now()
        for piece in self._request.pieces:
            if (early := started_at + piece.due - self._now()) > 0.0:
                await asyncio.sleep(early)
            self._active_at = self._now()
            self._written.append(self._active_at)
            transport.write(piece.data)

    async def _until_ended(self, patience: float) -> None:
        while self._outcome is None:
            left = self._active_at + patience - self._now()
            if left <= 0.0:
                self._end(Outcome.HUNG, "")
                return
            try:
                async with asyncio.timeout(left):
                    await self._ended.wait()
            except TimeoutError:
                continue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Note what came, at the time of the read."""
        self._active_at = self._now()
        try:
            for event in self._skimmer.feed(data):
                self._take(event)
        except NotWyoming:
            self._end(Outcome.CUT_OFF, "not Wyoming")

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will come."""
        self._end(Outcome.CUT_OFF, "broken" if exc else "closed")

    def _take(self, event: Skimmed) -> None:
        if event.type == "audio-chunk":
            self._take_audio(event)
        elif event.type == "error":
            self._end(Outcome.REFUSED, str(event.data().get("code") or "error"))
        elif event.type == self._request.ends_with:
            if self._arrivals:
                self._end(Outcome.SPOKEN, "")
            else:
                self._end(Outcome.CUT_OFF, "no audio")

    def _take_audio(self, event: Skimmed) -> None:
        if self._format is None:
            self._format = _format(event)
        if event.payload and self._outcome is None:
            self._arrivals.append((self._active_at, event.payload))

    def _end(self, outcome: Outcome, error: str) -> None:
        if self._outcome is None:
            self._outcome = outcome, error
            self._ended_at = self._now()
            self._ended.set()

    def _heard(self) -> Heard:
        assert self._outcome is not None, "it has not ended"
        arrivals = self._in_seconds()
        first_at = arrivals[0][0] if arrivals else None
        return Heard(
            *self._outcome,
            ttfa=self._since(self._request.first_text, first_at),
            after_sentence=self._after_sentence(first_at),
            total=self._since(self._request.first_text, self._ended_at) or 0.0,
            audio=sum(seconds for _, seconds in arrivals),
            played=play(arrivals),
            played_later=play(arrivals, prebuffer=PREBUFFER),
        )

    def _in_seconds(self) -> list[tuple[float, float]]:
        if self._format is None:
            return []
        rate, width, channels = self._format
        return [(at, payload / (rate * width * channels)) for at, payload in self._arrivals]

    def _since(self, piece: int, moment: float | None) -> float | None:
        if moment is None or piece >= len(self._written):
            return None
        return moment - self._written[piece]

    def _after_sentence(self, first_at: float | None) -> float | None:
        if first_at is None or self._request.sentence_certain == 0:
            return None
        if self._request.sentence_certain < len(self._written):
            return first_at - self._written[self._request.sentence_certain]
        # It ended (with an error, say) before that piece was due.
        due = self._request.pieces[self._request.sentence_certain].due
        return first_at - (self._written[self._request.first_text] + due)


def _format(event: Skimmed) -> tuple[int, int, int]:
    data = event.data()
    found = tuple(data.get(key) for key in ("rate", "width", "channels"))
    if not all(isinstance(value, int) and value > 0 for value in found):
        raise NotWyoming(f"Got audio with {data}, expected its rate, width and channels.")
    return int(data["rate"]), int(data["width"]), int(data["channels"])


class Probe(asyncio.Protocol):
    """Asks what the server is, once, on a connection of its own."""

    def __init__(self) -> None:
        self._skimmer = Skimmer()
        self._answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(encoded("describe"))

    def data_received(self, data: bytes) -> None:
        """Look for the answer."""
        try:
            if any(event.type == "info" for event in self._skimmer.feed(data)):
                self._answer(True)
        except NotWyoming:
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


async def describe_latency(
    uri: str, patience: float, *, now: Callable[[], float] = time.perf_counter
) -> float | None:
    """Seconds from connecting to the complete answer to `describe`; None if none came in `patience`."""
    started_at = now()
    try:
        async with asyncio.timeout(patience):
            transport, probe = await connected(uri, Probe)
            try:
                answered = await probe.wait()
            finally:
                transport.abort()
    except OSError:  # TimeoutError is one
        return None
    return now() - started_at if answered else None
