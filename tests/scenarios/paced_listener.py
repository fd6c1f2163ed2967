"""Paced listener: an honest client that speaks one text after the other and reports what was heard of each.

What counts is what a person would hear: the delay of the first audio, and the gaps of a playback that starts
with the first audio and runs in real time.

As a process (`python -m tests.scenarios.paced_listener`) it prints a line of JSON for each text, so that what
the attacking process computes does not delay its clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import httpx
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from wyoming_tts.bench.playback import simulate_playback
from wyoming_tts.wyoming_framing import REPLY_LIMITS, EventStream, ProtocolError, write_event

PATIENCE = 60.0
"""Seconds after which a listener gives a text up."""
_PCM_RATE = 24_000  # what the HTTP API sends as raw PCM
_SAMPLE_BYTES = 2
_UNKNOWN_LENGTH = 0.1
_SENTENCES = (
    "Number {0}: the kettle sings while rain walks over the roof.",
    "In round {0} somebody reads aloud from a letter about a harbour.",
    "Boats wait for tide {0}, and gulls talk of nothing but fish.",
)


@dataclass(frozen=True, slots=True)
class HeardText:
    """What was heard of one text; `began` by time.monotonic, which all processes share."""

    began: float
    took: float
    first_audio: float | None
    """Seconds from the request to the first audio; None without audio."""
    seconds: float
    """Playing time of the audio."""
    gaps: int
    worst_gap: float
    silence: float
    """Seconds of all gaps together."""
    error: str
    """Empty if all went well."""

    @property
    def ended(self) -> float:
        """The time of the last byte."""
        return self.began + self.took


class Recording:
    """Notes when audio of one text arrives."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self.began = now()
        self.error = ""
        self._arrivals: list[tuple[float, float]] = []

    def add_audio(self, seconds: float) -> None:
        """Note audio of this length."""
        if seconds > 0:
            self._arrivals.append((self._now(), seconds))

    def mark_audio(self) -> None:
        """Note the start of audio whose length is unknown, since it is compressed."""
        if not self._arrivals:
            self.add_audio(_UNKNOWN_LENGTH)

    @property
    def plays_until(self) -> float:
        """When a player that started with the first audio has played all of it; now, without audio."""
        playback = simulate_playback(self._arrivals)
        return playback.ended_at if playback else self._now()

    def heard(self) -> HeardText:
        """Report the text, which has ended."""
        playback = simulate_playback(self._arrivals)
        return HeardText(
            began=self.began,
            took=self._now() - self.began,
            first_audio=playback.started_at - self.began if playback else None,
            seconds=sum(seconds for _, seconds in self._arrivals),
            gaps=playback.underruns if playback else 0,
            worst_gap=playback.worst_gap if playback else 0.0,
            silence=playback.silence if playback else 0.0,
            error=self.error or ("" if playback else "no audio came"),
        )


def numbered_text(number: int) -> str:
    """Three sentences, no two texts alike, so that no cache answers."""
    return " ".join(sentence.format(number) for sentence in _SENTENCES)


async def hear_over_wyoming(
    address: tuple[str, int], text: str, *, voice: str | None = None, word_pause: float = 0.0
) -> Recording:
    """Stream a text over Wyoming, with a pause after each word if wanted, and receive all audio."""
    recording = Recording()
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*address)
            try:
                async with asyncio.TaskGroup() as tasks:
                    writing = tasks.create_task(_write_words(writer, text, voice, word_pause))
                    await receive_speech(EventStream(reader, REPLY_LIMITS), recording)
                    writing.cancel()
            finally:
                writer.close()
    except OSError as error:  # a timeout as well
        recording.error = recording.error or f"{type(error).__name__}: {error}"
    return recording


async def _write_words(writer: asyncio.StreamWriter, text: str, voice: str | None, word_pause: float) -> None:
    try:
        await write_event(writer, SynthesizeStart(SynthesizeVoice(voice) if voice else None).event())
        for word in text.split() if word_pause else [text]:
            await write_event(writer, SynthesizeChunk(f"{word} ").event())
            await asyncio.sleep(word_pause)
        await write_event(writer, SynthesizeStop().event())
    except OSError:
        return  # the reader meets the error too, and records it


async def receive_speech(
    events: EventStream, recording: Recording, *, end: str = "synthesize-stopped"
) -> None:
    """Receive events up to the one that ends the speech, or an error."""
    try:
        while True:
            event = await events.read_event()
            match event.type:
                case "audio-chunk":
                    frame_bytes = event.data["rate"] * event.data["width"] * event.data["channels"]
                    recording.add_audio(len(event.payload or b"") / frame_bytes)
                case "error":
                    recording.error = f"{event.data.get('code')}: {event.data.get('text')}"
                    return
                case other if other == end:
                    return
    except (OSError, EOFError, ProtocolError) as error:
        recording.error = f"{type(error).__name__}: {error}"


async def hear_over_http(
    client: httpx.AsyncClient, url: str, text: str, *, voice: str | None = None
) -> Recording:
    """Request a text over HTTP as PCM, and receive all audio."""
    recording = Recording()
    body = {"input": text, "response_format": "pcm"} | ({"voice": voice} if voice else {})
    try:
        async with asyncio.timeout(PATIENCE):
            async with client.stream("POST", f"{url}/v1/audio/speech", json=body) as response:
                if response.is_error:
                    await response.aread()
                    recording.error = f"HTTP {response.status_code}: {response.text[:200]}"
                    return recording
                async for pcm in response.aiter_bytes():
                    recording.add_audio(len(pcm) / _SAMPLE_BYTES / _PCM_RATE)
    except (httpx.HTTPError, OSError) as error:
        recording.error = f"{type(error).__name__}: {error}"
    return recording


async def _listen_over_wyoming(address: tuple[str, int], pause: float) -> None:
    number = 0
    while True:
        number += 1
        _print(await hear_over_wyoming(address, numbered_text(number)))
        await asyncio.sleep(pause)


async def _listen_over_http(url: str, pause: float) -> None:
    number = 0
    while True:
        number += 1
        # A connection for each text, as after a restart or from different devices.
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            _print(await hear_over_http(client, url, numbered_text(number)))
        await asyncio.sleep(pause)


def _print(recording: Recording) -> None:
    print(json.dumps(asdict(recording.heard())), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Listen until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--wyoming", metavar="HOST:PORT")
    where.add_argument("--http", metavar="URL")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two texts")
    options = parser.parse_args(arguments)
    if options.http:
        asyncio.run(_listen_over_http(options.http, options.pause))
    host, _, port = options.wyoming.rpartition(":")
    asyncio.run(_listen_over_wyoming((host, int(port)), options.pause))


if __name__ == "__main__":
    main()
