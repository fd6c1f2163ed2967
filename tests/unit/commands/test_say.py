"""`say`: captions and karaoke, spoken by the embedded voice in this process, or by a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from blockbuster import BlockBuster

from tests.support.timed_words import parse_srt, parse_vtt
from wyoming_tts import client
from wyoming_tts.commands import cli
from wyoming_tts.commands.karaoke import Karaoke, make_karaoke
from wyoming_tts.speech import AudioFormat

TEXT = "It is 4 °C outside. Please shut the door!"

Say = Callable[..., int]


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blockbuster: BlockBuster) -> Iterator[Say]:
    """Run `say` in a directory without voices and a network without servers."""
    blockbuster.deactivate()  # a command may block on its own files

    async def discover_nothing() -> None:
        return None

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(client, "discover_tts_server", discover_nothing)
    monkeypatch.setenv("WYOMING_TTS_URI", "stdio://")
    flags = ["--voice", "espeak-en-us", "--data-dir", str(tmp_path), "--download-dir", str(tmp_path)]

    def run(*arguments: str) -> int:
        return cli.main(["say", TEXT, *flags, "--state-dir", str(tmp_path), "--offline", *arguments])

    yield run
    blockbuster.activate()


def test_captions_are_written_in_the_format_of_the_files_name(say: Say, tmp_path: Path) -> None:
    for name in ("door.srt", "door.VTT", "door.json"):
        assert say("--captions", name) == 0
    expected = ["It is 4 °C outside.", "Please shut the door!"]
    srt = parse_srt((tmp_path / "door.srt").read_text("utf-8"))
    vtt = parse_vtt((tmp_path / "door.VTT").read_text("utf-8"))
    told = json.loads((tmp_path / "door.json").read_text("utf-8"))["captions"]
    assert [cue.text for cue in srt] == [cue.text for cue in vtt] == expected
    assert [caption["text"] for caption in told] == expected
    assert [word["text"] for word in told[0]["words"]] == ["It", "is", "4 °C", "outside"]


def test_captions_and_sound_are_of_the_same_length(say: Say, tmp_path: Path) -> None:
    assert say("--captions", "door.json", "--out", "door.wav") == 0
    wav = (tmp_path / "door.wav").read_bytes()
    rate = int(np.frombuffer(wav[24:28], "<u4")[0])
    told = json.loads((tmp_path / "door.json").read_text("utf-8"))
    assert told["duration"] == pytest.approx((len(wav) - 44) / 2 / rate, abs=0.001)
    assert told["captions"][-1]["words"][-1]["end_time"] <= told["duration"]


def test_karaoke_prints_the_words_a_sentence_a_line(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("--karaoke") == 0
    assert capsys.readouterr().out == "It is 4 °C outside.\nPlease shut the door!\n"


def test_karaoke_beside_sound_on_standard_output_prints_to_standard_error(
    say: Say, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert say("--karaoke", "--out", "-") == 0
    output = capfdbinary.readouterr()
    assert output.out[:4] == b"RIFF"
    assert "It is 4 °C outside.\nPlease shut the door!\n" in output.err.decode()


@pytest.mark.parametrize("name", ["door.txt", "door", ".srt", "door.srt.gz"])
def test_another_ending_is_a_usage_error_before_anything_is_spoken(
    say: Say, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say("--captions", name, "--out", "door.wav") == 2
    assert "expected a name that ends in .srt, .vtt or .json" in capsys.readouterr().err
    assert not Path("door.wav").exists()


def test_explaining_has_no_times(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("--explain", "--captions", "door.srt") == 2
    assert "--explain does not speak" in capsys.readouterr().err


def test_captions_that_cannot_be_written_are_reported(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "door.srt").mkdir()
    assert say("--captions", "door.srt") == 1
    assert "Cannot write door.srt" in capsys.readouterr().err


def test_a_server_that_tells_no_words_is_said_to(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def speak(_: str, pieces: object, *, on_audio: client.OnAudio, **__: object) -> client.SpeechReport:
        meter = client.SpeechMeter()
        meter.mark_text_sent()
        await on_audio(AudioFormat(16_000), bytes(32_000))
        meter.add_audio(AudioFormat(16_000), bytes(32_000))
        return meter.report()

    monkeypatch.setattr(client, "speak", speak)
    assert cli.main(["say", TEXT, "--uri", "tcp://127.0.0.1:1", "--captions", "door.vtt"]) == 0
    assert (tmp_path / "door.vtt").read_text() == "WEBVTT\n\n"
    assert "Nobody told when the words sound" in capsys.readouterr().err


def test_karaoke_ends_with_the_player_that_is_closed(
    say: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    player = tmp_path / "paplay"
    player.write_text("#!/bin/sh\nexec head -c 4000 > /dev/null\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert say("--karaoke", "--play", "--speed", "0.25") == 0  # more than fits into the pipe
    output = capsys.readouterr()
    assert "door" not in output.out
    assert "cut short" in output.err


def test_no_color_keeps_the_words_of_a_terminal_plain(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bool] = []

    def make(stream: TextIO, *, is_played: bool, colours: bool) -> Karaoke:
        shown.append(colours)
        return make_karaoke(stream, is_played=is_played, colours=colours)

    monkeypatch.setattr("wyoming_tts.commands.say.make_karaoke", make)
    for value in ("", "1"):
        monkeypatch.setenv("NO_COLOR", value)
        assert say("--karaoke") == 0
    assert shown == [True, False]


class TestServer:
    """Which server `say` speaks through."""

    @pytest.fixture(autouse=True)
    def servers(self, say: Say, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Have a server found on the network, one answer on this machine, and nothing really be spoken."""
        spoke: list[str] = []

        async def speak(uri: str, _: object, **__: object) -> client.SpeechReport:
            spoke.append(uri)
            return client.SpeechMeter().report()

        async def discover() -> client.DiscoveredServer:
            return client.DiscoveredServer("Kitchen", "tcp://192.0.2.7:10200", ("192.0.2.7",))

        async def has_tts(uri: str) -> bool:
            return uri == "tcp://127.0.0.1:10871"

        monkeypatch.delenv("WYOMING_TTS_URI")
        for function, replacement in (
            ("speak", speak),
            ("discover_tts_server", discover),
            ("has_tts", has_tts),
        ):
            monkeypatch.setattr(client, function, replacement)
        return spoke

    @pytest.mark.parametrize(
        ("flags", "server"),
        [
            ("--port 10871", "tcp://127.0.0.1:10871"),
            ("--host 192.0.2.9", "tcp://192.0.2.9:10200"),
            ("--host fd00::5 --port 7", "tcp://[fd00::5]:7"),
            ("--uri tcp://192.0.2.9:5", "tcp://192.0.2.9:5"),
            ("", "tcp://192.0.2.7:10200"),
            ("--voice de_DE-thorsten-low --speaker 3", "tcp://192.0.2.7:10200"),
        ],
    )
    def test_flags_name_it(self, servers: list[str], flags: str, server: str) -> None:
        assert cli.main(["say", TEXT, *flags.split()]) == 0
        assert servers == [server]

    def test_the_one_on_this_machine_comes_before_those_of_the_network(
        self, servers: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("WYOMING_TTS_PORT", "10871")
        assert cli.main(["say", TEXT]) == 0
        assert servers == ["tcp://127.0.0.1:10871"]
        assert "The server on this machine speaks: tcp://127.0.0.1:10871" in capsys.readouterr().err

    def test_flags_that_no_server_takes_have_the_text_spoken_in_this_process(
        self, say: Say, servers: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert say("--speed", "1.5") == 0
        assert servers == []
        assert "--data-dir is given, which a server does not take" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            ("--uri tcp://192.0.2.9:5 --speed 2", "--speed does not reach the server tcp://192.0.2.9:5"),
            ("--port 5 --data-dir /srv", "--data-dir does not reach the server tcp://127.0.0.1:5"),
            ("--uri tcp://192.0.2.9:5 --port 6", "--uri already says which server"),
        ],
    )
    def test_flags_that_contradict_it_are_refused(
        self, servers: list[str], capsys: pytest.CaptureFixture[str], flags: str, message: str
    ) -> None:
        assert cli.main(["say", TEXT, *flags.split()]) == 2
        assert message in capsys.readouterr().err
        assert servers == []
