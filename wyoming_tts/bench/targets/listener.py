"""Base of the listeners: sends one request on a connection and records when its audio arrives.

A protocol's own listener parses what it receives and reports audio and the end of the reply.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from wyoming_tts.bench.playback import Playback, simulate_playback

PREBUFFER = 0.1
"""Seconds of audio that the second of the two simulated players buffers before it starts."""
_SMALL_BUFFER = 65_536
"""Bytes that the kernel keeps for a listener that reads at playing speed; by itself it may take megabytes."""


class RequestOutcome(StrEnum):
    """How a request ended."""

    SPOKEN = "spoken"
    REFUSED = "refused"
    """The server answered with an error."""
    CUT_OFF = "cut off"
    """The connection failed or ended early, or what came was not the protocol."""
    HUNG = "hung"
    """Nothing arrived within the idle timeout."""


@dataclass(frozen=True, slots=True)
class TimedWrite:
    """Bytes to write, and when: `due` is in seconds after the first write."""

    due: float
    data: bytes


@dataclass(frozen=True, slots=True)
class ListenerRequest:
    """A request as the writes that make it up."""

    pieces: tuple[TimedWrite, ...]
    first_text_piece: int = 0
    """Index of the piece with the first text."""
    sentence_end_piece: int = 0
    """Index of the piece that shows that the first sentence has ended; 0 if all is one piece."""
    end_event: str = ""
    """Type of the event that ends the reply; empty where the protocol has only one."""
    read_ahead: float | None = None
    """Seconds of audio beyond what has been played, above which nothing is read; None reads at once."""


@dataclass(frozen=True, slots=True)
class ListenerReport:
    """Figures of one listener; times in seconds."""

    outcome: RequestOutcome
    error: str
    """The server's error code, or why the connection was cut off; else empty."""
    ttfa: float | None
    """From the first text written (plain: all of it) to the first audio; None without audio."""
    after_sentence: float | None
    """Streamed text: from the piece that shows the end of the first sentence to the first audio; below 0 if
    the server did not wait for it."""
    total: float
    """From the first text written to the end of the reply."""
    audio: float
    """Playing time."""
    played: Playback | None
    """Playback that starts with the first audio."""
    played_later: Playback | None
    """Playback that starts with PREBUFFER seconds of audio."""

    @property
    def real_time_factor(self) -> float | None:
        """Seconds taken per second of audio."""
        return self.total / self.audio if self.audio else None


@dataclass(frozen=True, slots=True)
class RequestTimeline:
    """Times of a request and of its reply, on the listener's clock."""

    outcome: RequestOutcome
    error: str
    sent_at: float | None
    """When the first text was written; None if none was."""
    sentence_end_at: float | None
    """Streamed text: when the piece that shows the end of the first sentence was written, or was due."""
    ended_at: float
    arrivals: tuple[tuple[float, float], ...]
    """Pairs of a time and the seconds of audio that arrived then."""

    def report(self) -> ListenerReport:
        """Compute the listener's figures."""
        first_at = self.arrivals[0][0] if self.arrivals else None
        return ListenerReport(
            self.outcome,
            self.error,
            ttfa=_between(self.sent_at, first_at),
            after_sentence=_between(self.sentence_end_at, first_at),
            total=_between(self.sent_at, self.ended_at) or 0.0,
            audio=sum(seconds for _, seconds in self.arrivals),
            played=simulate_playback(self.arrivals),
            played_later=simulate_playback(self.arrivals, prebuffer=PREBUFFER),
        )


