from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from wyoming_tts.text.lexicon.hot_reload import LexiconFiles

T = TypeVar("T")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lexicon.yaml"


def put(path: Path, content: str) -> None:
    """Replace the file as editors do: a new one is renamed to it."""
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(content, encoding="utf-8")
    fresh.replace(path)


def said(file: LexiconFiles, text: str) -> str:
    return file.current().apply(text, language="en_US", voice="").text


def test_without_a_file_there_are_no_entries(path: Path) -> None:
    file = LexiconFiles([path])
    assert not file.refresh()
    assert len(file.current()) == 0
    assert not file.problems


def test_nothing_is_read_before_it_is_refreshed(path: Path) -> None:
    put(path, "en: {kWh: kilowatt hours}")
    file = LexiconFiles([path])
    assert said(file, "kWh") == "kWh"
    assert file.refresh()
    assert said(file, "kWh") == "kilowatt hours"


def test_an_unchanged_file_is_not_read_again(path: Path) -> None:
    put(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    before = file.current()
    assert not file.refresh()
    assert file.current() is before


def test_a_change_of_the_same_size_and_time_is_noticed(path: Path) -> None:
    put(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    status = path.stat()
    put(path, "en: {a: c}")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.refresh()
    assert said(file, "a") == "c"


def test_a_broken_file_leaves_the_old_lexicon_in_use_until_it_is_right(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    put(path, "en: {a: old}")
    file = LexiconFiles([path])
    file.refresh()
    caplog.clear()
    put(path, "en:\n  a: new\n  b: {}\n")
    assert not file.refresh()
    assert not file.refresh()
    assert said(file, "a") == "old"
    assert file.problems == ("lexicon.yaml line 3: got neither `say` nor `ipa`, expected one of them",)
    put(path, "en:\n  a: new\n")
    assert file.refresh()
    assert said(file, "a") == "new"
    assert not file.problems
    broken, right = (record.getMessage() for record in caplog.records)
    assert "still using 1 entry from before:\nlexicon.yaml line 3: got neither" in broken
    assert right.endswith("is valid again and has 1 entry")


def test_a_file_that_is_gone_no_longer_holds(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(path, "en: {a: b}")
    file = LexiconFiles([path])
    file.refresh()
    path.unlink()
    with caplog.at_level(logging.INFO):
        assert file.refresh()
        assert not file.refresh()
    assert said(file, "a") == "a"
    assert [record.getMessage() for record in caplog.records] == [
        f"Lexicon {path} was removed; its entries no longer apply"
    ]


def test_a_broken_file_that_is_gone_is_no_problem_any_more(path: Path) -> None:
    put(path, "en: [")
    file = LexiconFiles([path])
    file.refresh()
    assert file.problems
    path.unlink()
    file.refresh()
    assert not file.problems


def test_of_several_files_the_first_wins_and_a_broken_one_takes_no_other_with_it(tmp_path: Path) -> None:
    mine, ours = tmp_path / "mine" / "lexicon.yaml", tmp_path / "ours" / "lexicon.yaml"
    put(mine, "en: {a: mine}")
    put(ours, "en: {a: ours, b: ours}")
    file = LexiconFiles([mine, ours])
    file.refresh()
    assert said(file, "a b") == "mine ours"
    put(mine, "en: [")
    put(ours, "en: {a: ours, b: new}")
    assert file.refresh()
    assert said(file, "a b") == "mine new"


def test_what_is_no_ordinary_file_is_a_problem_and_blocks_nothing(path: Path) -> None:
    os.mkfifo(path)
    file = LexiconFiles([path])
    assert not file.refresh()
    assert file.problems == ("lexicon.yaml cannot be read: it is not a regular file",)


def test_a_directory_of_that_name_is_a_problem(path: Path) -> None:
    path.mkdir()
    file = LexiconFiles([path])
    file.refresh()
    assert file.problems == ("lexicon.yaml cannot be read: it is not a regular file",)


def test_odd_phonemes_are_warned_of_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(path, "en: {Siobhan: {ipa: SHIVON}}")
    file = LexiconFiles([path])
    file.refresh()
    file.refresh()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "expected IPA" in warnings[0]


async def test_watching_refreshes_away_from_the_loop_until_it_is_cancelled(path: Path) -> None:
    seen: list[str] = []
    done: list[str] = []

    async def run_blocking(work: Callable[[], T], /) -> T:
        done.append(work.__name__)
        return await asyncio.to_thread(work)

    async def sleep(seconds: float) -> None:
        assert seconds == 0.5
        seen.append(said(file, "a"))
        if len(seen) == 3:
            raise asyncio.CancelledError
        await asyncio.to_thread(put, path, f"en: {{a: {'b' * len(seen)}}}")

    file = LexiconFiles([path])
    with pytest.raises(asyncio.CancelledError):
        await file.watch(run_blocking, interval=0.5, sleep=sleep)
    assert seen == ["a", "b", "bb"]
    assert done == ["refresh"] * 3
