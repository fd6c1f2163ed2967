"""One run of a stream test: its clients speak at the same time, and frames show their progress.

A run ends when its clients have finished, when it is stopped, when its time limit is reached, or when nobody
has requested a frame for a while: a closed page does not keep it going.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from wyoming_tts.bench.options import Input
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.texts import TEXTS, VARIANTS, vary_text
from wyoming_tts.client import ClientError, ServerError, single_piece
from wyoming_tts.errors import to_speech_error
from wyoming_tts.messages import Message, encode_messages
from wyoming_tts.page.stream_test.client import (
    ClientEvent,
    ClientRecorder,
    ClientSnapshot,
    ClientState,
    EventLog,
)
from wyoming_tts.page.stream_test.gaps import GapOwner, SentText, sum_counts
from wyoming_tts.page.stream_test.request import StreamTestLimits, StreamTestRequest
from wyoming_tts.page.stream_test.speakers import Speaker

_LOGGER = logging.getLogger(__name__)
_LINES_PER_FRAME = 60
_WORD = re.compile(r"\s*\S+(?:\s+$)?")


@dataclass(frozen=True, slots=True)
class StreamTestSummary:
    """The results of a run; times in seconds."""

    clients: int
    spoken: int
    ttfa_p50: float | None
    ttfa_p95: float | None
    real_time_factor: float | None
    gaps: int
    """As the benchmark counts them; by owner below."""
    gaps_text: int
    gaps_server: int
    gaps_unknown: int
    worst_gap: float
    silence: float
    """Of all gaps together; by owner below."""
    silence_text: float
    silence_server: float
    silence_unknown: float
    audio: float
    wall: float | None
    """Until the last client had finished."""


@dataclass(frozen=True, slots=True)
class StreamTestFrame:
    """The progress of a run."""

    run: str
    over: bool
    seconds: float
    lanes: tuple[ClientSnapshot, ...]
    """Each client, in order."""
    lines: tuple[ClientEvent, ...]
    """The newest lines of the log, oldest first."""
    logged: int
    """Lines of the log so far, including those no longer kept."""
    summary: StreamTestSummary | None = None
    """None until the run is over."""
    before: StreamTestSummary | None = None
    """The summary of the session's previous run."""


