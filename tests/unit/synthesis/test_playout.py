"""When audio is handed over and when it is held back, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from wyoming_tts.demand import Work
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.synthesis.playout import MAX_BUFFERED, Piece, PlayoutBuffer, PlayoutPolicy

SECOND = bytes(2000)


class Playing:
    """A playout buffer whose source is fed by the test."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stream = StreamClock(work_since=100.0)
        self.pieces: asyncio.Queue[Piece | None] = asyncio.Queue()
        self.asked = 0
        self.holds = True
        """What is answered to whether a start now would hold."""
        self.works: dict[int, Sequence[Work]] = {}
        """The work that is left of segments."""
        self._taking: asyncio.Task[Piece | None] | None = None

    @asynccontextmanager
    async def open(self, *, starts_at_once: bool = False, max_hold: float = 10.0) -> AsyncIterator[None]:
        policy = PlayoutPolicy(
            starts_at_once, max_hold, lambda: self.holds, lambda segment: self.works.get(segment, ())
        )
        async with PlayoutBuffer(self._made(), self.stream, policy, lambda: self.now) as self.buffer:
            try:
                yield
            finally:
                if self._taking is not None:
                    self._taking.cancel()

    async def _made(self) -> AsyncGenerator[Piece, None]:
        while True:
            self.asked += 1
            piece = await self.pieces.get()
            if piece is None:
                return
            yield piece

    def make(self, *segments: int, seconds: float = 1.0) -> None:
        for segment in segments:
            self.pieces.put_nowait(Piece(SECOND, seconds, segment))

    async def heard(self) -> list[int]:
        """Take all that may be played now; return the segments of the pieces."""
        segments = []
        while (piece := await self._next()) is not None:
            self.stream.delivered(piece.seconds, self.now)
            segments.append(piece.segment)
        return segments

    async def _next(self) -> Piece | None:
        self._taking = self._taking or asyncio.create_task(self.buffer.take())
        for _ in range(20):
            await asyncio.sleep(0)
        if not self._taking.done():
            return None
        taken, self._taking = self._taking.result(), None
        return taken

    async def recheck(self) -> list[int]:
        """As `heard`, once it is judged again."""
        if self._taking is not None:
            await asyncio.wait({self._taking}, timeout=0.15)
        return await self.heard()


@pytest.fixture
def playing() -> Playing:
    return Playing()


async def test_audio_that_will_hold_is_handed_over_at_once_and_nothing_is_made_ahead(
    playing: Playing,
) -> None:
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == [0]
        assert not playing.stream.is_held
        assert playing.buffer.held_seconds == 0.0


async def test_a_start_is_held_until_it_will_hold(playing: Playing) -> None:
    playing.holds = False
    async with playing.open():
        playing.make(0, 0, 0)
        assert await playing.heard() == []
        assert playing.stream.is_held
        assert playing.stream.buffered_seconds == 3.0
        playing.now += 2.0
        playing.holds = True
        assert await playing.recheck() == [0, 0, 0]
        assert playing.buffer.held_seconds == pytest.approx(2.0)
        assert playing.stream.buffered_seconds == 0.0


async def test_a_start_is_held_no_longer_than_it_may_be(playing: Playing) -> None:
    playing.holds = False
    async with playing.open(max_hold=10.0):
        playing.make(0)
        assert await playing.heard() == []
        playing.now += 9.9
        assert await playing.recheck() == []
        playing.now += 0.1
        assert await playing.recheck() == [0]


async def test_a_player_that_asks_for_it_gets_its_audio_at_once(playing: Playing) -> None:
    playing.holds = False
    async with playing.open(starts_at_once=True):
        assert not playing.stream.is_held
        playing.make(0)
        assert await playing.heard() == [0]


async def test_what_is_complete_is_handed_over_whatever_is_expected(playing: Playing) -> None:
    playing.holds = False
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == []
        playing.pieces.put_nowait(None)
        assert await playing.heard() == [0]


async def test_no_more_is_held_than_fits(playing: Playing) -> None:
    playing.holds = False
    async with playing.open():
        playing.make(0, seconds=MAX_BUFFERED - 1.0)
        assert await playing.heard() == []
        playing.make(0)
        assert await playing.heard() == [0, 0]


async def test_a_hold_that_may_be_long_has_room_for_what_is_made_meanwhile(playing: Playing) -> None:
    playing.holds = False
    async with playing.open(max_hold=3 * MAX_BUFFERED):
        playing.make(0, 0, seconds=MAX_BUFFERED)
        assert await playing.heard() == []
        playing.make(0, seconds=MAX_BUFFERED)
        assert await playing.heard() == [0, 0, 0]


async def test_a_listener_who_does_not_ask_has_the_next_step_made_in_time(playing: Playing) -> None:
    class Slow:
        def works(self) -> Sequence[Work]:
            return [Work(alone=5.0, crowded=5.0, audio=6.0)]

    async with playing.open():
        playing.stream.backlog = Slow()
        playing.make(0, 0, seconds=8.0)
        assert await playing.buffer.take() is not None
        playing.stream.delivered(8.0, playing.now)
        while playing.pieces.qsize():
            playing.now += 0.1  # the next step takes 5 s
            await asyncio.sleep(0.01)


async def test_a_segment_that_would_stop_in_its_middle_is_held_until_it_can_be_spoken_as_a_whole(
    playing: Playing,
) -> None:
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == [0]
        playing.works = {1: [Work(alone=5.0, crowded=5.0, audio=2.0)]}
        playing.make(1)
        assert await playing.heard() == []
        playing.now += 2.0  # the listener ran dry a second ago
        assert await playing.recheck() == []
        playing.works = {}
        assert await playing.recheck() == [1]
        assert playing.buffer.held_seconds == 0.0  # it was seen to be dry only now


async def test_a_segment_of_which_all_is_there_is_not_held_for_the_next_one(playing: Playing) -> None:
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == [0]
        playing.works = {2: [Work(alone=5.0, crowded=5.0, audio=2.0)]}
        playing.make(1)
        assert await playing.heard() == [1]


async def test_a_listener_within_a_segment_hears_what_is_made_until_it_runs_dry(playing: Playing) -> None:
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == [0]
        playing.works = {0: [Work(alone=5.0, crowded=5.0, audio=2.0)]}
        playing.make(0)
        assert await playing.heard() == [0]
        playing.now += 3.0
        playing.make(0)
        assert await playing.heard() == []
        assert playing.stream.is_held


async def test_after_a_pause_of_the_text_it_starts_anew(playing: Playing) -> None:
    async with playing.open():
        playing.make(0)
        assert await playing.heard() == [0]
        playing.now += 5.0
        playing.stream.work_arrived(playing.now)
        playing.holds = False
        playing.make(1)
        assert await playing.heard() == []
        playing.holds = True
        assert await playing.recheck() == [1]


async def test_what_rendering_raises_is_raised_after_the_audio_before_it() -> None:
    async def failing() -> AsyncGenerator[Piece, None]:
        yield Piece(SECOND, 1.0, 0)
        raise ValueError("broken")

    policy = PlayoutPolicy(
        starts_at_once=True, max_hold=0.0, will_hold=lambda: True, segment_works=lambda _: ()
    )
    async with PlayoutBuffer(failing(), StreamClock(work_since=0.0), policy, lambda: 0.0) as buffer:
        assert await buffer.take() is not None
        with pytest.raises(ValueError, match="broken"):
            await buffer.take()
