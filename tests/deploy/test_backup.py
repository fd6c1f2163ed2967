"""deploy/backup and deploy/restore: a round trip into a running server, and refusal of invalid archives."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from wyoming.event import Event

from tests.support.server_process import SPEAKS_LETTERS, server_process
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from tests.support.wyoming_client import WyomingTestClient, pcm_of
from wyoming_tts.text.lexicon.hot_reload import FILE_NAME as LEXICON
from wyoming_tts.text.normalization.registry import FILE_NAME as SPOKEN
from wyoming_tts.voices.blends.store import FILE_NAME as BLENDS
from wyoming_tts.voices.catalogue import INDEX_NAME as INDEX
from wyoming_tts.voices.styles import STYLES_DIRECTORY
from wyoming_tts.voices.watching import VOICE_FILES

DEPLOY = Path(__file__).parents[2] / "deploy"
BACKUP, RESTORE = DEPLOY / "backup", DEPLOY / "restore"
ROOT = "wyoming-tts-backup"
PROGRAM = Path(sys.executable).parent / "wyoming-tts"
MODEL, PACK = KOKORO_FILES = ("kokoro-tones.onnx", "voices-tones.bin")
LETTERS_FILES = (f"{LETTERS.name}.onnx", f"{LETTERS.name}.onnx.json")
POLL_SECONDS = 0.05
"""Seconds between polls: a server does not notify clients of new files."""
OLD, NEWER = 1_700_000_000, 1_700_000_100
TIMEOUT = 45.0


def run_command(*words: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS")}
    return subprocess.run(
        words, input=given, capture_output=True, check=False, env=environ | {"WYOMING_TTS": str(PROGRAM)}
    )


def backup(data: Path, archive: Path, *flags: str) -> str:
    completed = run_command(BACKUP, *flags, data, archive)
    assert completed.returncode == 0, completed.stderr.decode()
    return completed.stderr.decode()


def restore(archive: Path, data: Path, *flags: str) -> tuple[int, str]:
    completed = run_command(RESTORE, *flags, archive, data)
    return completed.returncode, completed.stderr.decode()


def contents(directory: Path) -> dict[str, bytes]:
    """The contents of all files in the directory except the lock, which is empty."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != f"{BLENDS}.lock"
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with voices, a blend of two of them, a lexicon, and files that are not backed up."""
    directory = tmp_path / "data"
    (directory / STYLES_DIRECTORY).mkdir(parents=True)
    for name in (*LETTERS_FILES, MODEL):
        shutil.copy(VOICES / name, directory)
    with np.load(VOICES / PACK) as pack, (directory / PACK).open("wb") as file:
        np.savez(file, af_bella=pack["af_test"], af_sky=pack["am_test"])
    with (directory / STYLES_DIRECTORY / "af_mine.npy").open("wb") as file:
        np.save(file, np.zeros((510, 1, 256), np.float32))
    (directory / BLENDS).write_text("blends:\n  dusk: af_bella(2)+af_sky\n")
    (directory / LEXICON).write_text("en:\n  Siobhan: shivawn\n")
    (directory / SPOKEN).write_text("en: {}\n")
    for name in ("metrics.jsonl", "en_US-half-low.onnx.part", "._hidden.onnx", f"{BLENDS}.lock", "notes.txt"):
        (directory / name).write_text("not worth it")
    for path in directory.rglob("*"):
        os.utime(path, (OLD, OLD))
    return directory


@pytest.fixture
def backed_up(data: Path) -> dict[str, bytes]:
    """The files of `data` that a backup contains."""
    names = {*LETTERS_FILES, *KOKORO_FILES, BLENDS, LEXICON, SPOKEN, f"{STYLES_DIRECTORY}/af_mine.npy"}
    return {name: content for name, content in contents(data).items() if name in names}


@pytest.fixture
def empty_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


async def test_a_running_server_uses_restored_voices_blends_and_lexicon(data: Path, empty_dir: Path) -> None:
    archive = empty_dir.parent / "voices.tar.gz"
    backup(data, archive)
    shutil.rmtree(data)
    flags = [str(empty_dir) if word == str(VOICES) else word for word in SPEAKS_LETTERS]
    async with (
        asyncio.timeout(TIMEOUT),
        server_process(*flags) as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as client,
    ):
        assert LETTERS.name not in await list_voices(client)
        assert (await asyncio.to_thread(restore, archive, empty_dir))[0] == 0
        while not {LETTERS.name, "dusk", "af_mine"} <= await list_voices(client):  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)
        while await speak_and_decode(client, "Siobhan.") != ["shivawn."]:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)


async def list_voices(client: WyomingTestClient) -> set[str]:
    await client.send(Event("describe"))
    info = await client.receive()
    return {voice["name"] for program in info.data["tts"] for voice in program["voices"]}


async def speak_and_decode(client: WyomingTestClient, text: str) -> list[str]:
    await client.send(Event("synthesize", {"text": text, "voice": {"name": LETTERS.name}}))
    return LETTERS.said(np.frombuffer(pcm_of(await client.until("audio-stop")), dtype="<i2"))


def test_backup_and_restore_round_trip_all_backed_up_files(
    data: Path, empty_dir: Path, backed_up: dict[str, bytes]
) -> None:
    archive = empty_dir.parent / "voices.tar.gz"
    assert f"{len(backed_up)} files" in backup(data, archive)
    assert restore(archive, empty_dir)[0] == 0
    assert contents(empty_dir) == backed_up
    assert {int(path.stat().st_mtime) for path in empty_dir.glob("*.onnx")} == {OLD}
    assert list(empty_dir.parent.glob("voices.tar.gz*")) == [archive]
    assert not [path for path in empty_dir.iterdir() if path.name.startswith(".")]


def test_both_scripts_name_every_kind_of_voice_file() -> None:
    script, other = BACKUP.read_text(), RESTORE.read_text()
    for name in (BLENDS, LEXICON, SPOKEN, INDEX, f"{STYLES_DIRECTORY}/", *VOICE_FILES):
        assert name in script
        assert name in other


def test_both_scripts_work_through_pipes_as_in_containers(
    data: Path, empty_dir: Path, backed_up: dict[str, bytes]
) -> None:
    backup_run = run_command("bash", "-s", "--", data, "-", given=BACKUP.read_bytes())
    assert backup_run.returncode == 0, backup_run.stderr.decode()
    completed = run_command(
        "bash", "-c", RESTORE.read_text(), "restore", "-", empty_dir, given=backup_run.stdout
    )
    assert completed.returncode == 0, completed.stderr.decode()
    assert contents(empty_dir) == backed_up


def test_unicode_names_and_symlinked_voices_are_backed_up(data: Path, empty_dir: Path) -> None:
    (data / "nb_NO-bjørn 'x'-low.onnx").write_bytes(b"a voice")
    elsewhere = data.parent / "share.onnx"
    elsewhere.write_bytes(b"a shared voice")
    (data / "linked.onnx").symlink_to(elsewhere)
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    assert restore(archive, empty_dir)[0] == 0
    assert (empty_dir / "nb_NO-bjørn 'x'-low.onnx").read_bytes() == b"a voice"
    assert (empty_dir / "linked.onnx").read_bytes() == b"a shared voice"
    assert not (empty_dir / "linked.onnx").is_symlink()


@pytest.mark.parametrize("name", [b"line\nbreak.onnx", b"back\\slash.onnx", b"latin-\xe9.onnx"])
def test_a_file_name_that_cannot_be_restored_is_an_error(name: bytes, data: Path) -> None:
    Path(os.fsdecode(bytes(data) + b"/" + name)).write_bytes(b"a voice")
    archive = data.parent / "voices.tar.gz"
    completed = run_command(BACKUP, data, archive)
    assert completed.returncode == 1
    assert b"cannot be kept" in completed.stderr
    assert not archive.exists()


def test_without_downloads_leaves_out_and_names_unmodified_catalogue_voices(
    data: Path, empty_dir: Path
) -> None:
    for voice in (LOW, TONES):
        for ending in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{voice.name}{ending}", data)
    write_index(data, LOW.name, TONES.name)
    edited = data / f"{TONES.name}.onnx.json"
    edited.write_text(json.dumps(json.loads(edited.read_bytes())))
    archive = data.parent / "voices.tar.gz"
    assert f"left out, to be fetched again: {LOW.name}." in backup(data, archive, "--without-downloads")
    code, output = restore(archive, empty_dir)
    assert code == 0
    assert f"wyoming-tts voices download --data-dir {empty_dir} {LOW.name}" in output
    assert not list(empty_dir.glob(f"{LOW.name}*"))
    edited_voice = {f"{TONES.name}.onnx", f"{TONES.name}.onnx.json"}
    assert {INDEX, *LETTERS_FILES, *KOKORO_FILES, *edited_voice} <= set(contents(empty_dir))


def write_index(directory: Path, *names: str) -> None:
    """Write a catalogue index in upstream's format that lists these voices with their current checksums."""
    index = {}
    for name in names:
        listed = {
            f"x/{path.name}": {
                "size_bytes": path.stat().st_size,
                "md5_digest": hashlib.md5(path.read_bytes()).hexdigest(),
            }
            for path in directory.glob(f"{name}*")
        }
        entry = {"language": {"code": "en_US"}, "quality": "low", "num_speakers": 1, "aliases": []}
        index[name] = entry | {"files": listed}
    (directory / INDEX).write_text(json.dumps(index))


