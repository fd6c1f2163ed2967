"""Whether the server says that it can speak: under load, and with voices that come from a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.support.buckets import VOICE, DirectoryBucket
from tests.support.parts import running_parts
from wyoming_tts.admission import Place
from wyoming_tts.demand import Work
from wyoming_tts.scheduler import StreamClock
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.server.voice_upkeep import follow_bucket, maintain_voices


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


async def test_a_server_is_ready_with_the_voice_of_its_bucket_and_without_a_bucket_that_is_away(
    tmp_path: Path,
) -> None:
    for is_away in (False, True):
        bucket, here = DirectoryBucket(tmp_path / f"bucket-{is_away}"), tmp_path / f"here-{is_away}"
        if not is_away:
            bucket.put_voice()
        async with (
            running_parts(data_dir=[here], voices_url=bucket.url, voice=VOICE) as parts,
            asyncio.TaskGroup() as tasks,
        ):
            service = ServerSpeechService(parts)
            upkeep = [tasks.create_task(maintain_voices(parts)), tasks.create_task(follow_bucket(parts))]
            while service.health().not_ready:  # noqa: ASYNC110 - as a balancer polls
                await asyncio.sleep(0.01)
            assert parts.library.default_is_installed is not is_away
            state = (await service.status())["bucket"]["state"]  # type: ignore[index]
            assert state == ("failed" if is_away else "synced")
            for task in upkeep:
                task.cancel()
