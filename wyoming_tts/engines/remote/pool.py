"""Failover and load balancing over several servers: which one speaks, and what happens when it fails.

A server that fails is passed over for the next. After the first audio, another server speaks the
segment anew, and what the listener has of it is skipped (`splice`); that is bounded, as a segment may be what
makes servers break off. A server that cannot be reached is left alone for a while, longer each time
(exponential backoff), until a probe or a request succeeds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain

from wyoming_tts.backoff import Backoff
from wyoming_tts.engines.base import RemoteVoiceFailed, Rendered, Seam, samples_of
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.engines.remote.splice import SentAudio, Splice
from wyoming_tts.engines.remote.upstream import (
    Upstream,
    UpstreamFault,
    UpstreamFaultKind,
    UpstreamRequest,
)
from wyoming_tts.engines.remote.word_estimate import VoiceManner, VoicePaces, WordEstimate
from wyoming_tts.errors import Busy, EngineFailed, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

PROBE_INTERVAL = 30.0
"""Seconds between two probes of a server that answers."""
_BACKOFF = Backoff(first_delay=1.0, max_delay=30.0)
_MAX_BUSY_SECONDS = 30.0
_MAX_RETRY_DELAY = 1.0
"""Most seconds that a listener waits before the servers are asked once more."""
_MAX_FAILURES_IN_A_ROW = 3
"""After so many a server counts as down, although it answers."""
_MOST_TAKEOVERS = 2
"""Of a segment: so many servers more are asked for it, at most, after one broke off."""
_FREE_SECONDS, _SECONDS_A_CHARACTER = 30.0, 1.0
"""Most audio accepted for a text; a server that sends more would not stop by itself."""


@dataclass(slots=True, eq=False)
class UpstreamHealth:
    """Health of a server: its voices and its recent failures. Times are those of `time.monotonic`."""

    upstream: Upstream
    voices: dict[str, ListedVoice] = field(default_factory=dict)
    """What it lists or, where it has no list, what the settings say."""
    tells_words: dict[str, bool] = field(default_factory=dict)
    """Of which voices it told words when they spoke last, and of which not."""
    in_flight: int = 0
    served: int = 0
    failures_in_a_row: int = 0
    """Requests to speak that failed since the last that did not."""
    failed_probes: int = 0
    """Probes that failed since the last that did not."""
    down_until: float = 0.0
    busy_until: float = 0.0
    probe_requested: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request found it down: the next probe must not wait."""

    @property
    def next_probe_in(self) -> float:
        """Seconds until the next probe."""
        return _BACKOFF.delay(self.failed_probes) if self.failed_probes else PROBE_INTERVAL

    def request_failed(self, fault: UpstreamFault, now: float) -> None:
        """Record a request that failed, and keep requests away if it is down or busy."""
        if fault.kind is UpstreamFaultKind.BUSY:
            self.busy_until = now + min(fault.retry_after or 1.0, _MAX_BUSY_SECONDS)
        elif fault.kind is not UpstreamFaultKind.REFUSED:
            self.failures_in_a_row += 1
            if fault.kind is UpstreamFaultKind.DOWN or self.failures_in_a_row >= _MAX_FAILURES_IN_A_ROW:
                self.down_until = now + _BACKOFF.delay(self.failures_in_a_row)
                self.probe_requested.set()

    def request_succeeded(self) -> None:
        """Record a request that was answered with audio."""
        self.served += 1
        self.failures_in_a_row = 0
        self.down_until = self.busy_until = 0.0

    def probe_succeeded(self) -> None:
        """Record a probe that was answered; a server that answers probes but never speaks stays down."""
        self.failed_probes = 0
        if self.failures_in_a_row < _MAX_FAILURES_IN_A_ROW:
            self.down_until = 0.0

    def probe_failed(self, now: float) -> None:
        """Record a probe that failed."""
        self.failed_probes += 1
        self.down_until = max(self.down_until, now + _BACKOFF.delay(self.failed_probes))


