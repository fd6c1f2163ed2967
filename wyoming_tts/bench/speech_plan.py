"""Request plan of one listener: a text as a single request, or as one request for each sentence."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from itertools import accumulate

from wyoming_tts.bench.options import Input, RequestMode
from wyoming_tts.bench.targets.listener import (
    ListenerReport,
    ListenerRequest,
    RequestOutcome,
    RequestTimeline,
    join_timelines,
)
from wyoming_tts.bench.targets.target import BenchTarget

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True, slots=True)
class RequestPart:
    """One request of a plan."""

    due: float
    """Earliest time to send it, in seconds after the first word of the text: when its words are there."""
    request: ListenerRequest


@dataclass(frozen=True, slots=True)
class SpeechPlan:
    """The requests that make a server speak a text."""

    server: BenchTarget
    parts: tuple[RequestPart, ...]

    @classmethod
    def for_text(
        cls,
        text: str,
        server: BenchTarget,
        input_: Input,
        *,
        mode: RequestMode,
        words_per_second: float,
        read_ahead: float | None = None,
    ) -> SpeechPlan:
        """Plan the requests for a text in a mode."""
        if mode is RequestMode.SINGLE:
            request = replace(server.make_request(text, input_), read_ahead=read_ahead)
            return cls(server, (RequestPart(0.0, request),))
        sentences = _SENTENCE_END.split(text)
        dues = [0.0] * len(sentences)
        if input_ is Input.STREAM:
            dues = _sentence_due_times(sentences, words_per_second)
        requests = [
            replace(server.make_request(sentence, Input.PLAIN), read_ahead=read_ahead)
            for sentence in sentences
        ]
        return cls(server, tuple(map(RequestPart, dues, requests)))

    async def listen(self, idle_timeout: float, barrier: asyncio.Barrier) -> ListenerReport:
        """Connect, wait at the barrier, then send the requests one after the other.

        It ends early when nothing arrives for `idle_timeout` seconds, or when a reply does not end properly.
        """
        try:
            async with asyncio.timeout(idle_timeout):
                listener = await self.server.connect(self.parts[0].request)
        except OSError:  # TimeoutError is one
            await barrier.wait()
            return _unreachable().report()
        await barrier.wait()
        started_at = time.perf_counter()
        try:
            await asyncio.sleep(self.parts[0].due)
            timelines = [await listener.listen(idle_timeout)]
        finally:
            listener.close()
        timelines += await self._send_rest(idle_timeout, started_at, timelines[0])
        return self._join(timelines, started_at).report()

    async def _send_rest(
        self, idle_timeout: float, started_at: float, last: RequestTimeline
    ) -> list[RequestTimeline]:
        timelines: list[RequestTimeline] = []
        for part in self.parts[1:]:
            if last.outcome is not RequestOutcome.SPOKEN:
                break
            await asyncio.sleep(started_at + part.due - time.perf_counter())
            last = await self._send(part, idle_timeout)
            timelines.append(last)
        return timelines

    async def _send(self, part: RequestPart, idle_timeout: float) -> RequestTimeline:
        try:
            async with asyncio.timeout(idle_timeout):
                listener = await self.server.connect(part.request)
        except OSError:
            return _unreachable()
        return await listener.listen(idle_timeout)

    def _join(self, timelines: list[RequestTimeline], started_at: float) -> RequestTimeline:
        timeline = join_timelines(timelines)
        due = self.parts[0].due
        # With streamed text, times count from the first word, not from the end of the sentence.
        return replace(timeline, sent_at=started_at, sentence_end_at=started_at + due) if due else timeline


def _unreachable() -> RequestTimeline:
    return RequestTimeline(RequestOutcome.CUT_OFF, "unreachable", None, None, time.perf_counter(), ())


def _sentence_due_times(sentences: list[str], words_per_second: float) -> list[float]:
    """When the word after each sentence is there; for the last sentence, its own last word."""
    words = list(accumulate(len(sentence.split()) for sentence in sentences))
    words[-1] -= 1
    return [count / words_per_second for count in words]
