"""A text as one listener has it spoken: in a single request, or in one for each sentence."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, replace
from itertools import accumulate

from wyoming_tts.bench.listener import Heard, ListenerRequest, RequestOutcome, RequestTimeline, joined
from wyoming_tts.bench.options import Input, Mode
from wyoming_tts.bench.servers import BenchTarget

_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True, slots=True)
class RequestPart:
    """What is asked for in one request."""

    due: float
    """Seconds after the first word of the text: before, its words are not there."""
    request: ListenerRequest


@dataclass(frozen=True, slots=True)
class SpeechPlan:
    """A text, cut into requests for a server."""

    server: BenchTarget
    parts: tuple[RequestPart, ...]

    @classmethod
    def of(
        cls, text: str, server: BenchTarget, input_: Input, *, mode: Mode, words_per_second: float
    ) -> SpeechPlan:
        """Cut a text as the mode says."""
        if mode is Mode.SINGLE:
            return cls(server, (RequestPart(0.0, server.request(text, input_)),))
        sentences = _SENTENCE_END.split(text)
        dues = [0.0] * len(sentences)
        if input_ is Input.STREAM:
            dues = _complete_after(sentences, words_per_second)
        requests = [server.request(sentence, Input.PLAIN) for sentence in sentences]
        return cls(server, tuple(map(RequestPart, dues, requests)))

    async def listen(self, patience: float, barrier: asyncio.Barrier) -> Heard:
        """Connect, wait at the barrier, ask for everything, part after part.

        A silence of `patience` seconds ends it, as does anything but a proper end of a part.
        """
        try:
            async with asyncio.timeout(patience):
                listener = await self.server.connect(self.parts[0].request)
        except OSError:  # TimeoutError is one
            await barrier.wait()
            return _unreachable().heard()
        await barrier.wait()
        started_at = time.perf_counter()
        try:
            await asyncio.sleep(self.parts[0].due)
            accounts = [await listener.listen(patience)]
        finally:
            listener.close()
        accounts += await self._rest(patience, started_at, accounts[0])
        return self._as_one(accounts, started_at).heard()

    async def _rest(self, patience: float, started_at: float, last: RequestTimeline) -> list[RequestTimeline]:
        accounts: list[RequestTimeline] = []
        for part in self.parts[1:]:
            if last.outcome is not RequestOutcome.SPOKEN:
                break
            await asyncio.sleep(started_at + part.due - time.perf_counter())
            last = await self._ask(part, patience)
            accounts.append(last)
        return accounts

    async def _ask(self, part: RequestPart, patience: float) -> RequestTimeline:
        try:
            async with asyncio.timeout(patience):
                listener = await self.server.connect(part.request)
        except OSError:
            return _unreachable()
        return await listener.listen(patience)

    def _as_one(self, accounts: list[RequestTimeline], started_at: float) -> RequestTimeline:
        account = joined(accounts)
        due = self.parts[0].due
        # Of streamed text the listener counts from the first word, not from the end of the sentence.
        return replace(account, asked_at=started_at, certain_at=started_at + due) if due else account


def _unreachable() -> RequestTimeline:
    return RequestTimeline(RequestOutcome.CUT_OFF, "unreachable", None, None, time.perf_counter(), ())


def _complete_after(sentences: list[str], words_per_second: float) -> list[float]:
    """When the word after each sentence is there; of the last one, its own last word."""
    words = list(accumulate(len(sentence.split()) for sentence in sentences))
    words[-1] -= 1
    return [count / words_per_second for count in words]