def join_timelines(timelines: Sequence[RequestTimeline]) -> RequestTimeline:
    """Join the timelines of consecutive requests for the parts of one text."""
    arrivals = tuple(arrival for timeline in timelines for arrival in timeline.arrivals)
    return replace(
        timelines[-1],
        sent_at=timelines[0].sent_at,
        sentence_end_at=timelines[0].sentence_end_at,
        arrivals=arrivals,
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


class Listener(asyncio.Protocol):
    """Reads the reply to one request on a connection of its own; used once.

    A protocol's listener calls `_mark_active` for every read, `_record_audio` for audio, and `_finish`.
    """

    def __init__(self, request: ListenerRequest) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._arrivals: list[tuple[float, float]] = []
        self._written: list[float] = []
        self._active_at = time.perf_counter()
        self._ended_at = 0.0
        self._outcome: tuple[RequestOutcome, str] | None = None
        self._ended = asyncio.Event()
        self._plays_until = 0.0
        self._resuming: asyncio.TimerHandle | None = None

    async def listen(self, idle_timeout: float) -> RequestTimeline:
        """Send the request and read the reply until it ends or nothing arrives for `idle_timeout` seconds."""
        assert self._transport is not None, "it has no connection"
        sending = asyncio.create_task(self._send(self._transport))
        try:
            await self._until_ended(idle_timeout)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._transport.abort()
        return self._timeline()

    def close(self) -> None:
        """Close the connection without a request."""
        if self._transport is not None:
            self._transport.abort()

    async def _send(self, transport: asyncio.Transport) -> None:
        started_at = time.perf_counter()
        for piece in self._request.pieces:
            if (early := started_at + piece.due - time.perf_counter()) > 0.0:
                await asyncio.sleep(early)
            self._mark_active()
            self._written.append(self._active_at)
            transport.write(piece.data)

    async def _until_ended(self, idle_timeout: float) -> None:
        while self._outcome is None:
            left = self._active_at + idle_timeout - time.perf_counter()
            if left <= 0.0:
                self._finish(RequestOutcome.HUNG, "")
                return
            try:
                async with asyncio.timeout(left):
                    await self._ended.wait()
            except TimeoutError:
                continue

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for writing."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        if self._request.read_ahead is not None and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request as cut off, unless it has ended."""
        self._finish(RequestOutcome.CUT_OFF, "broken" if exc else "closed")

    def _mark_active(self) -> None:
        self._active_at = time.perf_counter()

    def _record_audio(self, seconds: float) -> None:
        if seconds and self._outcome is None:
            self._arrivals.append((self._active_at, seconds))
            self._plays_until = max(self._plays_until, self._active_at) + seconds
            self._pace()

    def _pace(self) -> None:
        """Stop reading until less than `read_ahead` is left to play, as a player with a buffer does."""
        if self._request.read_ahead is None or self._transport is None:
            return
        surplus = self._plays_until - self._active_at - self._request.read_ahead
        if surplus <= 0.0:
            return
        self._transport.pause_reading()
        if self._resuming is not None:
            self._resuming.cancel()
        self._resuming = asyncio.get_running_loop().call_later(surplus, self._transport.resume_reading)

    def _finish_spoken(self) -> None:
        if self._arrivals:
            self._finish(RequestOutcome.SPOKEN, "")
        else:
            self._finish(RequestOutcome.CUT_OFF, "no audio")

    def _finish(self, outcome: RequestOutcome, error: str) -> None:
        if self._outcome is None:
            self._outcome = outcome, error
            self._ended_at = time.perf_counter()
            self._ended.set()

    @property
    def _all_written(self) -> bool:
        return len(self._written) == len(self._request.pieces)

    def _timeline(self) -> RequestTimeline:
        assert self._outcome is not None, "it has not ended"
        sent_at = self._written_at(self._request.first_text_piece)
        return RequestTimeline(
            *self._outcome, sent_at, self._sentence_end_at(sent_at), self._ended_at, tuple(self._arrivals)
        )

    def _written_at(self, piece: int) -> float | None:
        return self._written[piece] if piece < len(self._written) else None

    def _sentence_end_at(self, sent_at: float | None) -> float | None:
        if self._request.sentence_end_piece == 0 or sent_at is None:
            return None
        # The reply may have ended, with an error for example, before that piece was due.
        due = self._request.pieces[self._request.sentence_end_piece].due
        return self._written_at(self._request.sentence_end_piece) or sent_at + due


def schedule_words(text: str, words_per_second: float) -> tuple[tuple[float, str], ...]:
    """Split a text into words with their spaces, each with the seconds after which it is written."""
    spaced = (word if number == 0 else f" {word}" for number, word in enumerate(text.split()))
    return tuple((number / words_per_second, word) for number, word in enumerate(spaced))


def count_words_to_sentence_end(text: str) -> int:
    """Count the words of the first sentence: the word after them shows that it has ended."""
    words = text.split()
    ends = (number for number, word in enumerate(words, start=1) if word[-1] in ".?!")
    return next(ends, len(words))
