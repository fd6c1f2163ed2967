"""Fuzzing the Wyoming server: a thousand malformed byte streams beside one well-behaved listener."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread, speech_pcm
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of, reset_connection
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingOptions, WyomingServer
from wyoming_tts.wyoming_framing import EventLimits, encode_event

STREAMS = 1_000
ANSWERS = {"audio-chunk", "audio-start", "audio-stop", "error", "info", "pong", "synthesize-stopped"}
OPTIONS = WyomingOptions(limits=EventLimits(header=4_096), event_timeout=5)

valid = st.sampled_from(
    [
        Describe().event(),
        Ping("x").event(),
        Synthesize("hello").event(),
        Synthesize("hello", voice=SynthesizeVoice(name="amy")).event(),
        SynthesizeStart().event(),
        SynthesizeStart(voice=SynthesizeVoice(language="en")).event(),
        SynthesizeChunk("hello ").event(),
        SynthesizeStop().event(),
        Event("transcribe", {"language": "en"}, b"\x00\xff\n"),
    ]
).map(encode_event)
malformed = st.sampled_from(
    [
        b'{"type": "synthesize"}\n',
        b'{"type": "synthesize", "data": {"text": 5}}\n',
        b'{"type": "synthesize-start", "data": {"voice": []}}\n',
        b'{"type": "synthesize-chunk", "data": {}}\n',
        b'{"type": "ping", "data": {"text": {}}}\n',
        b'{"type": "ping", "data": {"text": "\\ud800"}}\n',
        b'{"type": "describe", "data_length": -1}\n',
        b'{"type": "describe", "data_length": 99999999999}\n',
        b'{"type": "describe", "payload_length": true}\n',
        b'{"type": "x", "data_length": 4}\n[[]]',
        b'{"type": "x", "data": ' + b"[" * 3_000 + b"}\n",
        b'{"type": "' + b"x" * 5_000 + b'"}\n',
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\n\r\n",
        b"\xef\xbb\xbf",
    ]
)
mutations = st.lists(
    st.tuples(
        st.sampled_from(["flip", "drop", "repeat", "insert"]), st.integers(0, 4_000), st.binary(max_size=6)
    ),
    max_size=4,
)


def mutate(data: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, extra in changes:
        at = place % (len(data) + 1)
        match kind:
            case "flip":
                data = data[:at] + bytes(byte ^ 0x20 for byte in data[at : at + 1]) + data[at + 1 :]
            case "drop":
                data = data[:at] + data[at + 1 + len(extra) :]
            case "repeat":
                data = data[:at] + data[at : at + 20] + data[at:]
            case _:
                data = data[:at] + extra + data[at:]
    return data


streams = st.binary(max_size=200) | st.builds(
    mutate, st.lists(valid | malformed, max_size=6).map(b"".join), mutations
)


class PacedSynthesis:
    """Releases the listener's utterance one chunk at a time."""

    def __init__(self) -> None:
        self.steps = asyncio.Semaphore(0)

    async def __call__(self, utterance: Utterance, _: int) -> None:
        if utterance.voice.name == "paced":
            await self.steps.acquire()


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def listen(server: WyomingServer, pieces: list[str]) -> list[Event]:
    async with WyomingTestClient.connect(*server.bound[0]) as client:
        await client.send(SynthesizeStart(voice=SynthesizeVoice(name="paced")).event())
        for piece in pieces:
            await client.send(SynthesizeChunk(piece).event())
        await client.send(SynthesizeStop().event())
        return await client.until("synthesize-stopped")


async def attack(server: WyomingServer, data: bytes, *, resets: bool) -> list[Event]:
    async with WyomingTestClient.connect(*server.bound[0]) as client:
        client.writer.write(data)
        if resets:
            reset_connection(client)
            return []
        client.writer.write_eof()
        return await client.rest()


def check_reply_is_well_formed(answer: list[Event]) -> None:
    """Check that a reply is a valid sequence of Wyoming events, whatever was sent."""
    playing = False
    for event in answer:
        assert event.type in ANSWERS
        if event.type == "audio-start":
            assert not playing
        if event.type in ("audio-chunk", "audio-stop"):
            assert playing
        playing = (playing or event.type == "audio-start") and event.type != "audio-stop"
    assert not playing


class FuzzedServer:
    """A server with one listener throughout, which hostile clients attack one after another."""

    def __init__(self, runner: asyncio.Runner, pieces: list[str]) -> None:
        self.fake = FakeSynthesizer()
        self.fake.on_chunk = self.paced = PacedSynthesis()
        self.server = WyomingServer(self.fake, describe=describe, run_blocking=run_in_thread, options=OPTIONS)
        self._runner = runner
        runner.run(self.server.start("tcp://127.0.0.1:0"))
        self.listening = runner.get_loop().create_task(listen(self.server, pieces))

    def attack(self, data: bytes, *, resets: bool) -> list[Event]:
        self.paced.steps.release()
        return self._runner.run(attack(self.server, data, resets=resets))

    async def end(self) -> tuple[list[Event], set[asyncio.Task[Any]]]:
        """The events the listener received, and the tasks left over once all clients have gone."""
        received = await self.listening
        while self.server.connections:  # noqa: ASYNC110  # the server has no event for it
            await asyncio.sleep(0.001)
        await self.server.stop()
        return received, asyncio.all_tasks() - {current for current in [asyncio.current_task()] if current}


@pytest.mark.slow
def test_a_thousand_malformed_streams_disturb_no_listener_and_leak_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pieces = [f"{number} bottles. " for number in range(STREAMS)]
    sent, reply_types = 0, Counter[str]()
    with asyncio.Runner() as runner:
        runner.get_loop()
        files = open_files()
        fuzzed = FuzzedServer(runner, pieces)

        @settings(
            max_examples=STREAMS,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(streams, st.integers(0, 9))
        def send_fuzzed_stream(data: bytes, reset_choice: int) -> None:
            nonlocal sent
            sent += 1
            answer = fuzzed.attack(data, resets=reset_choice == 0)
            check_reply_is_well_formed(answer)
            reply_types.update(event.type for event in answer)

        send_fuzzed_stream()
        received, tasks = runner.run(fuzzed.end())
        files_left = open_files() - files

    assert sent == STREAMS
    assert set(reply_types) == ANSWERS  # the attacks got far enough to be dangerous
    assert event_types(received) == ["audio-start", "audio-chunk", "audio-stop", "synthesize-stopped"]
    assert pcm_of(received) == speech_pcm("".join(pieces))
    assert tasks == set()
    assert files_left == 0
    assert fuzzed.fake.entered == fuzzed.fake.left
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
