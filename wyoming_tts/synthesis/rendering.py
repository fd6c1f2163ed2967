"""A segment's PCM: rendered in steps on a worker, or relayed from another server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass

from wyoming_tts import audio
from wyoming_tts.engines.base import LoadedVoice, RemoteVoice
from wyoming_tts.errors import EngineFailed, SpeechError
from wyoming_tts.scheduler import Lookahead, StreamClock
from wyoming_tts.speech import Prosody, Segment, VoiceSpec
from wyoming_tts.synthesis.job import Job

_LOGGER = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class RenderTask:
    """What is to be spoken, and how."""

    job: Job
    spec: VoiceSpec
    segment: Segment
    prosody: Prosody
    hops: int = 0
    """Servers that the utterance came through before this one."""


def render_steps(task: RenderTask, loaded: LoadedVoice, gain: float) -> Generator[bytes, None, None]:
    """Render a segment on a worker, each step up to finished PCM; its time is added to the job's.

    Raises:
        SpeechError: as for `LoadedVoice.render`; any other failure comes as EngineFailed.
    """
    started = time.perf_counter()
    try:
        with closing(loaded.render(task.segment, task.spec, task.prosody)) as render:
            for samples in render:
                pcm = audio.to_pcm(samples, gain * task.prosody.volume)
                task.job.compute_seconds += time.perf_counter() - started
                yield pcm
                started = time.perf_counter()
    except SpeechError:
        raise
    except Exception as error:
        raise _broken(task, error) from error


async def relay_remote(
    task: RenderTask, voice: RemoteVoice, *, lookahead: Lookahead, clock: Clock
) -> AsyncGenerator[bytes, None]:
    """Have another server speak a segment; it is read as its listener hears it, a while ahead.

    Raises:
        SpeechError: as for `RemoteVoice.stream`; any other failure comes as EngineFailed.
    """
    pieces = voice.stream(task.segment, task.spec, task.prosody, hops=task.hops)
    try:
        async with aclosing(pieces):
            async for samples in pieces:
                yield audio.to_pcm(samples, task.prosody.volume)
                await _rested(task.job.clock, lookahead.alone, clock)
    except SpeechError:
        raise
    except Exception as error:
        raise _broken(task, error) from error


async def _rested(stream: StreamClock, most_ahead: float, clock: Clock) -> None:
    ahead = stream.deadline() - clock() - most_ahead
    if ahead > 0 and not stream.in_background:
        await asyncio.sleep(ahead)


def _broken(task: RenderTask, error: Exception) -> EngineFailed:
    name = task.spec.voice.name
    _LOGGER.error("%s broke in utterance %s.", name, task.job.utterance.id, exc_info=error)
    return EngineFailed(
        f"The voice {name} failed with {type(error).__name__}.", hint="The server's log has the details."
    )
