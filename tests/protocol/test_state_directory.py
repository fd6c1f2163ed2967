"""What a server records lies in its state directory; a data directory may be shared, or a checkout."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from wyoming.client import AsyncTcpClient
from wyoming.tts import Synthesize

from tests.support.server_process import RunningServer, server_process
from tests.support.tones import LETTERS, VOICES


def copied_voice(directory: Path) -> Path:
    directory.mkdir()
    for ending in (".onnx", ".onnx.json"):
        shutil.copy(VOICES / f"{LETTERS.name}{ending}", directory)
    return directory


def flags(data: Path, state: Path) -> tuple[str, ...]:
    directories = ("--data-dir", str(data), "--state-dir", str(state))
    return ("--voice", LETTERS.name, "--offline", "--metrics", *directories)


async def stop(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGTERM)
    await server.read_rest()
    assert await server.process.wait() == 0


async def speak(port: int) -> None:
    async with AsyncTcpClient("127.0.0.1", port) as client:
        await client.write_event(Synthesize("The door is open.").event())
        while (event := await client.read_event()) is not None and event.type != "audio-stop":
            pass


async def test_a_server_writes_nothing_into_its_data_directory(tmp_path: Path) -> None:
    data, state = copied_voice(tmp_path / "data"), tmp_path / "state"
    before = sorted(data.iterdir())
    async with server_process(*flags(data, state)) as server:
        await speak(server.port)
        await stop(server)
    assert sorted(data.iterdir()) == before
    assert {path.name for path in state.iterdir()} == {"metrics.jsonl", "voice_costs.json"}


async def test_a_journal_in_the_data_directory_is_moved_and_continued(tmp_path: Path) -> None:
    data, state = copied_voice(tmp_path / "data"), tmp_path / "state"
    (data / "metrics.jsonl").write_text('{"time": 1}\n', "utf-8")
    (data / "metrics.jsonl.1").write_text('{"time": 0}\n', "utf-8")
    async with server_process(*flags(data, state)) as server:
        await speak(server.port)
        await stop(server)
    assert not list(data.glob("metrics*"))
    assert (state / "metrics.jsonl.1").read_text("utf-8") == '{"time": 0}\n'
    first, second = (state / "metrics.jsonl").read_text("utf-8").splitlines()
    assert first == '{"time": 1}'
    assert LETTERS.name in second
