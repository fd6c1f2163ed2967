"""What stays known of files while the file system fails, with real files and invented errors."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.file_errors import TRANSIENT
from tests.support.manual_clock import ManualClock
from wyoming_tts.known_files import KEEP_SECONDS, KnownFiles, is_absent

ANY_ERROR = pytest.mark.parametrize("number", TRANSIENT, ids=errno.errorcode.__getitem__)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


@pytest.fixture
def known(clock: ManualClock) -> KnownFiles:
    return KnownFiles(clock=clock)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "voices"
    directory.mkdir()
    for name in ("a.onnx", "b.onnx"):
        (directory / name).write_text(name, "utf-8")
    return directory


def read_text(path: Path) -> str:
    return path.read_text("utf-8")


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def look_at(known: KnownFiles, directory: Path) -> dict[str, str]:
    """What an engine does: list the names, then read each file that is there."""
    return {name: known.read(directory / name, read_text) for name in known.names(directory)}


@ANY_ERROR
def test_names_stay_known_while_the_directory_cannot_be_read(
    known: KnownFiles, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = known.names(directory)
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", failing(number))
        assert known.names(directory) == before == {"a.onnx", "b.onnx"}
        assert known.troubles == {directory: os.strerror(number)}
    assert known.names(directory) == before
    assert not known.troubles


@ANY_ERROR
def test_stamps_stay_known_while_files_cannot_be_reached(
    known: KnownFiles, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = known.stamp(directory / "a.onnx")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", failing(number))
        assert known.stamp(directory / "a.onnx") == before is not None
        assert known.stamp(directory / "never-seen.onnx") is None
        assert directory / "a.onnx" in known.troubles
    assert known.stamp(directory / "a.onnx") == before
    assert directory / "a.onnx" not in known.troubles


@ANY_ERROR
def test_content_stays_known_while_a_changed_file_cannot_be_read(
    known: KnownFiles, directory: Path, number: int
) -> None:
    content: list[str | OSError] = ["old", OSError(number, os.strerror(number)), "new"]

    def parse(_: Path) -> str:
        answer = content.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    path = directory / "a.onnx"
    assert known.read(path, parse) == "old"
    path.write_text("longer than before", "utf-8")
    assert known.read(path, parse) == "old"
    assert known.has_unread
    assert known.read(path, parse) == "new"
    assert not known.has_unread


def test_a_file_is_parsed_once_until_it_changes(known: KnownFiles, directory: Path) -> None:
    path, parsed = directory / "a.onnx", list[str]()

    def parse(path: Path) -> int:
        parsed.append(path.read_text("utf-8"))
        return len(parsed)

    assert [known.read(path, parse) for _ in range(3)] == [1, 1, 1]
    path.write_text("changed", "utf-8")
    assert known.read(path, parse) == 2
    assert parsed == ["a.onnx", "changed"]


def test_a_file_that_is_invalid_is_parsed_again_and_nothing_older_is_returned(
    known: KnownFiles, directory: Path
) -> None:
    path = directory / "a.onnx"
    path.write_text("1", "utf-8")

    def parse(path: Path) -> int:
        return int(path.read_text("utf-8"))

    assert known.read(path, parse) == 1
    path.write_text("one", "utf-8")
    for _ in range(2):
        with pytest.raises(ValueError, match="one"):
            known.read(path, parse)


def test_a_file_that_could_never_be_read_raises_and_counts_as_unread(
    known: KnownFiles, directory: Path
) -> None:
    with pytest.raises(OSError, match="Input/output error"):
        known.read(directory / "a.onnx", failing(errno.EIO))
    assert known.has_unread
    (directory / "a.onnx").unlink()
    known.names(directory)
    assert known.names(directory) == {"b.onnx"}
    assert known.read(directory / "b.onnx", read_text) == "b.onnx"


def test_a_removed_file_is_noticed_at_once(known: KnownFiles, directory: Path) -> None:
    assert look_at(known, directory) == {"a.onnx": "a.onnx", "b.onnx": "b.onnx"}
    (directory / "a.onnx").unlink()
    assert known.stamp(directory / "a.onnx") is None
    assert look_at(known, directory) == {"b.onnx": "b.onnx"}
    (directory / "b.onnx").unlink()
    assert known.names(directory) == frozenset()
    assert known.stamp(directory / "b.onnx") is None
    assert not known.troubles


def unmount(directory: Path) -> None:
    directory.rename(directory.with_name("elsewhere"))


def leave_an_empty_mount_point(directory: Path) -> None:
    unmount(directory)
    directory.mkdir()
    (directory / ".hidden").touch()


def put_a_file_in_its_place(directory: Path) -> None:
    unmount(directory)
    directory.touch()


@pytest.mark.parametrize("leave", [unmount, leave_an_empty_mount_point, put_a_file_in_its_place])
def test_files_of_a_directory_that_vanishes_as_a_whole_are_kept_for_a_while(
    known: KnownFiles,
    directory: Path,
    clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
    leave: Callable[[Path], None],
) -> None:
    caplog.set_level(logging.INFO)
    before, stamp = look_at(known, directory), known.stamp(directory / "a.onnx")
    leave(directory)
    for _ in range(3):
        clock.now += KEEP_SECONDS / 4
        assert look_at(known, directory) == before
        assert known.stamp(directory / "a.onnx") == stamp
        assert known.is_away(directory)
        assert directory in known.troubles
    clock.now += KEEP_SECONDS
    assert look_at(known, directory) == {}
    assert known.stamp(directory / "a.onnx") is None
    assert not known.is_away(directory)
    assert not known.troubles
    first, last = (record.getMessage() for record in caplog.records)
    assert "kept for 5 minutes" in first
    assert last.endswith("did not come back: the files in it count as removed now.")


def test_a_directory_that_comes_back_is_believed_again(
    known: KnownFiles, directory: Path, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    look_at(known, directory)
    leave_an_empty_mount_point(directory)
    look_at(known, directory)
    shutil.rmtree(directory)
    directory.with_name("elsewhere").rename(directory)
    (directory / "a.onnx").unlink()
    assert look_at(known, directory) == {"b.onnx": "b.onnx"}
    clock.now += 2 * KEEP_SECONDS
    assert look_at(known, directory) == {"b.onnx": "b.onnx"}
    assert caplog.records[-1].getMessage() == f"{directory} can be read again."


def test_a_directory_that_is_replaced_by_another_with_files_is_believed(
    known: KnownFiles, directory: Path
) -> None:
    look_at(known, directory)
    unmount(directory)
    directory.mkdir()
    (directory / "c.onnx").write_text("c", "utf-8")
    assert look_at(known, directory) == {"c.onnx": "c"}
    assert known.stamp(directory / "a.onnx") is None


def test_a_trouble_is_logged_once_not_at_each_look(
    known: KnownFiles, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    known.names(directory)
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", failing(errno.ESTALE))
        for _ in range(5):
            known.names(directory)
    for _ in range(5):
        known.names(directory)
    assert [record.getMessage() for record in caplog.records] == [
        f"{directory} cannot be read now: {os.strerror(errno.ESTALE)}. What is known of it stays.",
        f"{directory} can be read again.",
    ]


def test_a_directory_that_never_existed_is_empty_and_no_trouble(known: KnownFiles, tmp_path: Path) -> None:
    assert known.names(tmp_path / "none") == frozenset()
    assert not known.is_away(tmp_path / "none")
    assert not known.troubles


def test_a_loop_of_links_is_no_absence(known: KnownFiles, directory: Path) -> None:
    path = directory / "a.onnx"
    before = known.stamp(path)
    path.unlink()
    path.symlink_to(path)
    assert known.stamp(path) == before
    with pytest.raises(FileNotFoundError):
        known.read(directory / "none.onnx", read_text)


def test_absence_is_certain_or_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_absent(directory / "a.onnx")
    assert is_absent(directory / "c.onnx")
    assert is_absent(directory / "a.onnx" / "below a file")
    (directory / "c.onnx").symlink_to(directory / "nowhere")
    assert not is_absent(directory / "c.onnx")
    monkeypatch.setattr(Path, "lstat", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        is_absent(directory / "a.onnx")


def test_a_directory_in_trouble_is_logged_once_not_for_each_of_its_files(
    known: KnownFiles, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = look_at(known, directory)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", failing(errno.ENOTCONN))
        assert look_at(known, directory) == before
        assert len(known.troubles) == 3
    assert look_at(known, directory) == before
    assert not known.troubles
    assert len(caplog.records) == 2
