"""Several servers that can speak: which one is asked, and what happens when it does not answer.

Until the first sound whoever fails is passed over for the next; after it nobody can take over, because
another server would speak the segment from its beginning. A server that cannot be reached is left alone for
a while, longer each time; looking at it (`UpstreamHealth.seen`) or hearing it ends that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from wyoming_tts.backoff import Backoff
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import RemoteVoiceFailed
from wyoming_tts.engines.remote.lists import ListedVoice
from wyoming_tts.errors import Busy, EngineFailed, VoiceUnavailable
from wyoming_tts.speech import Samples

_LOGGER = logging.getLogger(__name__)

LOOK_EVERY = 30.0
"""Seconds between two looks at a server that answers."""
_BACKOFF = Backoff(first_delay=1.0, max_delay=30.0)
_MOST_BUSY = 30.0
_RETRY_WITHIN = 1.0
"""Seconds that a listener may be kept waiting before all are asked once more."""
_FAILURES_IN_A_ROW = 3
"""As many, and a server counts as down although it answers."""
_FREE_SECONDS, _SECONDS_A_CHARACTER = 30.0, 1.0
"""Audio that is taken for a text; a server that sends more does not stop by itself."""


class UpstreamFaultKind(Enum):
    """What a failure says of the server."""

    DOWN = auto()
    """It cannot be reached, or does not go on."""
    FAILED = auto()
    """It answered that it broke, or with what is no audio."""
    BUSY = auto()
    """It has too much to do."""
    REFUSED = auto()
    """It will not speak this; others may, and it may speak something else."""


class UpstreamFault(Exception):
    """A server did not speak as it should; the text says what it did."""

    def __init__(self, kind: UpstreamFaultKind, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.retry_after = retry_after
        """Seconds after which it may be asked again; None if that is of no use."""


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What a server is to speak."""

    voice: str
    text: str
    speaker: str | None = None
    speed: float = 1.0
    rate: int = 24_000
    """Hz of the samples that are wanted."""
    hops: int = 0
    """Servers it came through, this one among them."""