def test_restore_keeps_newer_files_unless_forced(data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    (data / BLENDS).write_text("blends: {}\n")
    (data / LEXICON).write_text("en: {}\n")
    os.utime(data / BLENDS, (NEWER, NEWER))
    os.utime(data / LEXICON, (OLD - 1, OLD - 1))
    code, output = restore(archive, data)
    assert code == 3
    assert BLENDS in output
    assert "restore: 1 files" in output
    assert (data / BLENDS).read_text() == "blends: {}\n"
    assert "Siobhan" in (data / LEXICON).read_text()
    assert restore(archive, data, "--force")[0] == 0
    assert "dusk" in (data / BLENDS).read_text()


def test_a_file_that_changes_during_backup_leaves_the_previous_archive_untouched(
    data: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "voices.tar.gz"
    archive.write_bytes(b"the one before")
    programs = tmp_path / "programs"
    programs.mkdir()
    tar = programs / "tar"
    tar.write_text(f'#!/bin/sh\necho more >> "{data / LEXICON}"\nexec "{shutil.which("tar")}" "$@"\n')
    tar.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    completed = subprocess.run(
        [BACKUP, data, archive], capture_output=True, check=False, env=os.environ | {"PATH": path}
    )
    assert completed.returncode == 1
    assert b"Try again" in completed.stderr
    assert archive.read_bytes() == b"the one before"
    assert not list(tmp_path.glob("*.part"))


def test_backup_of_a_directory_without_voices_is_an_error(empty_dir: Path) -> None:
    archive = empty_dir.parent / "voices.tar.gz"
    completed = run_command(BACKUP, empty_dir, archive)
    assert completed.returncode == 1
    assert b"nothing to keep" in completed.stderr
    assert run_command(BACKUP, empty_dir / "missing", archive).returncode == 1
    assert run_command(BACKUP, empty_dir).returncode == 2
    assert not list(empty_dir.parent.glob("voices.tar.gz*"))


# -- archives that are refused ------------------------------------------------------------------

Members = dict[str, tarfile.TarInfo | bytes]


def rewrite_archive(archive: Path, change: Callable[[Members], object]) -> None:
    """Rewrite an archive with changed members."""
    members: Members = {}
    with tarfile.open(archive) as tar:
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            members[info.name] = file.read()
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))


