"""`wyoming-tts voices …` with its arguments as users type them, on test voices and a hub on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from wyoming_tts.commands.cli import main
from wyoming_tts.voices.catalogue import INDEX_NAME

BIG = "en_US-big-low"
MODEL = bytes(range(256)) * 16_000
CONFIG = (VOICES / f"{LOW.name}.onnx.json").read_bytes()
CTRL_C_WORKS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from wyoming_tts.commands.cli import main
sys.exit(main())
"""


@pytest.fixture(autouse=True)
def isolated_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's own settings."""
    for name in tuple(os.environ):
        if name.startswith(("WYOMING_TTS_", "HF_")) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with all test voices, one of which is in the catalogue."""
    directory = tmp_path / "data"
    directory.mkdir()
    for path in [*VOICES.glob("*.onnx"), *VOICES.glob("*.json"), *VOICES.glob("*.bin")]:
        shutil.copy(path, directory)
    write_index(directory, {LOW.name: installed_files(LOW.name)})
    return directory


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub() as hub:
        yield hub


def installed_files(name: str) -> dict[str, bytes]:
    return {ending: (VOICES / f"{name}{ending}").read_bytes() for ending in (".onnx", ".onnx.json")}


def write_index(directory: Path, voices: dict[str, dict[str, bytes]]) -> None:
    """Write an index as upstream does, which makes these voices known."""
    entries = {
        name: {
            "language": {"code": "en_US"},
            "quality": "low",
            "num_speakers": 1,
            "aliases": [name.lower().replace("_", "-")],
            "files": {
                f"x/{name}{ending}": {
                    "size_bytes": len(content),
                    "md5_digest": hashlib.md5(content).hexdigest(),
                }
                for ending, content in files.items()
            },
        }
        for name, files in voices.items()
    }
    (directory / INDEX_NAME).write_text(json.dumps(entries))


def publish_voices(hub: FakeHub, directory: Path, *names: str) -> None:
    """Add voices to the hub and to the catalogue."""
    voices = {name: {".onnx": MODEL + name.encode(), ".onnx.json": CONFIG} for name in names}
    write_index(directory, voices)
    for name, files in voices.items():
        for ending, content in files.items():
            hub.files[f"/rhasspy/piper-voices/resolve/main/x/{name}{ending}"] = content


def voices(data: Path, *words: str) -> int:
    return main(["voices", *words, "--data-dir", str(data)])


async def download(hub: FakeHub, directory: Path, *words: str) -> int:
    flags = ("--data-dir", str(directory), "--hub-endpoint", hub.url)
    return await asyncio.to_thread(main, ["voices", "download", *words, *flags])


def parse_output(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# -- list ---------------------------------------------------------------------------------------


def test_list_contains_installed_and_available_voices(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voices(data, "list", "--json") == 0
    listed = {voice["name"]: voice for voice in parse_output(capsys)["voices"]}
    assert listed[TONES.name] | {"installed": True, "speakers": 3, "engine": "piper"} == listed[TONES.name]
    assert not listed["de_DE-thorsten-low"]["installed"]
    assert listed["de_DE-thorsten-low"]["size"] > 1_000_000
    assert listed["espeak-de"]["engine"] == "espeak"
    assert listed["af_heart"]["in_catalogue"]
    assert listed["af_heart"]["sample_rate"] == 24000
    assert not listed["af_heart"]["installed"]


@pytest.mark.parametrize(
    "words",
    [
        ("--language", "de", "--installed", "--engine", "piper"),
        ("list", "--language", "de-de", "--installed", "--engine", "piper"),
        ("--installed", "--language", "de", "list", "--engine", "piper"),
    ],
)
def test_list_filters_work_with_and_without_the_list_word(
    words: tuple[str, ...], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(data, *words) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["Name", TONES.name]


def test_listing_an_unavailable_language_is_an_error(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voices(data, "--language", "xx") == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "'xx'" in output.err


def test_a_broken_voice_is_listed_with_its_reason(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncate(data / f"{LOW.name}.onnx")
    assert voices(data, "list", "--json") == 0
    listed = parse_output(capsys)
    assert [Path(each["path"]).name for each in listed["broken"]] == [f"{LOW.name}.onnx"]
    assert "not complete" in listed["broken"][0]["reason"]


@pytest.mark.parametrize("words", [["voices", "download"], ["voices", "fetch"], ["voices", "list", "x"]])
def test_usage_errors_exit_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2


# -- download -----------------------------------------------------------------------------------


async def test_voices_are_downloaded_by_name_alias_and_prefix_despite_unknown_ones(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_voices(hub, tmp_path, "en_XX-one-low", "en_XX-two-low", "en_XX-three-low")
    names = ("en_XX-one-low", "en-xx-two-low", "en_XX-thr", "en_XX-t", "nobody")
    assert await download(hub, tmp_path, *names, "--json") == 1
    output = capsys.readouterr()
    outcomes = {each["name"]: each for each in json.loads(output.out)["voices"]}
    assert {name: each["state"] for name, each in outcomes.items()} == {
        "en_XX-one-low": "fetched",
        "en_XX-two-low": "fetched",
        "en_XX-three-low": "fetched",
        "en_XX-t": "failed",
        "nobody": "failed",
    }
    assert "Choose one of en_XX-three-low, en_XX-two-low" in outcomes["en_XX-t"]["error"]
    assert "'nobody'" in output.err
    for name in ("one", "two", "three"):
        assert (tmp_path / f"en_XX-{name}-low.onnx").read_bytes() == MODEL + f"en_XX-{name}-low".encode()


async def test_a_failed_download_does_not_affect_the_others(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_voices(hub, tmp_path, "en_XX-one-low", "en_XX-two-low")
    del hub.files["/rhasspy/piper-voices/resolve/main/x/en_XX-one-low.onnx"]
    assert await download(hub, tmp_path, "en_XX-one-low", "en_XX-two-low") == 1
    output = capsys.readouterr()
    assert "en_XX-one-low: " in output.err
    assert "404" in output.err
    assert output.out.startswith("Downloaded en_XX-two-low, 4.1 MB")
    assert not (tmp_path / "en_XX-one-low.onnx").exists()


async def test_a_voice_installed_in_another_directory_is_not_downloaded(
    hub: FakeHub, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(data / INDEX_NAME, elsewhere)
    flags = ("--download-dir", str(elsewhere))
    assert await download(hub, data, LOW.name, *flags) == 0
    assert capsys.readouterr().out == f"{LOW.name} is installed already, in {data}.\n"
    assert hub.connections == 0


def test_any_kokoro_model_is_sufficient_unless_a_precision_is_requested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    int8, pack = ("kokoro-v1.0.int8.onnx", 92361271), ("voices-v1.0.bin", 28214398)
    for name, size in (int8, pack):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert voices(tmp_path, "download", "af_heart", "--offline") == 0
    assert capsys.readouterr().out == f"af_heart is installed already, in {tmp_path}.\n"
    assert voices(tmp_path, "download", "af_heart", "--offline", "--precision", "fp16") == 1


async def test_offline_mode_downloads_nothing(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_voices(hub, tmp_path, BIG)
    assert await download(hub, tmp_path, BIG, "--offline") == 1
    assert "--offline" in capsys.readouterr().err
    assert hub.connections == 0


@pytest.mark.slow
async def test_an_interrupted_download_is_resumed_by_the_next_command(hub: FakeHub, tmp_path: Path) -> None:
    publish_voices(hub, tmp_path, BIG)
    held = Behaviour(hold_after=3_000_000)
    hub.plan.extend([Behaviour(), held])
    process = await start_download(hub, tmp_path)
    assert process.stderr is not None
    part = tmp_path / f"{BIG}.onnx.part"
    async with asyncio.timeout(30):
        await held.held.wait()
        while not (part.exists() and part.stat().st_size):  # noqa: ASYNC110 - a written block has no event
            await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    log = await process.stderr.read()
    assert await process.wait() == 130
    assert b"to resume" in log
    assert b"Traceback" not in log
    kept = part.stat().st_size
    assert 1024 * 1024 <= kept <= 3_000_000
    assert not (tmp_path / f"{BIG}.onnx").exists()

    process = await start_download(hub, tmp_path)
    out, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    assert out.startswith(b"Downloaded")
    assert hub.requests_for(".onnx")[-1].offset == kept
    assert (tmp_path / f"{BIG}.onnx").read_bytes() == MODEL + BIG.encode()
    assert not part.exists()


async def start_download(hub: FakeHub, directory: Path) -> Process:
    flags = ("--data-dir", str(directory), "--hub-endpoint", hub.url)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CTRL_C_WORKS, "voices", "download", BIG, *flags),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )


# -- verify -------------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_bit(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_verify_accepts_intact_files(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voices(data, "verify", "--json") == 0
    files = {Path(each["path"]).name: each for each in parse_output(capsys)["files"]}
    assert {each["state"] for each in files.values()} == {"whole"}
    assert files[f"{LOW.name}.onnx"]["is_known"]
    assert not files[f"{TONES.name}.onnx"]["is_known"]
    assert len(files["voices-tones.bin"]["voices"]) == 5


def test_verify_finds_a_changed_byte(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = data / f"{LOW.name}.onnx"
    flip_bit(model, model.read_bytes().index(b"input_lengths"))
    assert voices(data, "verify", LOW.name, "--json") == 1
    output = capsys.readouterr()
    states = {Path(each["path"]).name: each for each in json.loads(output.out)["files"]}
    assert states[f"{LOW.name}.onnx"]["state"] == "broken"
    assert "md5" in states[f"{LOW.name}.onnx"]["reason"]
    assert states[f"{LOW.name}.onnx.json"]["state"] == "whole"
    assert "voices download" in output.err


@pytest.mark.parametrize("name", [LOW.name, TONES.name, "kokoro-tones"])
def test_verify_finds_a_truncated_model(name: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truncate(data / f"{name}.onnx")
    assert voices(data, "verify") == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if f"{name}.onnx " in line)
    assert "broken: the model is not complete" in line


def test_verify_reports_an_edited_configuration_without_failing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = data / f"{LOW.name}.onnx.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "mine": 1}))
    assert voices(data, "verify", LOW.name) == 0
    assert "changed: it has" in capsys.readouterr().out


def test_verifying_a_voice_that_is_not_installed_fails(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(data, "verify", "af_heart", "nobody", LETTERS.name) == 1
    output = capsys.readouterr()
    assert "af_heart is not installed" in output.err
    assert "'nobody'" in output.err
    assert LETTERS.name in output.out


# -- remove -------------------------------------------------------------------------------------


def file_names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_remove_deletes_only_the_files_of_the_voice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = data / f"{LOW.name}.onnx.part"
    part.write_bytes(b"left over")
    before = file_names(data)
    assert voices(data, "remove", LOW.name.lower().replace("_", "-"), "--json") == 0
    gone = {f"{LOW.name}.onnx", f"{LOW.name}.onnx.json", part.name}
    assert before - file_names(data) == gone
    output = parse_output(capsys)
    assert output["removed"] == [LOW.name]
    assert {Path(path).name for path in output["deleted"]} == gone


def test_remove_keeps_files_that_other_voices_use(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file_names(data)
    assert voices(data, "remove", "af_test", "am_test", "--json") == 1
    output = capsys.readouterr()
    assert file_names(data) == before
    kept = json.loads(output.out)["kept"]
    assert {Path(each["path"]).name for each in kept} == {"kokoro-tones.onnx", "voices-tones.bin"}
    assert "bf_test" in kept[0]["users"]
    assert json.loads(output.out)["removed"] == []
    assert "is kept: it is also used by bf_test, ef_test, ff_test." in output.err


def test_voices_that_share_a_file_can_be_removed_together(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = file_names(data)
    assert voices(data, "remove", "kokoro", LOW.name) == 0
    assert {"kokoro-tones.onnx", "voices-tones.bin"} < before - file_names(data)
    assert "Removed ff_test.\n" in capsys.readouterr().out


def test_remove_reports_every_name_that_cannot_be_removed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "models")
    for path in (data / "kokoro-tones.onnx", data / "voices-tones.bin"):
        path.unlink()
    before = file_names(data)
    wrong = ["espeak-de", "nobody", "en_US-lessac-medium", "kokoro"]
    elsewhere = ("--kokoro-model", str(tmp_path / "models" / "kokoro-tones.onnx"))
    pack = ("--kokoro-voices", str(tmp_path / "models" / "voices-tones.bin"))
    assert voices(data, "remove", *wrong, TONES.name, *elsewhere, *pack) == 1
    output = capsys.readouterr().err
    assert "espeak-de is built in" in output
    assert "no voice 'nobody'" in output
    assert "en_US-lessac-medium is not installed" in output
    assert f"is in {tmp_path / 'models'}, which is not a data directory" in output
    assert before - file_names(data) == {f"{TONES.name}.onnx", f"{TONES.name}.onnx.json"}
    assert (tmp_path / "models" / "kokoro-tones.onnx").exists()


def test_a_broken_voice_can_be_removed(data: Path) -> None:
    truncate(data / f"{LETTERS.name}.onnx")
    assert voices(data, "remove", LETTERS.name) == 0
    assert not {f"{LETTERS.name}.onnx", f"{LETTERS.name}.onnx.json"} & file_names(data)


def test_a_partial_download_can_be_removed(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = data / "de_DE-thorsten-low.onnx.part"
    part.write_bytes(b"half")
    assert voices(data, "remove", "de_DE-thorsten-low") == 0
    assert not part.exists()
    assert voices(data, "remove", "de_DE-thorsten-low") == 1
    assert "not installed" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "flags", "code"), [("n", (), 1), ("y", (), 0), ("", ("--yes",), 0)])
def test_remove_asks_for_confirmation_on_a_terminal(
    answer: str, flags: tuple[str, ...], code: int, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    assert voices(data, "remove", LOW.name, *flags) == code
    assert (data / f"{LOW.name}.onnx").exists() == bool(code)


# -- info ---------------------------------------------------------------------------------------


def test_info_describes_an_installed_voice(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voices(data, "info", "en_US-tone", "--json") == 0
    facts = parse_output(capsys)
    assert facts["name"] == LOW.name
    assert facts["installed"]
    assert facts["sample_rate"] == LOW.rate
    assert facts["aliases"] == ["en-us-tone-low"]
    assert [Path(file["path"]).name for file in facts["files"]] == [
        f"{LOW.name}.onnx",
        f"{LOW.name}.onnx.json",
    ]
    assert facts["downloads"][0]["digest"].startswith("md5:")


def test_info_lists_the_speakers(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert voices(data, "info", TONES.name) == 0
    assert "speaker names: anna, bert, clara\n" in capsys.readouterr().out


def test_info_shows_the_progress_of_a_download(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "de_DE-thorsten-low.onnx.part").write_bytes(bytes(1234))
    assert voices(data, "info", "de_DE-thorsten-low", "--json") == 0
    facts = parse_output(capsys)
    assert not facts["installed"]
    assert facts["downloads"][0]["bytes_so_far"] == 1234


def test_info_explains_why_a_voice_is_broken(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / f"{TONES.name}.onnx.json").write_text("{")
    assert voices(data, "info", TONES.name) == 0
    output = capsys.readouterr().out
    assert "installed:     no" in output
    assert "json is broken" in output


@pytest.mark.parametrize(
    ("name", "resolved"),
    [("butler", TONES.name), ("female", "af_test"), (f"{TONES.name}#bert", TONES.name)],
)
def test_info_resolves_aliases_and_mapped_names(
    name: str, resolved: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(data, "info", name, "--json", "--voice-map", f"butler={TONES.name}") == 0
    assert parse_output(capsys)["name"] == resolved


def test_info_of_an_unknown_voice_suggests_the_closest_name(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(data, "info", "en_US-tony-low") == 1
    assert LOW.name in capsys.readouterr().err


# -- import-piper -------------------------------------------------------------------------------


def test_import_piper_adds_the_directory_to_the_settings_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(f"# mine\ndata_dir: [{tmp_path}]\n")
    assert main(["voices", "import-piper", str(data), "--config", str(config), "--json"]) == 0
    output = parse_output(capsys)
    assert output["voices"] == sorted([LOW.name, TONES.name, LETTERS.name])
    assert output["written"] == str(config)
    assert config.read_text().startswith("# mine\n")
    assert str(data) in config.read_text()


def test_import_piper_creates_a_missing_settings_file(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "new.yaml"
    own = ["--data-dir", str(tmp_path / "own")]
    assert main(["voices", "import-piper", str(data), "--config", str(config), *own]) == 0
    assert str(data) in config.read_text()
    assert str(config) in capsys.readouterr().out


def test_import_piper_without_a_settings_file_prints_the_flags(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["voices", "import-piper", str(data), "--data-dir", str(tmp_path)]) == 0
    assert f"--data-dir {tmp_path} --data-dir {data}." in capsys.readouterr().out


def test_import_piper_refuses_a_directory_without_voices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voices(tmp_path, "import-piper", str(tmp_path / "nothing")) == 1
    assert "cannot be read" in capsys.readouterr().err