class StreamTestRun:
    """Clients that speak at the same time, in a task of their own."""

    def __init__(
        self,
        request: StreamTestRequest,
        uri: str,
        speaker: Speaker,
        limits: StreamTestLimits,
        *,
        flush_idle: float = 0.0,
    ) -> None:
        """`flush_idle` is how long the server waits for text before it speaks what it has; 0 for ever."""
        self.id = secrets.token_urlsafe(16)
        self._request = request
        self._uri = uri
        self._speaker = speaker
        self._limits = limits
        self._log = EventLog()
        self._started_at = time.perf_counter()
        self._watched = asyncio.Event()
        self._wall: float | None = None
        first = secrets.randbelow(VARIANTS)
        self._texts = [
            vary_text(request.text, first + number) if request.vary else request.text
            for number in range(request.clients)
        ]
        recorded = min(request.recorded, request.clients)
        self._clients = [
            ClientRecorder(
                client,
                self._log,
                self._now,
                records=client == recorded,
                sends=SentText(text, flush_idle=flush_idle),
            )
            for client, text in enumerate(self._texts, start=1)
        ]
        self._limit = asyncio.timeout(limits.seconds)
        self._task: asyncio.Task[None] | None = None

    def _now(self) -> float:
        return time.perf_counter() - self._started_at

    def start(self, *, on_over: Callable[[], object]) -> None:
        """Start the clients; `on_over` is called once when the run has ended, in whatever way."""
        self._task = asyncio.create_task(self._speak_all(), name=f"stream test {self.id}")
        self._task.add_done_callback(self._finish)
        self._task.add_done_callback(lambda _: on_over())

    def _finish(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOGGER.error("A stream test failed.", exc_info=error)
        for client in self._clients:  # a client cancelled before its first step has not recorded its end
            client.end(self._interrupted_state())
        self._wall = self._now()

    async def is_over_within(self, seconds: float) -> bool:
        """Wait that long or until the run is over; keeps the run alive, as somebody is watching."""
        assert self._task is not None, "start() was not called"
        self._watched.set()
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return bool(done)

    async def stop(self) -> None:
        """Cancel all clients and wait for their end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _speak_all(self) -> None:
        try:
            async with self._limit, asyncio.TaskGroup() as tasks:
                speaking = tasks.create_task(self._speak_measured())
                watching = tasks.create_task(self._cancel_when_unwatched(speaking))
                await asyncio.wait((speaking,))
                watching.cancel()
        except TimeoutError:
            _LOGGER.debug("A stream test reached its time limit.")

    def _interrupted_state(self) -> ClientState:
        return ClientState.TIMED_OUT if self._limit.expired() else ClientState.STOPPED

    async def _speak_measured(self) -> None:
        if self._request.warm_up:
            await self._warm_up()
        self._started_at = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for client, text in zip(self._clients, self._texts, strict=True):
                tasks.create_task(self._speak(client, text))

    async def _warm_up(self) -> None:
        """Have the server load its voice; what fails now fails again when it is measured."""
        unmeasured = ClientRecorder(0, EventLog(1), self._now, records=False)
        text = vary_text(TEXTS["short"], secrets.randbelow(VARIANTS))
        with contextlib.suppress(ClientError):
            await self._speaker(
                single_piece(text), on_audio=unmeasured.on_audio, on_words=unmeasured.on_words
            )

    async def _cancel_when_unwatched(self, speaking: asyncio.Task[None]) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                self._watched.clear()
                async with asyncio.timeout(self._limits.unwatched):
                    await self._watched.wait()
        speaking.cancel()

    async def _speak(self, client: ClientRecorder, text: str) -> None:
        try:
            async with contextlib.aclosing(self._text_pieces(client, text)) as pieces:
                await self._speaker(pieces, on_audio=client.on_audio, on_words=client.on_words)
        except asyncio.CancelledError:
            client.end(self._interrupted_state())
            raise
        except ServerError as error:
            client.end(ClientState.REFUSED, error.message)
        except ClientError as error:
            client.end(ClientState.FAILED, error.message)
        except Exception as error:
            _LOGGER.exception("A client of a stream test failed.")
            client.end(ClientState.FAILED, to_speech_error(error).message)
        else:
            _end_spoken(client)

    async def _text_pieces(self, client: ClientRecorder, text: str) -> AsyncGenerator[str, None]:
        """Yield the text at the requested pace; called once the client is connected."""
        client.connected()
        started_at = time.perf_counter()
        pieces = _WORD.findall(text) if self._request.kind.streams_text else [text]
        for number, piece in enumerate(pieces):
            due = started_at + number / self._request.words_per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            client.text_sent(piece)
            yield piece
        client.text_ended()

    def frame(
        self, summary: StreamTestSummary | None = None, before: StreamTestSummary | None = None
    ) -> StreamTestFrame:
        """Return the current progress."""
        return StreamTestFrame(
            run=self.id,
            over=self._wall is not None,
            seconds=round(self._now() if self._wall is None else self._wall, 3),
            lanes=tuple(client.snapshot() for client in self._clients),
            lines=self._log.newest(_LINES_PER_FRAME),
            logged=self._log.count,
            summary=summary,
            before=before,
        )

    def summary(self) -> StreamTestSummary:
        """Return the results, computed as in the benchmark. Plays back all arrivals: blocks."""
        request = self._request
        results = tuple(client.result() for client in self._clients)
        case = LoadCase("text", Input.STREAM if request.kind.streams_text else Input.PLAIN, request.clients)
        figures = LoadFigures(case, self._uri, (LoadRound(results, self._wall or 0.0, ()),))
        ttfa = figures.ttfa
        gaps = sum_counts(client.gap_counts() for client in self._clients)
        text, server, unknown = gaps[GapOwner.TEXT], gaps[GapOwner.SERVER], gaps[GapOwner.UNKNOWN]
        return StreamTestSummary(
            clients=request.clients,
            spoken=sum(client.state is ClientState.SPOKEN for client in self._clients),
            ttfa_p50=ttfa.p50 if ttfa else None,
            ttfa_p95=ttfa.p95 if ttfa else None,
            real_time_factor=figures.real_time_factor,
            gaps=figures.underruns,
            gaps_text=text.count,
            gaps_server=server.count,
            gaps_unknown=unknown.count,
            worst_gap=figures.worst_gap,
            silence=figures.silence,
            silence_text=text.seconds,
            silence_server=server.seconds,
            silence_unknown=unknown.seconds,
            audio=figures.audio,
            wall=self._wall,
        )

    def wav(self, client: int) -> bytes | None:
        """Return the recorded audio of a client as WAV; None if it was not recorded."""
        return self._clients[client - 1].wav() if 0 < client <= len(self._clients) else None

    def report(self) -> bytes:
        """Return everything known about the run as JSON. Blocks."""
        report = {
            "run": self.id,
            "server": self._uri,
            "order": self._request,
            "seconds": self._wall,
            "summary": self.summary(),
            "lanes": [client.snapshot() for client in self._clients],
            "logged": self._log.count,
            "log": self._log.newest(),
        }
        return as_json(report).encode()


def as_json(value: object) -> str:
    """Encode dataclasses and containers of them as JSON; unlike with `asdict`, nothing is copied."""
    # ASCII with escapes: a text may hold lone surrogates, which UTF-8 cannot encode.
    return json.dumps(value, default=_fields, allow_nan=False)


def as_translatable_json(frame: StreamTestFrame) -> str:
    """Encode a frame as JSON with the errors of its lanes as messages with IDs, for a page."""
    return json.dumps(frame, default=_fields_with_messages, allow_nan=False)


def _fields_with_messages(value: object) -> dict[str, Any]:
    return {
        name: encode_messages(each) if isinstance(each, Message) else each
        for name, each in _fields(value).items()
    }


def _fields(value: object) -> dict[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"Got {type(value).__name__}, expected a JSON value or a dataclass.")


def _end_spoken(client: ClientRecorder) -> None:
    if client.is_silent:
        client.end(
            ClientState.FAILED,
            Message("ended_without_audio", "The server ended the speech without any audio."),
        )
    else:
        client.end(ClientState.SPOKEN)
