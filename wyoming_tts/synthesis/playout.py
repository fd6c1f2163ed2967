"""Playout buffer (jitter buffer): holds audio back until it can be played without a gap.

On a machine that keeps up nothing is held, and nothing is made before the listener asks for it. Where speech
is computed slower than it is spoken, a stream's first audio waits until what is known of the rest will arrive
in time. If the listener runs dry all the same, or would within the next segment, that segment is held back
until it can be spoken as a whole: a longer pause between two sentences is heard as a pause, one within a word
as a fault.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, Self

from wyoming_tts.demand import Work, expected_lead
from wyoming_tts.scheduler import DRY_SOON, StreamClock
from wyoming_tts.synthesis.prefetch import Prefetch

Clock = Callable[[], float]

MAX_BUFFERED: Final = 30.0
"""Seconds of audio held at most, 1.5 MB: as far as a stream may run ahead in any case. A hold that may be
longer has room for what is made meanwhile: speech that is made faster than that need not be held."""

_RECHECK: Final = 0.1
"""Seconds after which it is judged again whether held audio may play: other streams may have ended."""

_RECHECK_LEAD: Final = 0.5
"""Seconds after which it is judged again whether a stream has to run ahead of a listener who does not ask for
more: text may have arrived, or the machine be slower."""

_RESOLUTION: Final = 0.01
"""Seconds that are not waited for."""

_SURE_GAP: Final = 0.25
"""Seconds that are expected to be missing within a segment before it is held back: less is not certain, and a
longer pause before it would be."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some audio of a segment."""

    pcm: bytes
    seconds: float
    segment: int
    """Number of the segment in its utterance."""


@dataclass(frozen=True, slots=True)
class PlayoutPolicy:
    """How a stream's audio is held back."""

    starts_at_once: bool
    """Nothing is held back: the player has a buffer of its own, or nobody listens."""
    max_hold: float
    """Seconds after which held audio is played all the same."""
    will_hold: Callable[[], bool]
    """Whether a stream that starts to play now will not run dry, by what is known."""
    segment_works: Callable[[int], Sequence[Work]]
    """The work left of a segment that is being rendered; none of one that is complete."""


class PlayoutBuffer:
    """The audio of a stream between rendering and its listener; use `async with`."""

    def __init__(
        self,
        pieces: AsyncGenerator[Piece, None],
        stream: StreamClock,
        policy: PlayoutPolicy,
        clock: Clock,
    ) -> None:
        self._stream = stream
        self._policy = policy
        self._clock = clock
        self._prefetch = Prefetch(self._counted(pieces), room_in=self._room_in)
        self._playing: int | None = None
        self._withheld_since: float | None = None
        self.held_seconds = 0.0
        """For how long audio was held back while its listener heard nothing."""
        stream.starts_at_once = policy.starts_at_once
        stream.is_held = not policy.starts_at_once

    async def __aenter__(self) -> Self:
        await self._prefetch.__aenter__()
        return self

    async def __aexit__(self, *reason: object) -> None:
        await self._prefetch.__aexit__(*reason)

    async def take(self) -> Piece | None:
        """Return the next piece once it may be played; None after the last one.

        Raises:
            Exception: what rendering raised.
        """
        await self.wait()
        if self._prefetch.peek() is None:
            self._prefetch.raise_error()
            return None
        return self._release(self._clock())

    async def wait(self) -> None:
        """Wait until `take` returns at once; may be cancelled, which loses nothing."""
        while True:
            piece, now = self._prefetch.peek(), self._clock()
            if piece is not None:
                play_at = self._play_at(piece, now)
                if play_at <= now:
                    return
                await self._prefetch.wait(min(play_at - now, _RECHECK))
            elif not self._prefetch.is_exhausted:
                await self._prefetch.wait()
            else:
                return

    def _release(self, now: float) -> Piece:
        piece = self._prefetch.take()
        self._stream.buffered_seconds -= piece.seconds
        self._playing = piece.segment
        if self._withheld_since is not None:
            self.held_seconds += now - self._withheld_since
            self._withheld_since = None
        self._stream.is_held = False
        return piece

    def _play_at(self, piece: Piece, now: float) -> float:
        """Return when a piece is to be played if nothing changes before."""
        if self._may_play(piece, now):
            return now
        dry_at = self._dry_at(now)
        if dry_at > now:
            return dry_at + self._policy.max_hold
        if self._withheld_since is None:
            self._withheld_since = now
            self._stream.is_held = True
        return self._withheld_since + self._policy.max_hold

    def _may_play(self, piece: Piece, now: float) -> bool:
        if self._policy.starts_at_once or self._prefetch.is_exhausted:
            return True
        if self._is_full():
            return True
        is_dry = self._dry_at(now) <= now
        if piece.segment == self._playing and not is_dry:
            return True
        if self._playing is None or (is_dry and self._lacked_text()):
            return self._policy.will_hold()
        lead = expected_lead(self._policy.segment_works(piece.segment))
        return lead - self._stream.ahead(now) - self._stream.computed(now) <= _SURE_GAP

    def _dry_at(self, now: float) -> float:
        if self._stream.playing_since is None:
            return -inf
        return self._stream.ahead(now) - self._stream.buffered_seconds + now

    def _lacked_text(self) -> bool:
        """Whether the listener ran dry because there was no text: then this is another start."""
        stream = self._stream
        return (
            stream.playing_since is None or stream.work_since >= stream.playing_since + stream.audio_seconds
        )

    def _is_full(self) -> bool:
        return self._stream.buffered_seconds >= max(MAX_BUFFERED, self._policy.max_hold)

    def _room_in(self) -> float:
        stream = self._stream
        if self._policy.starts_at_once or self._is_full():
            return inf
        if stream.is_held:
            return 0.0
        lead = stream.lead_needed()
        if lead <= DRY_SOON:
            return _RECHECK_LEAD  # until then each piece can be made when it is asked for
        spare = stream.ahead(self._clock()) - lead - DRY_SOON
        return min(spare, _RECHECK_LEAD) if spare > _RESOLUTION else 0.0

    async def _counted(self, pieces: AsyncGenerator[Piece, None]) -> AsyncGenerator[Piece, None]:
        async for piece in pieces:
            self._stream.buffered_seconds += piece.seconds
            yield piece