class Upstream(Protocol):
    """A server, by whatever protocol."""

    @property
    def address(self) -> str:
        """As in the settings, without user and password."""
        ...

    async def listed(self, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
        """Return its voices, None if it answers but has no list.

        Raises:
            Fault: it does not answer, or with nonsense.
        """
        ...

    def speak(self, order: UpstreamRequest, listed: ListedVoice) -> AsyncGenerator[Samples, None]:
        """Give what it says, in pieces of which none is empty.

        Raises:
            Fault: whatever goes wrong.
        """
        ...

    async def aclose(self) -> None:
        """Close what is kept open between requests."""
        ...


@dataclass(slots=True, eq=False)
class UpstreamHealth:
    """What is known of a server: its voices, and how it did lately. Times are those of `time.monotonic`."""

    upstream: Upstream
    voices: dict[str, ListedVoice] = field(default_factory=dict)
    """What it lists or, where it has no list, what the settings say."""
    in_flight: int = 0
    served: int = 0
    unheard: int = 0
    """Requests to speak in a row that it failed."""
    unseen: int = 0
    """Looks in a row that it failed."""
    down_until: float = 0.0
    busy_until: float = 0.0
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a listener found it down: looking at it may not wait."""

    @property
    def look_again_in(self) -> float:
        """Seconds until the next look."""
        return _BACKOFF.delay(self.unseen) if self.unseen else LOOK_EVERY

    def failed(self, fault: UpstreamFault, now: float) -> None:
        """Note that it did not speak."""
        if fault.kind is UpstreamFaultKind.BUSY:
            self.busy_until = now + min(fault.retry_after or 1.0, _MOST_BUSY)
        elif fault.kind is not UpstreamFaultKind.REFUSED:
            self.unheard += 1
            if fault.kind is UpstreamFaultKind.DOWN or self.unheard >= _FAILURES_IN_A_ROW:
                self.down_until = now + _BACKOFF.delay(self.unheard)
                self.stirred.set()

    def heard(self) -> None:
        """Note that it spoke."""
        self.served += 1
        self.unheard = 0
        self.down_until = self.busy_until = 0.0

    def seen(self) -> None:
        """Note that it answered a look. One that answers and never speaks stays down for its while."""
        self.unseen = 0
        if self.unheard < _FAILURES_IN_A_ROW:
            self.down_until = 0.0

    def not_seen(self, now: float) -> None:
        """Note that it did not."""
        self.unseen += 1
        self.down_until = max(self.down_until, now + _BACKOFF.delay(self.unseen))


class UpstreamPool:
    """The servers there are."""

    def __init__(
        self,
        standings: Sequence[UpstreamHealth],
        *,
        patience: float,
        fallback: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the servers, those that are asked first at the front.

        Args:
            standings: Them.
            patience: Seconds until the first audio, and between two pieces of it.
            fallback: Whether another voice may speak where none of them does.
            clock: Seconds.
        """
        self.standings = tuple(standings)
        self._patience = patience
        self._fallback = fallback
        self._clock = clock

    def candidates(self, voice: str) -> list[UpstreamHealth]:
        """Return who may be asked for the voice, the least busy first."""
        now = self._clock()
        able = [standing for standing in self.standings if voice in standing.voices]
        up = [standing for standing in able if standing.down_until <= now]
        # Where nothing else can speak, there is nothing to lose by asking one that was down.
        asked = up if up or self._fallback else able
        return sorted(asked, key=lambda one: (one.busy_until > now, one.in_flight, one.served))

    async def speak(self, order: UpstreamRequest) -> AsyncGenerator[Samples, None]:
        """Give what the first server says that says something.

        Raises:
            Unanswered, VoiceUnavailable, Busy: as for `RemoteVoice.stream`.
            EngineFailed: the one that spoke broke off.
        """
        async with AsyncExitStack() as held:
            standing, pieces, samples = await self._begun(order, held)
            left = (_FREE_SECONDS + _SECONDS_A_CHARACTER * len(order.text) / order.speed) * order.rate
            try:
                while samples is not None:
                    left = _left(left, samples)
                    yield samples
                    samples = await self._next(pieces)
            except UpstreamFault as fault:
                standing.failed(fault, self._clock())
                raise EngineFailed(
                    f"The remote server {standing.upstream.address} broke off while {order.voice} spoke: "
                    f"{fault}.",
                    hint="Its log may tell why.",
                ) from None

    async def _begun(
        self, order: UpstreamRequest, held: AsyncExitStack
    ) -> tuple[UpstreamHealth, AsyncGenerator[Samples, None], Samples | None]:
        """Find who speaks: with it the first that it said, None if there is nothing to say."""
        faults: dict[UpstreamHealth, UpstreamFault] = {}
        for is_last_round in (False, True):
            for standing in self._to_be_asked(order.voice, faults):
                async with AsyncExitStack() as attempt:
                    try:
                        pieces = await attempt.enter_async_context(_asked(standing, order))
                        samples = await self._next(pieces)
                    except UpstreamFault as fault:
                        self._note(standing, order, fault, faults)
                    else:
                        standing.heard()
                        held.push_async_exit(attempt.pop_all())
                        return standing, pieces, samples
            pause = _shortest_retry(faults.values())
            if is_last_round or pause is None:
                break
            await asyncio.sleep(pause)
        raise self._refusal(order, faults)

    def _to_be_asked(self, voice: str, faults: dict[UpstreamHealth, UpstreamFault]) -> list[UpstreamHealth]:
        """Everybody, and after faults those who may be asked once more."""
        if not faults:
            return self.candidates(voice)
        return [standing for standing, fault in faults.items() if _may_retry(fault)]

    def _note(
        self,
        standing: UpstreamHealth,
        order: UpstreamRequest,
        fault: UpstreamFault,
        faults: dict[UpstreamHealth, UpstreamFault],
    ) -> None:
        _LOGGER.info("%s did not speak as %s: %s.", standing.upstream.address, order.voice, fault)
        standing.failed(fault, self._clock())
        faults[standing] = fault

    async def _next(self, pieces: AsyncGenerator[Samples, None]) -> Samples | None:
        try:
            async with asyncio.timeout(self._patience):
                return await anext(pieces, None)
        except TimeoutError:
            raise UpstreamFault(UpstreamFaultKind.DOWN, f"it sent nothing for {self._patience:g} s") from None

    def _refusal(self, order: UpstreamRequest, faults: dict[UpstreamHealth, UpstreamFault]) -> Exception:
        reasons = "; ".join(f"{one.upstream.address}: {fault}" for one, fault in faults.items())
        message = f"No remote server speaks as {order.voice} now ({reasons or 'none can be reached'})."
        hint = "Try again later."
        if self._fallback:
            return RemoteVoiceFailed(message, hint=hint)
        if faults and all(fault.kind is UpstreamFaultKind.BUSY for fault in faults.values()):
            return Busy(message, hint=hint)
        return VoiceUnavailable(message, hint=hint)


def _left(samples_left: float, samples: Samples) -> float:
    if len(samples) > samples_left:
        raise UpstreamFault(UpstreamFaultKind.FAILED, "it does not stop")
    return samples_left - len(samples)


@asynccontextmanager
async def _asked(
    standing: UpstreamHealth, order: UpstreamRequest
) -> AsyncIterator[AsyncGenerator[Samples, None]]:
    listed = standing.voices.get(order.voice)
    if listed is None:
        raise UpstreamFault(UpstreamFaultKind.REFUSED, "it has the voice no more")
    standing.in_flight += 1
    try:
        async with aclosing(standing.upstream.speak(order, listed)) as pieces:
            yield pieces
    finally:
        standing.in_flight -= 1


def _may_retry(fault: UpstreamFault) -> bool:
    return fault.retry_after is not None and fault.retry_after <= _RETRY_WITHIN


def _shortest_retry(faults: Iterable[UpstreamFault]) -> float | None:
    return min((fault.retry_after or 0.0 for fault in faults if _may_retry(fault)), default=None)
