"""Has real clients ask a Wyoming server, this one or another, and tells while they do how it goes.

A run belongs to the session that started it. It ends when its clients have, when it is stopped, when its time
is over, or when nobody has asked for its next frame for a while: a page that was left does not go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.texts import TEXTS, VARIANTS, vary_text
from wyoming_tts.client import (
    ClientError,
    ClientTimeouts,
    DiscoveredServer,
    ServerError,
    discover_servers,
    speak,
)
from wyoming_tts.errors import Busy, to_speech_error
from wyoming_tts.page.stream_test_client import ClientEvent, ClientRecorder, ClientRun, ClientState, EventLog
from wyoming_tts.page.stream_test_order import StreamTestLimits, StreamTestRequest, checked_request
from wyoming_tts.speech import VoiceRequest

__all__ = [
    "TEXTS",
    "StreamTestFrame",
    "StreamTestLimits",
    "StreamTestRequest",
    "StreamTestService",
    "StreamTestSummary",
    "as_json",
]

_LOG = logging.getLogger(__name__)
_TIMEOUTS = ClientTimeouts(connect=5.0, answer=30.0)
_SEARCH_SECONDS = 2.0
_SEARCH_MOST_SECONDS = 5.0
_FRAME_SECONDS = 0.1
_FRAME_SECONDS_PER_CLIENT = 0.01
"""More lanes take longer to draw."""
_LINES_IN_A_FRAME = 60
_MOST_SESSIONS = 64
"""Whose last run is remembered."""
_WORD = re.compile(r"\s*\S+(?:\s+$)?")


@dataclass(frozen=True, slots=True)
class StreamTestSummary:
    """The figures of a run; times in seconds."""

    clients: int
    spoken: int
    ttfa_p50: float | None
    ttfa_p95: float | None
    real_time_factor: float | None
    gaps: int
    worst_gap: float
    silence: float
    audio: float
    wall: float | None
    """Until the last client was served."""


@dataclass(frozen=True, slots=True)
class StreamTestFrame:
    """How a run stands."""

    run: str
    over: bool
    seconds: float
    lanes: tuple[ClientRun, ...]
    lines: tuple[ClientEvent, ...]
    """The newest of the log."""
    logged: int
    """How many there were in all."""
    summary: StreamTestSummary | None = None
    """Once it is over."""
    before: StreamTestSummary | None = None
    """Of the same session's run before it."""


class StreamTestService:
    """Runs stream tests; `close` ends all of them."""

    def __init__(
        self,
        parts: Parts,
        own_uri: Callable[[], str],
        *,
        limits: StreamTestLimits | None = None,
        search: Callable[[float], Awaitable[list[DiscoveredServer]]] = discover_servers,
    ) -> None:
        self.limits = limits or StreamTestLimits()
        self._run_blocking = parts.workers.run_blocking
        self._own_uri = own_uri
        self._search = search
        self._searching = asyncio.Lock()
        self._running: dict[str, _StreamTestRun] = {}
        self._kept: OrderedDict[str, _StreamTestRun] = OrderedDict()
        self._last: OrderedDict[str, StreamTestSummary] = OrderedDict()

    async def run(self, session: str, order: StreamTestRequest) -> AsyncGenerator[StreamTestFrame, None]:
        """Do what the order says and give frames, the last one when it is over; leaving ends the run.

        Raises:
            BadRequest: the order is out of range.
            Busy: this session's last run is not over, or too many others run.
        """
        uri = checked_request(order, self.limits, self._own_uri)
        self._admit(session)
        run = self._running[session] = _StreamTestRun(order, uri, self.limits)
        run.start(on_over=lambda: self._running.pop(session))
        try:
            pause = _FRAME_SECONDS + _FRAME_SECONDS_PER_CLIENT * (order.clients - 1)
            while not await run.is_over_within(pause):
                yield run.frame()
        finally:
            await run.stop()
        summary = await self._run_blocking(run.summary)
        yield run.frame(summary, self._filed(session, run, summary))

    def _admit(self, session: str) -> None:
        if session in self._running:
            raise Busy("Your last run is not over.", hint="Stop it first.")
        if len(self._running) >= self.limits.at_once:
            raise Busy(f"{self.limits.at_once} stream tests run already.", hint="Try again in a minute.")

    def _filed(
        self, session: str, run: _StreamTestRun, summary: StreamTestSummary
    ) -> StreamTestSummary | None:
        """Keep what can be asked for later; return the figures of the run before."""
        before = self._last.pop(session, None)
        self._last[session] = summary
        self._kept[run.id] = run
        _forget_oldest(self._last, _MOST_SESSIONS)
        _forget_oldest(self._kept, self.limits.kept)
        return before

    async def stop(self, session: str) -> None:
        """Stop all clients of the session's run, if there is one."""
        run = self._running.get(session)
        if run is not None:
            await run.stop()

    async def close(self) -> None:
        """Stop every run."""
        for run in tuple(self._running.values()):
            await run.stop()

    async def find(self) -> tuple[DiscoveredServer, ...]:
        """Return the servers that announce themselves in the network; takes some seconds."""
        async with self._searching:
            try:
                async with asyncio.timeout(_SEARCH_MOST_SECONDS):
                    return tuple(await self._search(_SEARCH_SECONDS))
            except TimeoutError:
                return ()

    def wav(self, run: str, client: int) -> bytes | None:
        """Return what one client of a run heard; None if that was not kept."""
        kept = self._kept.get(run)
        return None if kept is None else kept.wav(client)

    async def report(self, run: str) -> bytes | None:
        """Return everything that is known of a run as JSON; None if it was not kept."""
        kept = self._kept.get(run)
        return None if kept is None else await self._run_blocking(kept.report)


