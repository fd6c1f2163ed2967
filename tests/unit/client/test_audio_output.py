from __future__ import annotations

import asyncio
import os
import shutil
import stat
import struct
import sys
import threading
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.client import (
    ClientError,
    OutputClosed,
    PlayerProcess,
    WavFile,
    WavStream,
    audio_output,
    open_wav_output,
)
from wyoming_tts.speech import AudioFormat

MONO = AudioFormat(22050)
PCM = bytes(range(256)) * 8


def file_names(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


# -- WAV ----------------------------------------------------------------------------------------


@given(
    st.builds(AudioFormat, rate=st.integers(1, 192000), channels=st.integers(1, 8)), st.integers(0, 1 << 31)
)
def test_a_wav_header_contains_format_and_lengths(audio_format: AudioFormat, data_bytes: int) -> None:
    header = audio_output.wav_header(audio_format, data_bytes)
    assert len(header) == 44
    assert header[:4] + header[8:16] + header[36:40] == b"RIFFWAVEfmt data"
    assert struct.unpack("<I", header[4:8]) == (data_bytes + 36,)
    frame = 2 * audio_format.channels
    assert struct.unpack("<IHHIIHH", header[16:36]) == (
        16,
        1,
        audio_format.channels,
        audio_format.rate,
        audio_format.rate * frame,
        frame,
        16,
    )
    assert struct.unpack("<I", header[40:]) == (data_bytes,)


async def test_a_wav_file_reads_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "door.wav"
    async with open_wav_output(str(path)) as out:
        await out.write(MONO, b"")
        await out.write(MONO, PCM)
        await out.write(MONO, PCM)
        assert not path.exists()
    with wave.open(str(path), "rb") as read:
        assert (read.getframerate(), read.getsampwidth(), read.getnchannels()) == (22050, 2, 1)
        assert read.getnframes() == len(PCM)
        assert read.readframes(len(PCM)) == PCM * 2
    assert path.stat().st_size == 44 + 2 * len(PCM)
    assert file_names(tmp_path) == [path.name]


async def test_a_wav_without_audio_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "blank.wav"
    async with WavFile(path) as out:
        await out.write(MONO, b"")
    with wave.open(str(path), "rb") as read:
        assert read.getnframes() == 0


async def test_a_failure_keeps_the_existing_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "door.wav"
    path.write_bytes(b"older")

    async def fail_midway() -> None:
        async with WavFile(path) as out:
            await out.write(MONO, PCM)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_midway()
    assert path.read_bytes() == b"older"
    assert file_names(tmp_path) == [path.name]


async def test_no_file_is_written_without_audio(tmp_path: Path) -> None:
    async with WavFile(tmp_path / "door.wav"):
        pass
    assert file_names(tmp_path) == []


async def test_an_unusable_output_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="is a directory"):
        open_wav_output(str(tmp_path))
    with pytest.raises(ClientError, match="No such file or directory"):
        async with open_wav_output(str(tmp_path / "none" / "door.wav")):
            pass


async def test_a_symbolic_link_is_kept_and_its_target_written(tmp_path: Path) -> None:
    (tmp_path / "real.wav").write_bytes(b"older")
    link = tmp_path / "link.wav"
    link.symlink_to("real.wav")
    async with WavFile(link) as out:
        await out.write(MONO, PCM)
    assert link.is_symlink()
    assert (tmp_path / "real.wav").stat().st_size == 44 + len(PCM)


async def test_a_symbolic_link_that_leads_to_itself_makes_way_for_the_file(tmp_path: Path) -> None:
    link = tmp_path / "circle.wav"
    link.symlink_to(link)
    async with open_wav_output(str(link)) as out:
        await out.write(MONO, PCM)
    assert link.stat().st_size == 44 + len(PCM)


async def test_a_streamed_wav_begins_with_a_header_of_unknown_length() -> None:
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe:  # noqa: ASYNC230, PTH123 -- the pipe buffers everything
        async with WavStream(writing, "pipe") as out:
            await out.write(MONO, b"")
            assert len(header := pipe.read(1000)) == 44
            await out.write(MONO, PCM)
            assert pipe.read(10_000) == PCM
        assert pipe.read() == b""
    assert header[4:8] == header[40:44] == b"\xff\xff\xff\xff"


async def test_the_wave_module_reads_a_streamed_wav_to_its_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    received: list[bytes] = []

    def read_fifo() -> None:
        with fifo.open("rb") as pipe, wave.open(pipe, "rb") as read:
            received.append(read.readframes(1 << 20))

    listener = threading.Thread(target=read_fifo)
    listener.start()
    async with open_wav_output(str(fifo)) as out:
        await out.write(MONO, PCM * 100)
    listener.join()
    assert received == [PCM * 100]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