def make_link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{ROOT}/data/link.onnx")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def add_listed_file(name: str) -> Callable[[Members], object]:
    """Add one more file, with a correct checksum in the list."""

    def change(members: Members) -> None:
        listed = members[f"{ROOT}/sha256"]
        assert isinstance(listed, bytes)
        line = f"{hashlib.sha256(b'evil').hexdigest()} *{name}\n"
        members[f"{ROOT}/sha256"] = listed + line.encode()
        members[f"{ROOT}/data/{name}"] = b"evil"

    return change


REFUSED: dict[str, Callable[[Members], object]] = {
    "a byte differs": lambda members: members.update({f"{ROOT}/data/{BLENDS}": b"blends: {x: y}\n"}),
    "a file is missing": lambda members: members.pop(f"{ROOT}/data/{BLENDS}"),
    "a file is not listed": lambda members: members.update({f"{ROOT}/data/more.onnx": b"evil"}),
    "no list": lambda members: members.pop(f"{ROOT}/sha256"),
    "another form": lambda members: members.update({f"{ROOT}/form": b"wyoming-tts backup 2\n"}),
    "something else beside": lambda members: members.update({"etc/x": b"x"}),
    "empty": lambda members: members.clear(),
    "a way up": add_listed_file("../../../evil.onnx"),
    "a way up in styles": add_listed_file("styles/../../evil.npy"),
    "an absolute path": lambda members: members.update({"/tmp/evil.onnx": b"evil"}),
    "a directory of its own": add_listed_file("more/evil.onnx"),
    "a hidden file": add_listed_file(".evil.onnx"),
    "a file that speaks not": add_listed_file("options.json"),
    "a line break in a name": add_listed_file(f"a.onnx\n{ROOT}/data/b.onnx"),
    "a symbolic link": lambda members: members.update({"link": make_link(tarfile.SYMTYPE)}),
    "a hard link": lambda members: members.update({"link": make_link(tarfile.LNKTYPE)}),
    "a device": lambda members: members.update({"link": make_link(tarfile.CHRTYPE)}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_restore_refuses_a_tampered_archive_and_changes_nothing(kind: str, data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    rewrite_archive(archive, REFUSED[kind])
    before = file_stats(data.parent)
    code, output = restore(archive, data, "--force")
    assert code == 1
    assert output.startswith(("restore: ", "sha256sum: ", BLENDS))
    assert file_stats(data.parent) == before


def file_stats(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_restore_refuses_a_truncated_or_missing_archive_and_changes_nothing(data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive", gzip.compress(b"no archive")):
        archive.write_bytes(content)
        before = file_stats(data.parent)
        assert restore(archive, data, "--force")[0] == 1
        assert file_stats(data.parent) == before
    assert restore(data / "missing.tar.gz", data)[0] == 1
    assert restore(archive, data / "missing")[0] == 1
    assert not (data / "missing").exists()
