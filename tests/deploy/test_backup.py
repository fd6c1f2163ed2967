"""What is backed up comes back, into a server that runs; what is no backup touches nothing."""

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
LOOK_EVERY = 0.05
"""Seconds; a server tells nobody that it has seen new files."""
OLD, NEWER = 1_700_000_000, 1_700_000_100
PATIENCE = 45.0


def command(*words: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WYOMING_TTS")}
    return subprocess.run(
        words, input=given, capture_output=True, check=False, env=environ | {"WYOMING_TTS": str(PROGRAM)}
    )


def backup(data: Path, archive: Path, *flags: str) -> str:
    done = command(BACKUP, *flags, data, archive)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def restore(archive: Path, data: Path, *flags: str) -> tuple[int, str]:
    done = command(RESTORE, *flags, archive, data)
    return done.returncode, done.stderr.decode()


def contents(directory: Path) -> dict[str, bytes]:
    """Everything in it but the lock, which holds nothing."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != f"{BLENDS}.lock"
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with voices, a blend of two of them, a lexicon, and what is not worth keeping."""
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
def worth(data: Path) -> dict[str, bytes]:
    """What of it is to be kept."""
    kept = {*LETTERS_FILES, *KOKORO_FILES, BLENDS, LEXICON, SPOKEN, f"{STYLES_DIRECTORY}/af_mine.npy"}
    return {name: content for name, content in contents(data).items() if name in kept}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


async def test_a_running_server_speaks_and_blends_with_what_was_restored(data: Path, empty: Path) -> None:
    archive = empty.parent / "voices.tar.gz"
    backup(data, archive)
    shutil.rmtree(data)
    flags = [str(empty) if word == str(VOICES) else word for word in SPEAKS_LETTERS]
    async with (
        asyncio.timeout(PATIENCE),
        server_process(*flags) as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as client,
    ):
        assert LETTERS.name not in await voices_of(client)
        assert (await asyncio.to_thread(restore, archive, empty))[0] == 0
        while not {LETTERS.name, "dusk", "af_mine"} <= await voices_of(client):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY)
        while await said(client, "Siobhan.") != ["shivawn."]:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_EVERY)


async def voices_of(client: WyomingTestClient) -> set[str]:
    await client.send(Event("describe"))
    info = await client.receive()
    return {voice["name"] for program in info.data["tts"] for voice in program["voices"]}


async def said(client: WyomingTestClient, text: str) -> list[str]:
    await client.send(Event("synthesize", {"text": text, "voice": {"name": LETTERS.name}}))
    return LETTERS.said(np.frombuffer(pcm_of(await client.until("audio-stop")), dtype="<i2"))


def test_all_that_is_worth_it_comes_back_as_it_was(data: Path, empty: Path, worth: dict[str, bytes]) -> None:
    archive = empty.parent / "voices.tar.gz"
    assert f"{len(worth)} files" in backup(data, archive)
    assert restore(archive, empty)[0] == 0
    assert contents(empty) == worth
    assert {int(path.stat().st_mtime) for path in empty.glob("*.onnx")} == {OLD}
    assert list(empty.parent.glob("voices.tar.gz*")) == [archive]
    assert not [path for path in empty.iterdir() if path.name.startswith(".")]


def test_every_kind_of_file_that_voices_are_made_of_is_kept() -> None:
    script, other = BACKUP.read_text(), RESTORE.read_text()
    for name in (BLENDS, LEXICON, SPOKEN, INDEX, f"{STYLES_DIRECTORY}/", *VOICE_FILES):
        assert name in script
        assert name in other


def test_both_work_through_pipes_as_containers_run_them(
    data: Path, empty: Path, worth: dict[str, bytes]
) -> None:
    made = command("bash", "-s", "--", data, "-", given=BACKUP.read_bytes())
    assert made.returncode == 0, made.stderr.decode()
    done = command("bash", "-c", RESTORE.read_text(), "restore", "-", empty, given=made.stdout)
    assert done.returncode == 0, done.stderr.decode()
    assert contents(empty) == worth


def test_names_in_any_script_and_linked_voices_are_kept(data: Path, empty: Path) -> None:
    (data / "nb_NO-bjørn 'x'-low.onnx").write_bytes(b"a voice")
    elsewhere = data.parent / "share.onnx"
    elsewhere.write_bytes(b"a shared voice")
    (data / "linked.onnx").symlink_to(elsewhere)
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    assert restore(archive, empty)[0] == 0
    assert (empty / "nb_NO-bjørn 'x'-low.onnx").read_bytes() == b"a voice"
    assert (empty / "linked.onnx").read_bytes() == b"a shared voice"
    assert not (empty / "linked.onnx").is_symlink()


