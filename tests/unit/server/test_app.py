"""The assembled server: the default voice is downloaded while requests are already served."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.parts import running_parts
from tests.support.server_process import SPEAKS_LETTERS, audio_of, server_process
from tests.support.tones import LETTERS, VOICES
from wyoming_tts.assembly.default_voice import preload_voices, warm_up
from wyoming_tts.engines.piper.engine import LoadedPiper
from wyoming_tts.server.speech_service import ServerSpeechService, server_load
from wyoming_tts.settings import SettingsError
from wyoming_tts.telemetry import prometheus  # noqa: F401 - a server imports it before it listens

FILES = (f"{LETTERS.name}.onnx", f"{LETTERS.name}.onnx.json")
REPOSITORY = "/rhasspy/piper-voices/resolve/main/"


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub() as hub:
        contents = {name: (VOICES / name).read_bytes() for name in FILES}
        hub.files = {REPOSITORY + name: content for name, content in contents.items()}
        described = {
            name: {
                "size_bytes": len(content),
                "md5_digest": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            }
            for name, content in contents.items()
        }
        index = {
            LETTERS.name: {
                "key": LETTERS.name,
                "name": "letters",
                "language": {"code": "en_US"},
                "quality": "low",
                "num_speakers": 1,
                "speaker_id_map": {},
                "files": described,
                "aliases": [],
            }
        }
        hub.files[f"{REPOSITORY}voices.json"] = json.dumps(index).encode()
        yield hub


def download_flags(hub: FakeHub, directory: Path) -> tuple[str, ...]:
    return (
        *("--voice", LETTERS.name, "--data-dir", str(directory), "--auto-punctuation", "none"),
        *("--update-voices", "--hub-endpoint", hub.url, "--noise-scale", "0", "--noise-w-scale", "0"),
    )


async def exchange(port: int, request: Event, last: str) -> list[Event]:
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(request)
        events: list[Event] = []
        while not events or events[-1].type != last:
            event = await client.read_event()
            assert event is not None
            events.append(event)
    return events


async def voice_names(port: int) -> set[str]:
    (event,) = await exchange(port, Describe().event(), "info")
    return {voice.name for voice in Info.from_event(event).tts[0].voices}


@pytest.mark.slow
async def test_a_request_waits_until_the_default_voice_is_downloaded(hub: FakeHub, tmp_path: Path) -> None:
    held = Behaviour(hold_after=1000)
    hub.plan.extend([Behaviour(), held])  # the index, then the first file of the voice
    async with server_process(*download_flags(hub, tmp_path)) as server:
        await held.held.wait()
        assert LETTERS.name not in await voice_names(server.port)
        waiting = asyncio.create_task(
            exchange(server.port, Synthesize("The door is open.").event(), "audio-stop")
        )
        held.released.set()
        samples = np.frombuffer(audio_of(await waiting), dtype="<i2")
        assert LETTERS.said(samples) == ["The door is open."]
        assert LETTERS.name in await voice_names(server.port)


@pytest.mark.slow
async def test_a_voice_whose_model_was_unloaded_speaks_again(tmp_path: Path) -> None:
    voice = ("--voice", LETTERS.name, "--data-dir", str(VOICES), "--auto-punctuation", "none")
    flags = (
        *voice,
        "--offline",
        "--state-dir",
        str(tmp_path),
        "--cache-memory",
        "0",
        "--unload-after",
        "0.1",
    )
    async with server_process(*flags, "--noise-scale", "0", "--noise-w-scale", "0") as server:
        for _ in range(2):
            await server.read_until(f"Unloading .*{LETTERS.name}")
            events = await exchange(server.port, Synthesize("The door is open.").event(), "audio-stop")
            assert LETTERS.said(np.frombuffer(audio_of(events), dtype="<i2")) == ["The door is open."]


@pytest.mark.slow
async def test_the_embedded_voice_speaks_at_once_when_the_hub_is_unreachable(tmp_path: Path) -> None:
    async with FakeHub() as gone:
        url = gone.url
    flags = ("--data-dir", str(tmp_path), "--hub-endpoint", url)
    async with server_process(*flags) as server:
        await server.read_until("Ready: espeak-en-us")
        events = await exchange(server.port, Synthesize("The door is open.").event(), "audio-stop")
    samples = np.frombuffer(audio_of(events), dtype="<i2")
    assert 0.8 < len(samples) / 22_050 < 2.5
    assert np.sqrt(np.mean(np.square(samples / 32768.0))) > 0.02
    assert [line for line in server.log if "Until it is installed, espeak-en-us speaks" in line]


async def test_the_default_voice_can_be_given_as_a_file_path(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).write_bytes((VOICES / name).read_bytes())
    async with running_parts(voice=str(tmp_path / FILES[0]), data_dir=[tmp_path / "elsewhere"]) as parts:
        assert parts.library.default_is_installed
        assert (await parts.synthesizer.warm_up()).voice.name == LETTERS.name


async def test_selecting_an_engine_selects_its_voices_and_default_voice() -> None:
    async with running_parts(engine="kokoro") as parts:
        assert {voice.engine for voice in parts.library.voices} == {"kokoro", "espeak"}


async def test_an_engine_that_is_not_installed_is_refused_and_the_installed_ones_are_listed() -> None:
    with pytest.raises(SettingsError, match=r"'flite'.*auto, espeak, kokoro, piper"):
        async with running_parts(engine="flite"):
            pass


async def test_a_voice_that_fails_to_warm_up_does_not_stop_the_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such operator")

    monkeypatch.setattr(LoadedPiper, "calibration_segment", fail)
    async with running_parts() as parts:
        await warm_up(parts)
    assert "No voice is ready." in caplog.text
    assert "no such operator" in caplog.text


async def test_preloaded_voices_are_in_memory_in_order_and_an_unknown_name_is_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_parts(preload=["nobody", "de_DE-tones-low", "en_US-tone-low"]) as parts:
        await warm_up(parts)
        service, caplog.handler.level = ServerSpeechService(parts), logging.WARNING
        assert service.health().voices_loaded == 1
        await preload_voices(parts)
        health, status = service.health(), await service.status()
        load = await asyncio.to_thread(server_load, parts)  # where the first one imports the metrics
        expected = [FILES[0], "de_DE-tones-low.onnx", "en_US-tone-low.onnx"]
        assert [Path(model).name for model in parts.loaded.models] == expected
    assert ["nobody" in record.message for record in caplog.records] == [True]
    assert (health.device, health.voices_loaded, "piper" in health.engines) == ("cpu", 3, True)
    assert load.voices["piper"] == 3
    assert isinstance(status["peak_memory_bytes"], int)
    assert status["peak_memory_bytes"] > 10_000_000


async def test_preloading_displaces_no_model(caplog: pytest.LogCaptureFixture) -> None:
    async with running_parts(preload=["de_DE-tones-low"], max_loaded_voices=1) as parts:
        await warm_up(parts)
        await preload_voices(parts)
        assert [Path(model).name for model in parts.loaded.models] == [FILES[0]]
    assert "de_DE-tones-low is not preloaded: max_loaded_voices are in memory." in caplog.text


async def agent_line(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    line = await reader.read()
    writer.close()
    return line.decode()


async def test_the_agent_tells_haproxy_weight_and_drain_on_sigterm() -> None:
    flags = ("--agent-port", "0", "--shutdown-grace", "30")
    async with asyncio.timeout(60), server_process(*SPEAKS_LETTERS, *flags) as server:
        port = int((await server.read_until(r"agent listens on port (\d+)"))[1])
        while await agent_line(port) != "ready 100%\n":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        async with AsyncTcpClient("127.0.0.1", server.port) as client:
            await client.write_event(SynthesizeStart().event())
            await client.write_event(SynthesizeChunk("One sentence. And").event())
            while (event := await client.read_event()) is None or event.type != "audio-chunk":
                assert event is not None
            server.process.terminate()
            while await agent_line(port) != "drain\n":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await client.write_event(SynthesizeStop().event())
            while (event := await client.read_event()) is not None and event.type != "synthesize-stopped":
                pass
        assert await server.process.wait() == 0