class UpstreamPool:
    """The servers, as one that can speak."""

    def __init__(
        self,
        upstreams: Sequence[UpstreamHealth],
        *,
        timeout: float,
        fallback: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the servers.

        Args:
            upstreams: The servers; of equally busy ones the first is asked first.
            timeout: Seconds until the first audio, and between two pieces of it.
            fallback: Whether another voice may speak if no server does.
            clock: Returns seconds.
        """
        self.upstreams = tuple(upstreams)
        self._timeout = timeout
        self._fallback = fallback
        self._clock = clock
        self._paces = VoicePaces()

    def candidates(self, voice: str, *, also_down: bool = False) -> list[UpstreamHealth]:
        """Return the servers to ask for the voice, the least busy first, and those that are down at last."""
        now = self._clock()
        having = [health for health in self.upstreams if voice in health.voices]
        up = [health for health in having if health.down_until <= now]
        # If no other voice may speak, there is nothing to lose by asking those that were down too: one may be
        # up again, and those that seem to be up may have just gone down.
        chosen = having if also_down or not self._fallback else up
        return sorted(
            chosen, key=lambda one: (one.down_until > now, one.busy_until > now, one.in_flight, one.served)
        )

    async def speak(self, request: UpstreamRequest) -> AsyncGenerator[Rendered | Seam, None]:
        """Yield the audio of the first server that has any, and when its words sound.

        If it breaks off, another one goes on.

        Raises:
            RemoteVoiceFailed, VoiceUnavailable, Busy: as `RemoteVoice.stream` does.
            EngineFailed: a server broke off after the first audio, and no other took over.
        """
        sent, broke_off = SentAudio(request.rate), BrokenOff()
        while True:
            async with AsyncExitStack() as held:
                opened = await self._open_first(request, held, broke_off)
                try:
                    async with aclosing(self._relay(request, opened, Splice(sent))) as pieces:
                        async for rendered in pieces:
                            if not isinstance(rendered, Seam):
                                sent.add(rendered)
                            yield rendered
                except UpstreamFault as fault:
                    self._note_broken(opened.health, request, fault, broke_off)
                else:
                    return

    async def _relay(
        self, request: UpstreamRequest, opened: OpenStream, splice: Splice
    ) -> AsyncGenerator[Rendered | Seam, None]:
        """Yield what a server speaks, from where an earlier one broke off."""
        health, rendered = opened.health, opened.first
        words = self._estimate_words(request, health)
        left = (_FREE_SECONDS + _SECONDS_A_CHARACTER * len(request.text) / request.speed) * request.rate
        while rendered is not None:
            left = _count_down(left, samples_of(rendered))
            for spliced in splice.add(words.add(rendered)):
                yield spliced
            rendered = await self._next(opened.pieces)
        health.tells_words[request.voice] = words.is_told_by_server
        for spliced in chain(splice.add(words.finish()), splice.finish()):
            yield spliced

    def _note_broken(
        self, health: UpstreamHealth, request: UpstreamRequest, fault: UpstreamFault, broke_off: BrokenOff
    ) -> None:
        """Note that a server broke off after its first audio.

        Raises:
            EngineFailed: too many did.
        """
        health.request_failed(fault, self._clock())
        broke_off.note(health, fault)
        if broke_off.count > _MOST_TAKEOVERS:
            raise broke_off.failure(request.voice) from None
        _LOGGER.warning(
            "%s broke off while %s spoke: %s. Another server is asked to go on.",
            health.upstream.address,
            request.voice,
            fault,
        )

    def _estimate_words(self, request: UpstreamRequest, health: UpstreamHealth) -> WordEstimate:
        listed = health.voices.get(request.voice)
        return WordEstimate(
            request.text,
            request.rate,
            paces=self._paces,
            manner=VoiceManner(request.voice, request.speaker, request.speed),
            reads_phonemes=listed is None or listed.reads_phonemes,
            tells_words=health.tells_words.get(request.voice, health.upstream.may_tell_words),
        )

    async def _open_first(
        self, request: UpstreamRequest, held: AsyncExitStack, broke_off: BrokenOff
    ) -> OpenStream:
        """Open a stream to the first server that speaks, with its first audio.

        One that broke off is asked again after all others, and only if it may have been restarted.
        """
        faults = dict(broke_off.faults)
        first_round = [
            health
            for health in self.candidates(request.voice, also_down=broke_off.count > 0)
            if health not in faults
        ]
        for is_last_round in (False, True):
            for health in _to_retry(faults) if is_last_round else first_round:
                async with AsyncExitStack() as attempt:
                    try:
                        pieces = await attempt.enter_async_context(_open_stream(health, request))
                        rendered = await self._next(pieces)
                    except UpstreamFault as fault:
                        self._note(health, request, fault, faults)
                    else:
                        health.request_succeeded()
                        held.push_async_exit(attempt.pop_all())
                        return OpenStream(health, pieces, rendered)
            pause = _shortest_retry(faults.values())
            if is_last_round or pause is None:
                break
            await asyncio.sleep(pause)
        raise broke_off.failure(request.voice) if broke_off.count else self._refusal(request, faults)

    def _note(
        self,
        health: UpstreamHealth,
        request: UpstreamRequest,
        fault: UpstreamFault,
        faults: dict[UpstreamHealth, UpstreamFault],
    ) -> None:
        _LOGGER.info("%s did not speak as %s: %s.", health.upstream.address, request.voice, fault)
        health.request_failed(fault, self._clock())
        faults[health] = fault

    async def _next(self, pieces: AsyncGenerator[Rendered, None]) -> Rendered | None:
        try:
            async with asyncio.timeout(self._timeout):
                return await anext(pieces, None)
        except TimeoutError:
            raise UpstreamFault(
                UpstreamFaultKind.DOWN,
                Message("it_sent_nothing", "it sent nothing for {seconds} s", seconds=f"{self._timeout:g}"),
            ) from None

    def _refusal(self, request: UpstreamRequest, faults: dict[UpstreamHealth, UpstreamFault]) -> Exception:
        message = Message(
            "no_remote",
            "No remote server speaks as {voice} now ({reasons}).",
            voice=request.voice,
            reasons=_reasons(faults),
        )
        hint = Message("try_later", "Try again later.")
        if self._fallback:
            return RemoteVoiceFailed(message, hint=hint)
        if faults and all(fault.kind is UpstreamFaultKind.BUSY for fault in faults.values()):
            return Busy(message, hint=hint)
        return VoiceUnavailable(message, hint=hint)


@dataclass(frozen=True, slots=True)
class OpenStream:
    """A stream of a server that has begun to speak."""

    health: UpstreamHealth
    pieces: AsyncGenerator[Rendered, None]
    first: Rendered | None
    """Its first audio; None if there is nothing to say."""


@dataclass(slots=True)
class BrokenOff:
    """The servers that broke off a segment after its first audio, each with its last fault."""

    faults: dict[UpstreamHealth, UpstreamFault] = field(default_factory=dict)
    count: int = 0

    def note(self, health: UpstreamHealth, fault: UpstreamFault) -> None:
        """Take one more."""
        self.faults.pop(health, None)
        self.faults[health] = fault
        self.count += 1

    def failure(self, voice: str) -> EngineFailed:
        """What the listener is told if no server goes on."""
        health, fault = next(reversed(self.faults.items()))
        return EngineFailed(
            Message(
                "remote_broke_off",
                "The remote server {address} broke off while {voice} spoke: {reason}.",
                address=health.upstream.address,
                voice=voice,
                reason=str(fault),
            ),
            hint=Message("see_that_log", "See its log."),
        )


def _reasons(faults: Mapping[UpstreamHealth, UpstreamFault]) -> str:
    """What each server did, in one text."""
    told = ""
    for health, fault in faults.items():
        address = health.upstream.address
        reason = Message("at_address", "{address}: {reason}", address=address, reason=str(fault))
        told = Message("one_and_other", "{one}; {other}", one=told, other=reason) if told else reason
    return told or Message("none_reached", "none can be reached")


def _count_down(samples_left: float, samples: Samples) -> float:
    if len(samples) > samples_left:
        raise UpstreamFault(
            UpstreamFaultKind.FAILED, Message("sent_too_much", "it sent more audio than the text can take")
        )
    return samples_left - len(samples)


@asynccontextmanager
async def _open_stream(
    health: UpstreamHealth, request: UpstreamRequest
) -> AsyncIterator[AsyncGenerator[Rendered, None]]:
    listed = health.voices.get(request.voice)
    if listed is None:
        raise UpstreamFault(UpstreamFaultKind.REFUSED, Message("voice_gone", "it no longer has the voice"))
    health.in_flight += 1
    try:
        async with aclosing(health.upstream.speak(request, listed)) as pieces:
            yield pieces
    finally:
        health.in_flight -= 1


def _may_retry(fault: UpstreamFault) -> bool:
    return fault.retry_after is not None and fault.retry_after <= _MAX_RETRY_DELAY


def _to_retry(faults: dict[UpstreamHealth, UpstreamFault]) -> list[UpstreamHealth]:
    return [health for health, fault in faults.items() if _may_retry(fault)]


def _shortest_retry(faults: Iterable[UpstreamFault]) -> float | None:
    return min((fault.retry_after or 0.0 for fault in faults if _may_retry(fault)), default=None)