class _StreamTestRun:
    """Some clients that ask at the same time."""

    def __init__(self, order: StreamTestRequest, uri: str, limits: StreamTestLimits) -> None:
        self.id = secrets.token_urlsafe(16)
        self._order = order
        self._uri = uri
        self._limits = limits
        self._log = EventLog()
        self._started_at = time.perf_counter()
        self._watched = asyncio.Event()
        self._wall: float | None = None
        recorded = min(order.recorded, order.clients)
        self._lanes = [
            ClientRecorder(client, self._log, self._now, records=client == recorded)
            for client in range(1, order.clients + 1)
        ]
        self._limit = asyncio.timeout(limits.seconds)
        self._task: asyncio.Task[None] | None = None

    def _now(self) -> float:
        return time.perf_counter() - self._started_at

    def start(self, *, on_over: Callable[[], object]) -> None:
        self._task = asyncio.create_task(self._speak_all(), name=f"stream test {self.id}")
        self._task.add_done_callback(self._finish)
        self._task.add_done_callback(lambda _: on_over())

    def _finish(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("A stream test failed.", exc_info=error)
        for lane in self._lanes:  # one that was cancelled before its first step did not see it
            lane.end(self._cut_short())
        self._wall = self._now()

    async def is_over_within(self, seconds: float) -> bool:
        """Wait so long, or until it is over; says that someone watches."""
        assert self._task is not None, "it was not started"
        self._watched.set()
        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return bool(done)

    async def stop(self) -> None:
        """End all clients at once, and wait until they are gone."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _speak_all(self) -> None:
        first = secrets.randbelow(VARIANTS)
        try:
            async with self._limit, asyncio.TaskGroup() as tasks:
                clients = [
                    tasks.create_task(self._speak(lane, first + n)) for n, lane in enumerate(self._lanes)
                ]
                watching = tasks.create_task(self._while_watched(clients))
                await asyncio.wait(clients)
                watching.cancel()
        except TimeoutError:
            _LOG.debug("A stream test took all of its time.")

    def _cut_short(self) -> ClientState:
        return ClientState.TIMED_OUT if self._limit.expired() else ClientState.STOPPED

    async def _while_watched(self, clients: Sequence[asyncio.Task[None]]) -> None:
        with contextlib.suppress(TimeoutError):
            while True:
                self._watched.clear()
                async with asyncio.timeout(self._limits.unwatched):
                    await self._watched.wait()
        for client in clients:
            client.cancel()

    async def _speak(self, lane: ClientRecorder, number: int) -> None:
        order = self._order
        text = vary_text(order.text, number) if order.vary else order.text
        try:
            async with contextlib.aclosing(self._fed(lane, text)) as pieces:
                await speak(
                    self._uri,
                    pieces,
                    on_audio=lane.hear,
                    voice=VoiceRequest(name=order.voice.strip() or None),
                    streaming=order.streaming,
                    timeouts=_TIMEOUTS,
                )
        except asyncio.CancelledError:
            lane.end(self._cut_short())
            raise
        except ServerError as error:
            lane.end(ClientState.REFUSED, error.message)
        except ClientError as error:
            lane.end(ClientState.FAILED, error.message)
        except Exception as error:  # noqa: BLE001 -- whatever a server did: it is the lane's end, not the run's
            _LOG.exception("A client of a stream test failed.")
            lane.end(ClientState.FAILED, to_speech_error(error).message)
        else:
            _end_spoken(lane)

    async def _fed(self, lane: ClientRecorder, text: str) -> AsyncGenerator[str, None]:
        """The text as it is written, once the connection stands."""
        lane.connected()
        started_at = time.perf_counter()
        pieces = _WORD.findall(text) if self._order.streaming else [text]
        for number, piece in enumerate(pieces):
            due = started_at + number / self._order.words_per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            lane.text(piece)
            yield piece
        lane.text_ended()

    def frame(
        self, summary: StreamTestSummary | None = None, before: StreamTestSummary | None = None
    ) -> StreamTestFrame:
        """How it stands now."""
        return StreamTestFrame(
            run=self.id,
            over=self._wall is not None,
            seconds=round(self._now() if self._wall is None else self._wall, 3),
            lanes=tuple(lane.lane() for lane in self._lanes),
            lines=self._log.newest(_LINES_IN_A_FRAME),
            logged=self._log.count,
            summary=summary,
            before=before,
        )

    def summary(self) -> StreamTestSummary:
        """The figures, as the benchmark has them. Plays everything that came: blocks."""
        order = self._order
        heard = tuple(lane.heard() for lane in self._lanes)
        case = LoadCase("text", Input.STREAM if order.streaming else Input.PLAIN, order.clients)
        figures = LoadFigures(case, self._uri, (LoadRound(heard, self._wall or 0.0, ()),))
        spread = figures.ttfa
        return StreamTestSummary(
            clients=order.clients,
            spoken=sum(lane.state is ClientState.SPOKEN for lane in self._lanes),
            ttfa_p50=spread.p50 if spread else None,
            ttfa_p95=spread.p95 if spread else None,
            real_time_factor=figures.real_time_factor,
            gaps=figures.underruns,
            worst_gap=figures.worst_gap,
            silence=figures.silence,
            audio=figures.audio,
            wall=self._wall,
        )

    def wav(self, client: int) -> bytes | None:
        """What a client heard, if that was kept."""
        return self._lanes[client - 1].wav() if 0 < client <= len(self._lanes) else None

    def report(self) -> bytes:
        """Everything, as JSON. Blocks."""
        told = {
            "run": self.id,
            "server": self._uri,
            "order": self._order,
            "seconds": self._wall,
            "summary": self.summary(),
            "lanes": [lane.lane() for lane in self._lanes],
            "logged": self._log.count,
            "log": self._log.newest(),
        }
        return as_json(told).encode()


def as_json(value: object) -> str:
    """Return dataclasses, and what holds them, as JSON; unlike `asdict` it copies nothing."""
    return json.dumps(value, default=_shallow, ensure_ascii=False, allow_nan=False)


def _shallow(value: object) -> dict[str, Any]:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"Got {type(value).__name__}, expected what JSON can hold.")


def _end_spoken(lane: ClientRecorder) -> None:
    if lane.is_silent:
        lane.end(ClientState.FAILED, "The server ended the speech without any audio.")
    else:
        lane.end(ClientState.SPOKEN)


def _forget_oldest(kept: OrderedDict[str, Any], most: int) -> None:
    while len(kept) > most:
        kept.popitem(last=False)
