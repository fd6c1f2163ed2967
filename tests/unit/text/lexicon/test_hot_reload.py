from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from wyoming_tts.text.lexicon import hot_reload
from wyoming_tts.text.lexicon.hot_reload import LexiconFiles

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lexicon.yaml"


def write_atomically(path: Path, content: str) -> None:
    """Replace the file atomically, as editors do: write a new file and rename it."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(path)


def apply_lexicon(file: LexiconFiles, text: str) -> str:
    return file.current().apply(text, language="en_US", voice="").text


def test_without_a_file_there_are_no_entries(path: Path) -> None:
    file = LexiconFiles([path])
    assert not file.refresh()
    assert len(file.current()) == 0
    assert not file.problems


def test_the_file_is_not_read_before_the_first_refresh(path: Path) -> None:
    write_atomically(path, "en: {kWh: kilowatt hours}")
    file = LexiconFiles([path])
    assert apply_lexicon(file, "kWh") == "kWh"
    assert file.refresh()
    assert apply_lexicon(file, "kWh") == "kilowatt hours"


def test_an_unchanged_file_is_not_reread(path: Path) -> None:
    write_atomically(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    before = file.current()
    assert not file.refresh()
    assert file.current() is before


def test_a_change_that_keeps_size_and_mtime_is_detected(path: Path) -> None:
    write_atomically(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    status = path.stat()
    write_atomically(path, "en: {a: c}")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.refresh()
    assert apply_lexicon(file, "a") == "c"


def test_a_malformed_file_keeps_the_old_lexicon_until_it_is_fixed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_atomically(path, "en: {a: old}")
    file = LexiconFiles([path])
    file.refresh()
    caplog.clear()
    write_atomically(path, "en:\n  a: new\n  b: {}\n")
    assert not file.refresh()
    assert not file.refresh()
    assert apply_lexicon(file, "a") == "old"
    assert file.problems == ("lexicon.yaml line 3: got neither `say` nor `ipa`, expected one of them",)
    write_atomically(path, "en:\n  a: new\n")
    assert file.refresh()
    assert apply_lexicon(file, "a") == "new"
    assert not file.problems
    broken, right = (record.getMessage() for record in caplog.records)
    assert "still using 1 entry from before:\nlexicon.yaml line 3: got neither" in broken
    assert right.endswith("is valid again and has 1 entry")


def test_a_deleted_file_removes_its_entries(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_atomically(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    path.unlink()
    with caplog.at_level(logging.INFO):
        assert file.refresh()
        assert not file.refresh()
    assert apply_lexicon(file, "a") == "a"
    assert [record.getMessage() for record in caplog.records] == [
        f"Lexicon {path} was removed; its entries no longer apply"
    ]


def test_deleting_a_malformed_file_clears_its_problems(path: Path) -> None:
    write_atomically(path, "en: [")
    file = LexiconFiles([path])
    file.refresh()
    assert file.problems
    path.unlink()
    file.refresh()
    assert not file.problems


def test_of_several_files_the_first_wins_and_a_malformed_one_does_not_affect_others(tmp_path: Path) -> None:
    mine, ours = tmp_path / "mine" / "lexicon.yaml", tmp_path / "ours" / "lexicon.yaml"
    write_atomically(mine, "en: {a: mine}")
    write_atomically(ours, "en: {a: ours, b: ours}")
    file = LexiconFiles([mine, ours])
    file.refresh()
    assert apply_lexicon(file, "a b") == "mine ours"
    write_atomically(mine, "en: [")
    write_atomically(ours, "en: {a: ours, b: new}")
    assert file.refresh()
    assert apply_lexicon(file, "a b") == "mine new"


def test_a_special_file_is_a_problem_and_does_not_block(path: Path) -> None:
    os.mkfifo(path)
    file = LexiconFiles([path])
    assert not file.refresh()
    assert file.problems == ("lexicon.yaml cannot be read: it is not a regular file",)


def test_a_directory_with_the_name_of_the_file_is_a_problem(path: Path) -> None:
    path.mkdir()
    file = LexiconFiles([path])
    file.refresh()
    assert file.problems == ("lexicon.yaml cannot be read: it is not a regular file",)


def test_unknown_phonemes_are_warned_about_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_atomically(path, "en: {Siobhan: {ipa: SHIVON}}")
    file = LexiconFiles([path])
    file.refresh()
    file.refresh()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "expected IPA" in warnings[0]


async def test_watching_refreshes_off_the_event_loop_until_cancelled(path: Path) -> None:
    seen: list[str] = []
    done: list[str] = []

    async def run_blocking(work: Callable[[], T], /) -> T:
        done.append(work.__name__)
        return await asyncio.to_thread(work)

    async def sleep(seconds: float) -> None:
        assert seconds == 0.5
        seen.append(apply_lexicon(file, "a"))
        if len(seen) == 3:
            raise asyncio.CancelledError
        await asyncio.to_thread(write_atomically, path, f"en: {{a: {'b' * len(seen)}}}")

    file = LexiconFiles([path])
    with pytest.raises(asyncio.CancelledError):
        await file.watch(run_blocking, interval=0.5, sleep=sleep)
    assert seen == ["a", "b", "bb"]
    assert done == ["refresh"] * 3


def test_entries_stay_while_the_directory_is_away(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    share = tmp_path / "share"
    share.mkdir()
    write_atomically(share / path.name, "en: {a: b}")
    file = LexiconFiles([share / path.name])
    file._known.names(share)
    file.refresh()
    caplog.clear()
    share.rename(tmp_path / "unmounted")
    assert not file.refresh()
    assert apply_lexicon(file, "a") == "b"
    assert "was removed" not in caplog.text
    (tmp_path / "unmounted").rename(share)
    (share / path.name).unlink()
    assert file.refresh()
    assert apply_lexicon(file, "a") == "a"


def test_a_file_that_cannot_be_read_now_is_tried_again_and_told_of_once(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Path, __: int) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    write_atomically(path, "en: {a: b}")
    file = LexiconFiles([path])
    with monkeypatch.context() as patch:
        patch.setattr(hot_reload, "read_regular_file", fail)
        for _ in range(3):
            assert not file.refresh()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert file.refresh()
    assert apply_lexicon(file, "a") == "b"
    assert not file.problems
