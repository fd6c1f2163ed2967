"""One listener, whatever the protocol: asks for a text and notes when which audio came.

A protocol's own listener says what to write, and tells from what is read what is audio and what the end.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from wyoming_tts.bench.playback import Playback, play

PREBUFFER = 0.1
"""Seconds that the second of the two imagined players holds before it starts."""


class RequestOutcome(StrEnum):
    """How a request ended."""

    SPOKEN = "spoken"
    REFUSED = "refused"
    """With an error of the server."""
    CUT_OFF = "cut off"
    """The connection ended, or could not be made, or made no sense."""
    HUNG = "hung"
    """Nothing came for too long."""


@dataclass(frozen=True, slots=True)
class TimedText:
    """Bytes to be written at a time, in seconds after the first."""

    due: float
    data: bytes


@dataclass(frozen=True, slots=True)
class ListenerRequest:
    """A text as it goes over the wire."""

    pieces: tuple[TimedText, ...]
    first_text: int = 0
    """Which piece holds the first text."""
    sentence_certain: int = 0
    """Which piece makes it certain that the first sentence is over; 0 if all is one piece."""
    ends_with: str = ""
    """The event that ends the reply; empty where the protocol has but one end."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one listener got; times in seconds."""

    outcome: RequestOutcome
    error: str
    """The code of the refusal, or why it was cut off; empty otherwise."""
    ttfa: float | None
    """From the first text written (plain: all of it) to the first audio; None without audio."""
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


@dataclass(frozen=True, slots=True)
class RequestTimeline:
    """What happened to a request, on the listener's clock."""

    outcome: RequestOutcome
    error: str
    asked_at: float | None
    """When the first text was written; None if it never was."""
    certain_at: float | None
    """Streamed text: when the end of the first sentence was certain, or would have been."""
    ended_at: float
    arrivals: tuple[tuple[float, float], ...]
    """When audio came, and how many seconds of it."""

    def heard(self) -> Heard:
        """The figures."""
        first_at = self.arrivals[0][0] if self.arrivals else None
        return Heard(
            self.outcome,
            self.error,
            ttfa=_between(self.asked_at, first_at),
            after_sentence=_between(self.certain_at, first_at),
            total=_between(self.asked_at, self.ended_at) or 0.0,
            audio=sum(seconds for _, seconds in self.arrivals),
            played=play(self.arrivals),
            played_later=play(self.arrivals, prebuffer=PREBUFFER),
        )


def joined(accounts: Sequence[RequestTimeline]) -> RequestTimeline:
    """Requests made one after another for parts of one text, as one."""
    arrivals = tuple(arrival for each in accounts for arrival in each.arrivals)
    return replace(
        accounts[-1], asked_at=accounts[0].asked_at, certain_at=accounts[0].certain_at, arrivals=arrivals
    )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


class Listener(asyncio.Protocol):
    """Reads the reply to one request on a connection of its own; used once.

    A protocol's listener calls `_active` when something came, `_take_audio` and `_end`.
    """

    def __init__(self, wanted: ListenerRequest) -> None:
        self._request = wanted
        self._transport: asyncio.Transport | None = None
        self._arrivals: list[tuple[float, float]] = []
        self._written: list[float] = []
        self._active_at = time.perf_counter()
        self._ended_at = 0.0
        self._outcome: tuple[RequestOutcome, str] | None = None
        self._ended = asyncio.Event()

    async def listen(self, patience: float) -> RequestTimeline:
        """Send the request, and read until the reply ends or nothing came for `patience` seconds."""
        assert self._transport is not None, "it has no connection"
        sending = asyncio.create_task(self._send(self._transport))
        try:
            await self._until_ended(patience)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._transport.abort()
        return self._account()

    def close(self) -> None:
        """Give the connection up without a request."""
        if self._transport is not None:
            self._transport.abort()

    async def _send(self, transport: asyncio.Transport) -> None:
        started_at = time.perf_counter()
        for piece in self._request.pieces:
            if (early := started_at + piece.due - time.perf_counter()) > 0.0:
                await asyncio.sleep(early)
            self._active()
            self._written.append(self._active_at)
            transport.write(piece.data)

    async def _until_ended(self, patience: float) -> None:
        while self._outcome is None:
            left = self._active_at + patience - time.perf_counter()
            if left <= 0.0:
                self._end(RequestOutcome.HUNG, "")
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more will come."""
        self._end(RequestOutcome.CUT_OFF, "broken" if exc else "closed")

    def _active(self) -> None:
        self._active_at = time.perf_counter()

    def _take_audio(self, seconds: float) -> None:
        if seconds and self._outcome is None:
            self._arrivals.append((self._active_at, seconds))

    def _end_spoken(self) -> None:
        if self._arrivals:
            self._end(RequestOutcome.SPOKEN, "")
        else:
            self._end(RequestOutcome.CUT_OFF, "no audio")

    def _end(self, outcome: RequestOutcome, error: str) -> None:
        if self._outcome is None:
            self._outcome = outcome, error
            self._ended_at = time.perf_counter()
            self._ended.set()

    @property
    def _all_written(self) -> bool:
        return len(self._written) == len(self._request.pieces)

    def _account(self) -> RequestTimeline:
        assert self._outcome is not None, "it has not ended"
        asked_at = self._written_at(self._request.first_text)
        return RequestTimeline(
            *self._outcome, asked_at, self._certain_at(asked_at), self._ended_at, tuple(self._arrivals)
        )

    def _written_at(self, piece: int) -> float | None:
        return self._written[piece] if piece < len(self._written) else None

    def _certain_at(self, asked_at: float | None) -> float | None:
        if self._request.sentence_certain == 0 or asked_at is None:
            return None
        # It may have ended (with an error, say) before that piece was due.
        due = self._request.pieces[self._request.sentence_certain].due
        return self._written_at(self._request.sentence_certain) or asked_at + due


def word_by_word(text: str, words_per_second: float) -> tuple[tuple[float, str], ...]:
    """The words with their spaces, and when each is written."""
    spaced = (word if number == 0 else f" {word}" for number, word in enumerate(text.split()))
    return tuple((number / words_per_second, word) for number, word in enumerate(spaced))


def words_until_certain(text: str) -> int:
    """How many words come before the one after the first sentence."""
    words = text.split()
    ends = (number for number, word in enumerate(words, start=1) if word[-1] in ".?!")
    return next(ends, len(words))
