"""Watching voice directories with real files and notifications; tests await the callback."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import watchfiles
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tones import LETTERS, VOICES
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.piper.engine import PiperEngine
from wyoming_tts.known_files import KEEP_SECONDS, KnownFiles
from wyoming_tts.voices import watching
from wyoming_tts.voices.watching import (
    PollIntervals,
    SettledFiles,
    shared_mounts,
    take_snapshot,
    watch_directories,
)

T = TypeVar("T")

QUICK = PollIntervals(settle=0.1, poll=0.1, recheck=30)
"""Only notifications can reveal a change within the timeout of a test."""
PATIENCE = 5.0


async def run_in_thread(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


class ServerVoices:
    """The voices as a server would list them."""

    def __init__(self, *directories: Path, keep_seconds: float = KEEP_SECONDS) -> None:
        self.known = KnownFiles(keep_seconds=keep_seconds)
        self._engine = PiperEngine(EngineOptions(data_dirs=directories, files=self.known))
        self.voices: dict[str, int] = {}
        self.calls = 0
        self.failures = 0
        self._called = asyncio.Condition()

    async def refresh(self) -> None:
        async with self._called:
            self.calls += 1
            self._called.notify_all()
            if self.failures:
                self.failures -= 1
                raise OSError("the disk is asleep")
            self.voices = await run_in_thread(self._installed)

    def _installed(self) -> dict[str, int]:
        stamps = {voice.name: self.known.stamp(voice.files[0]) for voice in self._engine.installed()}
        return {name: stamp.inode for name, stamp in stamps.items() if stamp}

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE), self._called:
            await self._called.wait_for(condition)


@asynccontextmanager
async def watched(
    *directories: Path, intervals: PollIntervals = QUICK, keep_seconds: float = KEEP_SECONDS
) -> AsyncIterator[ServerVoices]:
    voices = ServerVoices(*directories, keep_seconds=keep_seconds)
    task = asyncio.create_task(
        watch_directories(
            directories,
            voices.refresh,
            run_blocking=run_in_thread,
            known=voices.known,
            intervals=intervals,
        )
    )
    try:
        yield voices
    finally:
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=PATIENCE)
    assert task in done
    assert task.cancelled()


def add_voice(directory: Path, name: str = "mine", *, then: str = ".json") -> Path:
    """Copy a voice, with the json last or first."""
    directory.mkdir(parents=True, exist_ok=True)
    model = directory / f"{name}.onnx"
    for ending in ("", ".json") if then == ".json" else (".json", ""):
        shutil.copy(VOICES / f"{LETTERS.name}.onnx{ending}", f"{model}{ending}")
    return model


def has_voices(voices: ServerVoices, *names: str) -> Callable[[], bool]:
    return lambda: set(voices.voices) == set(names)


@pytest.mark.parametrize("then", [".json", ".onnx"])
async def test_copying_and_deleting_a_voice_is_reported(tmp_path: Path, then: str) -> None:
    async with watched(tmp_path) as voices:
        add_voice(tmp_path, "first")
        await voices.wait_until(has_voices(voices, "first"))
        model = add_voice(tmp_path, "second", then=then)
        await voices.wait_until(has_voices(voices, "first", "second"))
        model.unlink()
        await voices.wait_until(has_voices(voices, "first"))


def test_the_default_intervals_report_a_voice_within_two_seconds() -> None:
    intervals = PollIntervals()
    assert (
        intervals.poll + 2 * intervals.settle < 2
    )  # the scan that finds it, and one or two until it is stable


async def test_a_voice_is_reported_at_the_default_intervals(tmp_path: Path) -> None:
    async with watched(tmp_path, intervals=PollIntervals()) as voices:
        add_voice(tmp_path, "first")
        await voices.wait_until(has_voices(voices, "first"))
        add_voice(tmp_path, "second")
        await voices.wait_until(has_voices(voices, "first", "second"))


async def test_a_voice_is_reported_at_the_default_intervals_without_notifications(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHFILES_FORCE_POLLING", "true")
    monkeypatch.setattr(watchfiles, "awatch", None)
    async with watched(tmp_path, intervals=PollIntervals()) as voices:
        add_voice(tmp_path, "first")
        await voices.wait_until(has_voices(voices, "first"))
        add_voice(tmp_path, "second")
        await voices.wait_until(has_voices(voices, "first", "second"))


async def test_a_watched_directory_may_be_created_later_with_its_parents(tmp_path: Path) -> None:
    directory = tmp_path / "share" / "piper"
    async with watched(directory, tmp_path / "other") as voices:
        add_voice(tmp_path / "other", "there")
        await voices.wait_until(has_voices(voices, "there"))
        add_voice(directory)
        await voices.wait_until(has_voices(voices, "there", "mine"))


async def test_a_watched_directory_may_be_replaced(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    add_voice(directory, "old")
    add_voice(tmp_path / "next", "new")
    async with watched(directory, keep_seconds=0) as voices:
        await voices.wait_until(has_voices(voices, "old"))
        directory.rename(tmp_path / "away")
        await voices.wait_until(has_voices(voices))
        (tmp_path / "next").rename(directory)
        await voices.wait_until(has_voices(voices, "new"))
        add_voice(directory, "newer")
        await voices.wait_until(has_voices(voices, "new", "newer"))


async def test_a_link_to_another_directory_is_followed(tmp_path: Path) -> None:
    add_voice(tmp_path / "one", "a")
    add_voice(tmp_path / "two", "b")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one")
    async with watched(link) as voices:
        await voices.wait_until(has_voices(voices, "a"))
        (tmp_path / "link.new").symlink_to(tmp_path / "two")
        (tmp_path / "link.new").replace(link)
        await voices.wait_until(has_voices(voices, "b"))
        add_voice(tmp_path / "two", "c")
        await voices.wait_until(has_voices(voices, "b", "c"))


async def test_a_file_with_new_content_is_reported(tmp_path: Path) -> None:
    add_voice(tmp_path)
    async with watched(tmp_path) as voices:
        await voices.wait_until(has_voices(voices, "mine"))
        before = voices.voices
        add_voice(tmp_path / "made").replace(tmp_path / "mine.onnx")
        await voices.wait_until(lambda: voices.voices != before)
        assert set(voices.voices) == {"mine"}


async def test_logs_beside_the_voices_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed_on = asyncio.Queue[Callable[[object, str], bool]]()

    async def awatch(
        *_: Path, watch_filter: Callable[[object, str], bool], **__: Any
    ) -> AsyncIterator[set[Any]]:
        passed_on.put_nowait(watch_filter)
        await asyncio.Event().wait()
        yield set()

    monkeypatch.setattr(watchfiles, "awatch", awatch)
    directory = tmp_path / "share" / "piper"
    async with watched(directory):
        matters = await passed_on.get()
    for name in ("new.onnx", "new.onnx.json", "pack.bin"):
        assert matters(None, f"{directory}/{name}")
    assert matters(None, str(directory))
    assert matters(None, str(directory.parent))
    for name in ("server.log", "metrics.jsonl", "new.onnx.part"):
        assert not matters(None, f"{directory}/{name}")
    assert not matters(None, f"{tmp_path}/elsewhere")


async def test_a_failed_callback_is_retried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add_voice(tmp_path)
    intervals = PollIntervals(settle=0.05, poll=0.1, recheck=0.1)
    voices = ServerVoices(tmp_path)
    voices.failures = 2
    task = asyncio.create_task(
        watch_directories([tmp_path], voices.refresh, run_blocking=run_in_thread, intervals=intervals)
    )
    await voices.wait_until(has_voices(voices, "mine"))
    task.cancel()
    await asyncio.wait([task])
    assert voices.calls == 3
    assert caplog.text.count("cannot be listed") == 2


async def test_exhausted_inotify_watches_fall_back_to_polling_with_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def exhausted(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "OS file watch limit reached.")

    monkeypatch.setattr(watchfiles, "awatch", exhausted)
    with caplog.at_level(logging.WARNING):
        async with watched(tmp_path) as voices:
            for name in ("a", "b"):
                add_voice(tmp_path, name)
                await voices.wait_until(lambda name=name: name in voices.voices)  # type: ignore[misc]
    (record,) = caplog.records
    assert "limit reached" in record.message
    assert "fs.inotify.max_user_watches" in record.message


async def test_a_network_share_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 0:40 / {tmp_path}/share rw - cifs //nas/share rw\n", encoding="utf-8")
    monkeypatch.setattr(watching, "_MOUNTS", mounts)
    monkeypatch.setattr(watchfiles, "awatch", None)
    async with watched(tmp_path / "share" / "piper") as voices:
        add_voice(tmp_path / "share" / "piper")
        await voices.wait_until(has_voices(voices, "mine"))


async def test_cancelling_during_a_call_ends_the_watching(tmp_path: Path) -> None:
    add_voice(tmp_path)
    entered, never = asyncio.Event(), asyncio.Event()

    async def on_change() -> None:
        entered.set()
        await never.wait()

    task = asyncio.create_task(
        watch_directories([tmp_path], on_change, run_blocking=run_in_thread, intervals=QUICK)
    )
    async with asyncio.timeout(PATIENCE):
        await entered.wait()
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


FILE = Path("/data/a.onnx")


class TestSettling:
    def test_a_file_counts_once_it_is_stable(self) -> None:
        files = SettledFiles(0.5)
        for now, size in ((0.0, 1), (0.3, 2), (0.6, 3), (1.0, 3)):
            files.update({FILE: (0, size, 1)}, now)
            assert (files.has_changes, files.is_waiting) == (False, True)
        files.update({FILE: (0, 3, 1)}, 1.1)
        assert (files.has_changes, files.is_waiting) == (True, False)
        files.mark_reported()
        assert not files.has_changes

    def test_a_growing_file_does_not_delay_another(self) -> None:
        files = SettledFiles(0.5)
        other = Path("/data/b.onnx")
        for now in (0.0, 0.4, 0.8):
            files.update({FILE: (0, int(now * 10), 1), other: (0, 9, 2)}, now)
        assert files.has_changes
        files.mark_reported()
        files.update({FILE: (0, 12, 1), other: (0, 9, 2)}, 1.2)
        assert (files.has_changes, files.is_waiting) == (False, True)

    def test_a_removed_file_is_a_change_at_once(self) -> None:
        files = SettledFiles(0.5)
        for now in (0.0, 0.5):
            files.update({FILE: (0, 1, 1)}, now)
        files.mark_reported()
        files.update({}, 0.6)
        assert files.has_changes

    def test_unreported_changes_stay_pending(self) -> None:
        files = SettledFiles(0.5)
        for now in (0.0, 0.5, 1.0):
            files.update({FILE: (0, 1, 1)}, now)
        assert files.has_changes

    @given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), max_size=20))
    def test_the_last_report_is_the_final_state(self, looks: list[dict[str, int]]) -> None:
        files, reported = SettledFiles(1.0), {}
        final = looks[-1] if looks else {}
        for number, look in enumerate([*looks, final, final]):
            files.update({Path(name): (0, size, 0) for name, size in look.items()}, float(number))
            if files.has_changes:
                files.mark_reported()
                reported = dict(look)
        assert set(reported) == set(final) or not files.has_changes
        assert not files.is_waiting


def test_a_missing_directory_is_empty_and_its_nearest_parent_is_watched(tmp_path: Path) -> None:
    look = take_snapshot([tmp_path / "a" / "b"], (".onnx",), KnownFiles())
    assert look.files == {}
    assert {path for path, _, _ in look.places} == {tmp_path}


def test_files_of_other_kinds_and_broken_links_are_ignored(tmp_path: Path) -> None:
    add_voice(tmp_path)
    for name in ("mine.onnx.part", "voices.json", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "nowhere.onnx").symlink_to(tmp_path / "gone")
    look = take_snapshot([tmp_path], watching.VOICE_FILES, KnownFiles())
    assert {path.name for path in look.files} == {"mine.onnx", "mine.onnx.json"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_directory_is_empty(tmp_path: Path) -> None:
    add_voice(tmp_path / "secret")
    (tmp_path / "secret").chmod(0)
    try:
        assert take_snapshot([tmp_path / "secret"], (".onnx",), KnownFiles()).files == {}
    finally:
        (tmp_path / "secret").chmod(0o700)


def test_network_mounts_are_distinguished_from_disks() -> None:
    text = (
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:45 / /media/my\\040nas rw shared:9 master:1 - nfs4 nas:/voices rw\n"
        "31 22 0:46 / /share rw - cifs //nas/share rw\n"
        "a line of another kind\n"
    )
    assert shared_mounts(text) == {Path("/"): False, Path("/media/my nas"): True, Path("/share"): True}


def test_files_of_a_directory_that_cannot_be_read_now_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "voice.onnx").write_bytes(b"x")
    known = KnownFiles()
    before = take_snapshot([tmp_path], (".onnx",), known)

    def exhausted(_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.scandir", exhausted)
    assert take_snapshot([tmp_path], (".onnx",), known).files == before.files != {}


async def test_voices_of_a_directory_that_is_away_are_kept(tmp_path: Path) -> None:
    directory, away = tmp_path / "share", tmp_path / "away"
    add_voice(directory, "on-share")
    intervals = PollIntervals(settle=0.05, poll=0.05, recheck=0.05)
    async with watched(directory, tmp_path / "disk", intervals=intervals) as voices:
        await voices.wait_until(has_voices(voices, "on-share"))
        directory.rename(away)
        add_voice(tmp_path / "disk", "on-disk")
        await voices.wait_until(has_voices(voices, "on-share", "on-disk"))
        away.rename(directory)
        (directory / "on-share.onnx").unlink()
        await voices.wait_until(has_voices(voices, "on-disk"))


async def test_a_voice_that_could_not_be_read_is_listed_as_soon_as_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    add_voice(tmp_path)
    intervals = PollIntervals(settle=0.05, poll=0.05, recheck=0.05)
    with monkeypatch.context() as patch:
        patch.setattr("wyoming_tts.engines.piper.engine.read_voice_json", fail)
        async with watched(tmp_path, intervals=intervals) as voices:
            await voices.wait_until(lambda: voices.calls == 2)
            assert voices.voices == {}
            patch.undo()
            await voices.wait_until(has_voices(voices, "mine"))
