"""The Stream tab's service: admits runs, one per session, and keeps the last ones."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.client import DiscoveredServer, discover_servers
from wyoming_tts.errors import Busy
from wyoming_tts.messages import Message
from wyoming_tts.page.stream_test.request import (
    ClientKind,
    StreamTestLimits,
    StreamTestRequest,
    check_request,
)
from wyoming_tts.page.stream_test.run import StreamTestFrame, StreamTestRun, StreamTestSummary
from wyoming_tts.page.stream_test.speakers import make_speaker
from wyoming_tts.page.stream_test.targets import OwnAddresses, StreamTestTargets

_SEARCH_SECONDS = 2.0
_MAX_SEARCH_SECONDS = 5.0
_FRAME_SECONDS = 0.1
_FRAME_SECONDS_PER_CLIENT = 0.01
"""More clients take longer to draw."""
_MAX_SESSIONS = 64
"""Whose previous summary is remembered."""


class StreamTestService:
    """Runs stream tests, limited in number and time; `close` ends all of them."""

    def __init__(
        self,
        parts: Parts,
        own: Callable[[], OwnAddresses],
        *,
        targets: Iterable[str] = (),
        limits: StreamTestLimits | None = None,
        search: Callable[[float], Awaitable[list[DiscoveredServer]]] = discover_servers,
        flush_idle: Callable[[ClientKind], float] = lambda _: 0.0,
    ) -> None:
        """Make the service.

        Args:
            parts: The server's parts.
            own: Returns where this server is reached.
            targets: What may be tested besides this server and those found on the network.
            limits: Limits of a run and of all together.
            search: Finds servers on the network.
            flush_idle: How long a server waits for text before it speaks what it has, by the kind of client;
                the setting of this one stands for that of others.
        """
        self.limits = limits or StreamTestLimits()
        self._run_blocking = parts.workers.run_blocking
        self._targets = StreamTestTargets(own, targets, run_blocking=self._run_blocking)
        self._search = search
        self._flush_idle = flush_idle
        self._searching = asyncio.Lock()
        self._running: dict[str, StreamTestRun] = {}
        self._kept: OrderedDict[str, StreamTestRun] = OrderedDict()
        self._last: OrderedDict[str, StreamTestSummary] = OrderedDict()

    async def run(self, session: str, request: StreamTestRequest) -> AsyncGenerator[StreamTestFrame, None]:
        """Start a run and yield frames, the last one when it is over; closing the generator ends the run.

        Raises:
            BadRequest: the request is out of range, or its target may not be tested.
            Busy: the session's last run is not over, or too many runs are active.
        """
        check_request(request, self.limits)
        target = await self._targets.resolve(request.target, request.kind)
        speaker = await self._run_blocking(partial(make_speaker, request.kind, target, request.voice))
        self._admit(session)
        run = self._running[session] = StreamTestRun(
            request, target.uri, speaker, self.limits, flush_idle=self._flush_idle(request.kind)
        )
        run.start(on_over=lambda: self._running.pop(session))
        try:
            pause = _FRAME_SECONDS + _FRAME_SECONDS_PER_CLIENT * (request.clients - 1)
            while not await run.is_over_within(pause):
                yield run.frame()
        finally:
            await run.stop()
        summary = await self._run_blocking(run.summary)
        yield run.frame(summary, self._keep(session, run, summary))

    def _admit(self, session: str) -> None:
        if session in self._running:
            raise Busy(
                Message("run_not_over", "Your last run is not over."),
                hint=Message("stop_first", "Stop it first."),
            )
        if len(self._running) >= self.limits.at_once:
            raise Busy(
                Message(
                    "runs_at_once", "{count} stream tests are already running.", count=self.limits.at_once
                ),
                hint=Message("try_in_a_minute", "Try again in a minute."),
            )

    def _keep(self, session: str, run: StreamTestRun, summary: StreamTestSummary) -> StreamTestSummary | None:
        """Keep a finished run for downloads; return the summary of the session's previous run."""
        before = self._last.pop(session, None)
        self._last[session] = summary
        self._kept[run.id] = run
        _drop_oldest(self._last, _MAX_SESSIONS)
        _drop_oldest(self._kept, self.limits.kept)
        return before

    async def stop(self, session: str) -> None:
        """Stop the session's run, if there is one."""
        run = self._running.get(session)
        if run is not None:
            await run.stop()

    async def close(self) -> None:
        """Stop every run."""
        for run in tuple(self._running.values()):
            await run.stop()

    async def find(self) -> tuple[DiscoveredServer, ...]:
        """Discover Wyoming servers that announce themselves by zeroconf; takes some seconds."""
        async with self._searching:
            try:
                async with asyncio.timeout(_MAX_SEARCH_SECONDS):
                    found = tuple(await self._search(_SEARCH_SECONDS))
            except TimeoutError:
                return ()
        self._targets.add(found)
        return found

    def wav(self, run: str, client: int) -> bytes | None:
        """Return the recorded audio of a client as WAV; None if the run or the audio was not kept."""
        kept = self._kept.get(run)
        return None if kept is None else kept.wav(client)

    async def report(self, run: str) -> bytes | None:
        """Return everything known about a run as JSON; None if it was not kept."""
        kept = self._kept.get(run)
        return None if kept is None else await self._run_blocking(kept.report)


def _drop_oldest(kept: OrderedDict[str, Any], limit: int) -> None:
    while len(kept) > limit:
        kept.popitem(last=False)
