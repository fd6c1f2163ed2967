"""Whether the server says that it can speak, under load."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.parts import running_parts
from wyoming_tts.admission import Place
from wyoming_tts.demand import Work
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.server.speech_service import ServerSpeechService


class LongWork:
    """A backlog that takes a minute to compute."""

    def works(self) -> Sequence[Work]:
        return [Work(alone=60.0, crowded=60.0, audio=1.0)]


async def test_a_server_that_would_refuse_the_next_utterance_is_not_ready_until_others_have_ended() -> None:
    async with running_parts(max_wait=10.0) as parts:
        parts.readiness.is_ready = True
        service = ServerSpeechService(parts)
        assert service.health().not_ready == ""
        place = Place(StreamClock(work_since=0.0, backlog=LongWork()))
        assert parts.admission.admit(place, 0.0)
        assert "over the limit of 10 s" in service.health().not_ready
        assert (await service.status())["load"]["predicted_wait_seconds"] > 10.0  # type: ignore[index]
        parts.admission.release(place, 0.0)
        assert service.health().not_ready == ""
