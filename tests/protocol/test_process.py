"""The product as a process: stdio, signals, exit codes, and its messages on stderr."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import numpy as np
import pytest
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.support.server_process import SPEAKS_LETTERS, StdioClient, audio_of, server_process, start_process
from tests.support.timed_words import parse_srt
from tests.support.tones import LETTERS, silences

pytestmark = pytest.mark.slow  # each test starts a process

TWO_SENTENCES = "The first sentence. The second one."
PLAIN = [Synthesize(TWO_SENTENCES).event()]
STREAMED = [
    SynthesizeStart().event(),
    *(SynthesizeChunk(word + " ").event() for word in TWO_SENTENCES.split()),
    Synthesize(TWO_SENTENCES).event(),
    SynthesizeStop().event(),
]


async def answers_on_stdio(*flags: str) -> tuple[list[Event], list[Event]]:
    """What one process says to the text as a whole, then to the streamed one."""
    process = await start_process("--uri", "stdio://", *SPEAKS_LETTERS, *flags, stdin=PIPE)
    assert process.stdin is not None
    client = StdioClient(process)
    await client.send(*PLAIN)
    plain = await client.read_until("audio-stop")
    await client.send(*STREAMED)
    streamed = await client.read_until("synthesize-stopped")
    process.stdin.close()
    _, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    return plain, streamed


@pytest.mark.slow
async def test_sentence_silence_is_exact_and_speech_is_deterministic_over_stdio() -> None:
    answers = await asyncio.gather(
        answers_on_stdio("--sentence-silence", "0.0"),
        answers_on_stdio("--sentence-silence", "1.0"),
        answers_on_stdio("--sentence-silence", "1.0"),
    )
    for without, with_silence, again in zip(*answers, strict=True):  # of the plain text, then of the streamed
        assert [event.type for event in with_silence].count("audio-start") == 1
        assert audio_of(with_silence) == audio_of(again)
        samples = np.frombuffer(audio_of(with_silence), dtype="<i2")
        assert LETTERS.said(samples) == ["The first sentence.", "The second one."]
        assert len(samples) == len(audio_of(without)) // 2 + LETTERS.rate
        assert silences(samples)[1] == pytest.approx(LETTERS.rate, abs=2)
        middle = slice(samples.tobytes().index(bytes(LETTERS.rate)), None)
        assert audio_of(with_silence)[: middle.start] == audio_of(without)[: middle.start]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_an_open_stream_with_an_error_and_exits_cleanly(number: signal.Signals) -> None:
    flags = (*SPEAKS_LETTERS, "--shutdown-grace", "0.2")
    async with server_process(*flags) as server, AsyncTcpClient("127.0.0.1", server.port) as client:
        await client.write_event(SynthesizeStart().event())
        await client.write_event(SynthesizeChunk("A sentence that is spoken. And one that never").event())
        events = [await client.read_event()]
        while events[-1] is not None and events[-1].type != "audio-chunk":
            events.append(await client.read_event())
        server.process.send_signal(number)
        while events[-1] is not None:
            events.append(await client.read_event())
        await asyncio.wait_for(server.process.wait(), 5)
        log = await server.read_rest()
    types = [event.type for event in events if event is not None]
    assert types[-3:] == ["error", "audio-stop", "synthesize-stopped"]
    assert [event.data["code"] for event in events if event and event.type == "error"] == ["shutting_down"]
    assert server.process.returncode == 0
    assert "Traceback" not in log
    assert "destroyed" not in log
    assert "ResourceWarning" not in log


async def test_a_port_in_use_is_reported_in_one_line_with_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = await start_process("--uri", f"tcp://127.0.0.1:{port}", *SPEAKS_LETTERS)
        _, log = await process.communicate()
    assert process.returncode == 1
    (line,) = log.decode().splitlines()
    assert f"tcp://127.0.0.1:{port}" in line
    assert "--port" in line


async def test_an_invalid_setting_is_reported_in_one_line_with_exit_code_2() -> None:
    process = await start_process("--port", "seventy")
    _, log = await process.communicate()
    assert process.returncode == 2
    (line,) = log.decode().splitlines()
    assert "port" in line
    assert "'seventy'" in line
    assert "--port" in line
    assert "65535" in line


@pytest.mark.slow
async def test_say_reads_text_from_stdin_and_writes_a_wav_to_stdout() -> None:
    async with server_process(*SPEAKS_LETTERS) as server:
        process = await start_process("say", "--uri", server.uri, "--out", "-", stdin=PIPE)
        wav, log = await process.communicate(b"It is open.")
    assert process.returncode == 0, log.decode()
    assert wav[:4] == b"RIFF"
    assert LETTERS.said(np.frombuffer(wav[44:], dtype="<i2")) == ["It is open."]
    assert b"22050 Hz" in log
    assert b"first audio after" in log


@pytest.mark.slow
async def test_say_prints_the_words_that_a_server_tells_and_writes_their_times(tmp_path: Path) -> None:
    async with server_process("--voice", "espeak-en-us", "--data-dir", str(tmp_path), "--offline") as server:
        captions = str(tmp_path / "door.srt")
        process = await start_process(
            "say", "--uri", server.uri, "--karaoke", "--captions", captions, stdin=PIPE
        )
        shown, log = await process.communicate("The door is open. It is 4 °C.".encode())
    assert process.returncode == 0, log.decode()
    assert shown.decode() == "The door is open.\nIt is 4 °C.\n"
    written = await asyncio.to_thread(Path(captions).read_text, "utf-8")
    assert [cue.text for cue in parse_srt(written)] == [
        "The door is open.",
        "It is 4 °C.",
    ]


@pytest.mark.slow
async def test_say_without_a_server_fails_with_a_one_line_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        uri = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    process = await start_process("say", "Hello.", "--uri", uri)
    _, log = await process.communicate()
    assert process.returncode == 1
    assert len(log.decode().splitlines()) == 1


@pytest.mark.slow
async def test_voices_lists_the_installed_voices(tmp_path: Path) -> None:
    process = await start_process("voices", *SPEAKS_LETTERS, "--download-dir", str(tmp_path))
    out, _ = await process.communicate()
    assert process.returncode == 0
    names = [line.split()[0] for line in out.decode().splitlines()]
    assert {LETTERS.name, "de_DE-tones-low", "af_test", "espeak-en-us"} <= set(names)


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("wyoming_tts.server.app", {"gradio", "kokoro_onnx", "piper", "onnxruntime", "onnx"}),
        # The port is opened before anything else is imported.
        (
            "wyoming_tts.commands.cli",
            {"numpy", "httpx", "zeroconf", "wyoming", "sentence_stream", "wyoming_tts.server.app"},
        ),
    ],
)
def test_importing_the_module_loads_no_heavy_library(module: str, heavy: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not heavy & set(run.stdout.split())