async def test_a_pipe_closed_by_its_reader_raises_output_closed() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    async with WavStream(writing, "pipe") as out:
        with pytest.raises(OutputClosed):
            await out.write(MONO, PCM)


async def test_dash_writes_to_stdout_and_leaves_it_open(capfd: pytest.CaptureFixture[str]) -> None:
    async with open_wav_output("-") as out:
        await out.write(MONO, b"abcd")
    print("still open", file=sys.stdout)
    read = capfd.readouterr().out
    assert read.startswith("RIFF")
    assert read.endswith("abcdstill open\n")


def test_audio_is_not_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(ClientError, match="terminal"):
        open_wav_output("-")


# -- players ------------------------------------------------------------------------------------

CAT = shutil.which("cat")
SLEEP = shutil.which("sleep")


def write_program(directory: Path, name: str, body: str) -> None:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


async def play_forever(player: PlayerProcess) -> None:
    async with player as out:
        while True:
            await out.write(MONO, PCM)


async def test_a_player_gets_the_format_as_arguments_and_the_audio_on_stdin(
    bin_dir: Path, tmp_path: Path
) -> None:
    write_program(bin_dir, "aplay", f'echo "$@" > {tmp_path}/arguments\nexec {CAT} > {tmp_path}/heard')
    async with PlayerProcess() as out:
        assert out.name == "aplay"
        await out.write(MONO, b"")
        for _ in range(200):
            await out.write(MONO, PCM)
    assert (tmp_path / "heard").read_bytes() == PCM * 200
    assert (tmp_path / "arguments").read_text() == "-q -t raw -f S16_LE -r 22050 -c 1 -\n"


async def test_ffplay_gets_a_wav(bin_dir: Path, tmp_path: Path) -> None:
    write_program(bin_dir, "ffplay", f"exec {CAT} > {tmp_path}/heard")
    async with PlayerProcess() as out:
        await out.write(MONO, PCM)
        await out.write(MONO, PCM)
    assert (tmp_path / "heard").read_bytes() == audio_output.wav_header(MONO, None) + PCM * 2


def test_the_preferred_installed_player_is_used(bin_dir: Path) -> None:
    for name in ("play", "aplay", "paplay", "afplay"):
        write_program(bin_dir, name, "exit 0")
    assert PlayerProcess().name == "paplay"


def test_without_a_player_the_error_says_what_to_install(bin_dir: Path) -> None:
    write_program(bin_dir, "afplay", "exit 0")
    with pytest.raises(ClientError) as error:
        PlayerProcess()
    assert "aplay" in str(error.value)
    assert "Install" in str(error.value)
    assert "\n" not in str(error.value)


async def test_a_failing_player_is_reported_with_its_exit_code(bin_dir: Path) -> None:
    write_program(bin_dir, "aplay", "exit 3")
    with pytest.raises(ClientError, match="aplay ended with exit code 3"):
        await play_forever(PlayerProcess())


async def test_a_player_that_fails_at_the_end_is_reported(bin_dir: Path) -> None:
    write_program(bin_dir, "aplay", f"{CAT} > /dev/null\nexit 4")
    with pytest.raises(ClientError, match="exit code 4"):
        async with PlayerProcess() as out:
            await out.write(MONO, PCM)


async def test_a_player_closed_by_the_user_raises_output_closed(bin_dir: Path) -> None:
    write_program(bin_dir, "aplay", "exit 0")
    with pytest.raises(OutputClosed):
        await play_forever(PlayerProcess())


async def test_cancellation_terminates_a_player_that_does_not_read(bin_dir: Path) -> None:
    write_program(bin_dir, "aplay", f"exec {SLEEP} 50")
    full = asyncio.Event()
    player = PlayerProcess()

    async def play() -> None:
        async with player as out:
            await out.write(MONO, b"")
            full.set()
            while True:
                await out.write(MONO, PCM)

    playing = asyncio.create_task(play())
    async with asyncio.timeout(10):
        await full.wait()
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
    assert player._process is not None
    assert player._process.returncode == -15


async def test_a_player_is_not_started_without_audio(bin_dir: Path, tmp_path: Path) -> None:
    write_program(bin_dir, "aplay", f"echo > {tmp_path}/started")
    async with PlayerProcess():
        pass
    assert not (tmp_path / "started").exists()