@pytest.mark.parametrize("name", [b"line\nbreak.onnx", b"back\\slash.onnx", b"latin-\xe9.onnx"])
def test_a_name_that_would_not_come_back_is_told_of(name: bytes, data: Path) -> None:
    Path(os.fsdecode(bytes(data) + b"/" + name)).write_bytes(b"a voice")
    archive = data.parent / "voices.tar.gz"
    done = command(BACKUP, data, archive)
    assert done.returncode == 1
    assert b"cannot be kept" in done.stderr
    assert not archive.exists()


def test_what_was_fetched_is_left_out_and_named_unless_somebody_edited_it(data: Path, empty: Path) -> None:
    for voice in (LOW, TONES):
        for ending in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{voice.name}{ending}", data)
    describe(data, LOW.name, TONES.name)
    edited = data / f"{TONES.name}.onnx.json"
    edited.write_text(json.dumps(json.loads(edited.read_bytes())))
    archive = data.parent / "voices.tar.gz"
    assert f"left out, to be fetched again: {LOW.name}." in backup(data, archive, "--without-downloads")
    code, told = restore(archive, empty)
    assert code == 0
    assert f"wyoming-tts voices download --data-dir {empty} {LOW.name}" in told
    assert not list(empty.glob(f"{LOW.name}*"))
    edited_too = {f"{TONES.name}.onnx", f"{TONES.name}.onnx.json"}
    assert {INDEX, *LETTERS_FILES, *KOKORO_FILES, *edited_too} <= set(contents(empty))


def describe(directory: Path, *names: str) -> None:
    """Make voices known as they are, by an index as upstream has it."""
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


def test_what_is_newer_stays_unless_it_is_forced(data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    (data / BLENDS).write_text("blends: {}\n")
    (data / LEXICON).write_text("en: {}\n")
    os.utime(data / BLENDS, (NEWER, NEWER))
    os.utime(data / LEXICON, (OLD - 1, OLD - 1))
    code, told = restore(archive, data)
    assert code == 3
    assert BLENDS in told
    assert "restore: 1 files" in told
    assert (data / BLENDS).read_text() == "blends: {}\n"
    assert "Siobhan" in (data / LEXICON).read_text()
    assert restore(archive, data, "--force")[0] == 0
    assert "dusk" in (data / BLENDS).read_text()


def test_a_file_that_changes_meanwhile_leaves_the_backup_before_it_as_it_was(
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
    done = subprocess.run(
        [BACKUP, data, archive], capture_output=True, check=False, env=os.environ | {"PATH": path}
    )
    assert done.returncode == 1
    assert b"Try again" in done.stderr
    assert archive.read_bytes() == b"the one before"
    assert not list(tmp_path.glob("*.part"))


def test_nothing_to_keep_is_no_backup(empty: Path) -> None:
    archive = empty.parent / "voices.tar.gz"
    done = command(BACKUP, empty, archive)
    assert done.returncode == 1
    assert b"nothing to keep" in done.stderr
    assert command(BACKUP, empty / "missing", archive).returncode == 1
    assert command(BACKUP, empty).returncode == 2
    assert not list(empty.parent.glob("voices.tar.gz*"))


# -- archives that are refused ------------------------------------------------------------------

Members = dict[str, tarfile.TarInfo | bytes]


def changed(archive: Path, change: Callable[[Members], object]) -> None:
    """Write an archive again, with other members."""
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


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{ROOT}/data/link.onnx")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def listed_with(name: str) -> Callable[[Members], object]:
    """Put in one more file, as carefully listed as the others."""

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
    "a way up": listed_with("../../../evil.onnx"),
    "a way up in styles": listed_with("styles/../../evil.npy"),
    "an absolute path": lambda members: members.update({"/tmp/evil.onnx": b"evil"}),
    "a directory of its own": listed_with("more/evil.onnx"),
    "a hidden file": listed_with(".evil.onnx"),
    "a file that speaks not": listed_with("options.json"),
    "a line break in a name": listed_with(f"a.onnx\n{ROOT}/data/b.onnx"),
    "a symbolic link": lambda members: members.update({"link": link(tarfile.SYMTYPE)}),
    "a hard link": lambda members: members.update({"link": link(tarfile.LNKTYPE)}),
    "a device": lambda members: members.update({"link": link(tarfile.CHRTYPE)}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_whole_backup_touches_nothing(kind: str, data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    changed(archive, REFUSED[kind])
    before = seen(data.parent)
    code, told = restore(archive, data, "--force")
    assert code == 1
    assert told.startswith(("restore: ", "sha256sum: ", BLENDS))
    assert seen(data.parent) == before


def seen(directory: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_an_archive_that_is_cut_off_or_none_touches_nothing(data: Path) -> None:
    archive = data.parent / "voices.tar.gz"
    backup(data, archive)
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive", gzip.compress(b"no archive")):
        archive.write_bytes(content)
        before = seen(data.parent)
        assert restore(archive, data, "--force")[0] == 1
        assert seen(data.parent) == before
    assert restore(data / "missing.tar.gz", data)[0] == 1
    assert restore(archive, data / "missing")[0] == 1
    assert not (data / "missing").exists()
