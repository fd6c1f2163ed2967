"""A data directory in sync with a bucket that is a directory; tests/contract/test_bucket.py has one of S3."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.buckets import (
    BLEND,
    FILES,
    OTHER_BLEND,
    VOICE,
    DirectoryBucket,
    make_older,
    sync_of,
    visible,
    voice_file,
)
from wyoming_tts.settings import SettingsError
from wyoming_tts.voices.bucket import object_store
from wyoming_tts.voices.bucket.object_store import BucketError, ObjectRefused, ObjectStore
from wyoming_tts.voices.bucket.sync import SyncOptions, SyncReport, SyncState

BOTH_WAYS = SyncOptions(may_push=True)
ENDINGS = (".onnx", ".onnx.json")
PUSH_ONLY = SyncOptions(may_pull=False, may_push=True)


@pytest.fixture
def bucket(tmp_path: Path) -> DirectoryBucket:
    (tmp_path / "bucket").mkdir()
    return DirectoryBucket(tmp_path / "bucket")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


async def test_a_voice_is_brought_once_and_again_when_it_changes(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()

    assert (await sync_of(here, bucket.url).run_once()).brought == (FILES[1], FILES[0])
    assert [(here / name).read_bytes() for name in FILES] == [voice_file(name) for name in FILES]
    assert await sync_of(here, bucket.url).run_once() == SyncReport()

    bucket.put(FILES[1], voice_file(FILES[1]) + b"\n")
    inode = (here / FILES[1]).stat().st_ino
    assert (await sync_of(here, bucket.url).run_once()).brought == (FILES[1], FILES[0])
    assert (here / FILES[1]).read_bytes() == voice_file(FILES[1]) + b"\n"
    assert (here / FILES[1]).stat().st_ino != inode, "a file that is open is replaced, not written"
    assert not [path for path in (here / ".sync").iterdir() if path.is_dir()]


async def test_what_is_half_written_or_tampered_with_never_becomes_a_voice(
    bucket: DirectoryBucket, here: Path
) -> None:
    half = voice_file(FILES[0])[:-100]
    other = voice_file("de_DE-tones-low.onnx")
    for model, sums, reason in (
        (half, None, f"{FILES[0]} is broken"),
        (b"", None, f"{FILES[0]} is broken: it is empty"),
        (other, {}, ""),
        (voice_file(FILES[0]), {FILES[0]: "0" * 64}, f"{FILES[0]} has not the digest that SHA256SUMS says"),
    ):
        bucket.put_voice()
        bucket.put(FILES[0], model)
        if sums is not None:
            bucket.put_sums(**sums)
        report = await sync_of(here, bucket.url).run_once()
        if reason:
            assert report.problems[0].startswith(reason)
            assert report.brought == ()
        before = visible(here)
    assert before == sorted(FILES)
    assert (here / FILES[0]).read_bytes() == other, "the voice of before stays"


async def test_what_is_unfit_is_not_brought_again_before_it_is_changed(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamed = []
    stream = ObjectStore.stream

    def noted(store: ObjectStore, name: str) -> AbstractAsyncContextManager[Any]:
        streamed.append(name)
        return stream(store, name)

    monkeypatch.setattr(ObjectStore, "stream", noted)
    bucket.put_voice()
    bucket.put(FILES[0], voice_file(FILES[0])[:-100])
    sync = sync_of(here, bucket.url)
    first, second = await sync.run_once(), await sync.run_once()
    assert (first.problems, len(streamed)) == (second.problems, len(FILES))
    assert not [path for path in (here / ".sync").iterdir() if path.is_dir()], "it takes no space"

    bucket.put_voice()
    bucket.put_sums(**{FILES[0]: "0" * 64})
    assert "has not the digest" in (await sync.run_once()).problems[0]
    bucket.put_sums()  # the list was wrong, not the voice
    assert sorted((await sync.run_once()).brought) == sorted(FILES)


async def test_a_sum_list_that_is_none_stops_the_sync(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()
    for content, told in ((b"garbage\n", "SHA256SUMS, line 1"), (b"\xff\xfe", "SHA256SUMS: expected UTF-8")):
        bucket.put("SHA256SUMS", content)
        with pytest.raises(BucketError, match=told):
            await sync_of(here, bucket.url).run_once()
    assert visible(here) == []


async def test_only_what_was_brought_and_not_changed_since_is_deleted(
    bucket: DirectoryBucket, here: Path
) -> None:
    mine = "de_DE-tones-low"
    for ending in ENDINGS:
        (here / f"{mine}{ending}").write_bytes(voice_file(f"{mine}{ending}"))
        bucket.put(f"{mine}{ending}", voice_file(f"{VOICE}{ending}"))
        bucket.put(f"en_US-letters-low{ending}", voice_file(f"en_US-letters-low{ending}"))
    bucket.put_voice()

    report = await sync_of(here, bucket.url).run_once()
    assert report.kept == (f"{mine}.onnx.json", f"{mine}.onnx")
    assert (here / f"{mine}.onnx").read_bytes() == voice_file(f"{mine}.onnx")

    (here / FILES[1]).write_bytes(voice_file(FILES[1]) + b" ")  # the user's from now on
    for name in (*FILES, f"{mine}.onnx", f"{mine}.onnx.json"):
        (bucket.path / name).unlink()
    assert (await sync_of(here, bucket.url).run_once()).deleted == (FILES[0],)
    left = [f"en_US-letters-low{ending}" for ending in (".onnx", ".onnx.json")]
    assert visible(here) == sorted([FILES[1], f"{mine}.onnx", f"{mine}.onnx.json", *left])

    for name in left:
        (bucket.path / name).unlink()
    assert (await sync_of(here, bucket.url).run_once()).deleted == (), "an empty one may be wrong"
    assert set(left) <= set(visible(here))


async def test_other_names_are_refused(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()
    bucket.put("notes.txt", b"x")
    bucket.put("-rf.onnx", b"x")
    (bucket.path / "..x.onnx").write_bytes(b"x")

    report = await sync_of(here, bucket.url).run_once()
    assert sorted(report.problems) == [
        "-rf.onnx: not a name of a voice file",
        "..x.onnx: not a name of a voice file",
        "notes.txt: not a name of a voice file",
    ]
    assert visible(here) == sorted(FILES)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"new\nline.onnx", r"new\nline.onnx: not a name of a voice file"),
        (b"\x1b[31m.bin", r"\x1b[31m.bin: not a name of a voice file"),
        (b"\xff\xfe.bin", r"\udcff\udcfe.bin: not a name of a voice file"),
        (b"styles/two\nlines.npy", r"styles/two\nlines.npy: not a name of a voice file"),
        (b"a\nfolder/file", None),
    ],
)
async def test_an_odd_name_in_a_directory_costs_nothing_else(
    bucket: DirectoryBucket, here: Path, name: bytes, told: str | None
) -> None:
    bucket.put_voice()
    assert sorted((await sync_of(here, bucket.url).run_once()).brought) == sorted(FILES)
    bucket.put(os.fsdecode(name), b"x")
    report = await sync_of(here, bucket.url).run_once()
    assert report == SyncReport(problems=(told,) if told else ()), "what is here is known by its version"


async def test_links_that_lead_nowhere_cost_nothing(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()
    (bucket.path / "circle.bin").symlink_to("circle.bin")
    (bucket.path / "gone.bin").symlink_to("nowhere.bin")
    report = await sync_of(here, bucket.url).run_once()
    assert (sorted(report.brought), report.problems) == (sorted(FILES), ())


async def test_a_file_that_cannot_be_read_costs_no_other_and_one_line(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(bucket.path / "a-pipe.bin")
    os.mkfifo(bucket.path / "blends.yaml")
    bucket.put("z-refused.bin", b"x")
    bucket.put("lexicon.yaml", b"en:\n  kWh: kilowatt hours\n")
    bucket.put_voice()
    _refuse(monkeypatch, "z-refused.bin")
    report = await sync_of(here, bucket.url).run_once()
    assert set(report.brought) == {*FILES, "lexicon.yaml"}
    assert report.problems == (
        "a-pipe.bin is no file",
        "z-refused.bin: Permission denied (os error 13)",
        "blends.yaml is no file",
    )
    sync = sync_of(here, bucket.url)
    for _ in range(2):
        await sync._run_and_tell(_nothing)
    assert caplog.text.count("z-refused.bin") == 1
    assert not [path for path in (here / ".sync").iterdir() if path.is_dir()]


def _refuse(monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    """Have one file be refused, as the system does; not to root, as whom these tests may run."""
    get = ObjectStore._get

    async def refuse(store: ObjectStore, client: Any, name: str) -> Any:
        if name == refused:
            raise type("PermissionDeniedError", (Exception,), {})("Permission denied (os error 13)\n\nmore")
        return await get(store, client, name)

    monkeypatch.setattr(ObjectStore, "_get", refuse)


@pytest.mark.parametrize(
    ("kind", "message", "meaning"),
    [
        ("PermissionDeniedError", "403", ObjectRefused),
        ("GenericError", "Generic LocalFileSystem error: Permission denied (os error 13)", ObjectRefused),
        ("GenericError", "<Code>KMS.Disabled</Code><Message>No key.</Message>", ObjectRefused),
        ("GenericError", "Generic S3 error: error sending request", BucketError),
    ],
)
def test_a_failure_is_the_objects_where_the_bucket_has_answered(
    kind: str, message: str, meaning: type[BucketError]
) -> None:
    failure = type(kind, (Exception,), {})(message)
    assert object_store._kind_of(failure, "a.bin") is meaning
    assert object_store._kind_of(failure, "") is BucketError


async def test_a_voice_for_which_there_is_no_room_keeps_no_other_away(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_voice()
    bucket.put("a-large.bin", voice_file(FILES[0]) * 9)
    free = len(voice_file(FILES[0])) * 5
    monkeypatch.setattr("wyoming_tts.voices.bucket.staging._DISK_RESERVE", 0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free, 0, free))
    report = await sync_of(here, bucket.url).run_once()
    assert sorted(report.brought) == sorted(FILES)
    assert [problem.partition(": ")[0] for problem in report.problems] == ["a-large.bin"]
    assert "not enough disk space" in report.problems[0]


class Usage(NamedTuple):
    """As `shutil.disk_usage` tells it."""

    total: int
    used: int
    free: int


async def test_a_folder_in_place_of_a_voice_is_the_users_own(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()
    (here / FILES[0]).mkdir()
    bucket.put("lexicon.yaml", b"en:\n  kWh: kilowatt hours\n")
    report = await sync_of(here, bucket.url).run_once()
    assert (set(report.kept), report.brought) == (set(FILES), ("lexicon.yaml",))


class _Killed(BaseException):
    """In place of SIGKILL: nothing catches it."""


async def test_a_sync_that_is_killed_leaves_the_old_voice_or_the_new_one(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each of its renames; the next start installs what was ready, also without the bucket."""
    old, new = ([voice_file(f"{name}{ending}") for ending in ENDINGS] for name in (VOICE, "de_DE-tones-low"))
    away, rename, left = bucket.path.with_name("away"), Path.replace, [0]

    def replace(self: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise _Killed
        return rename(self, target)

    kills = 0
    for number in range(1, 10):
        bucket.put_voice()
        await sync_of(here, bucket.url).run_once()
        for ending, content in zip(ENDINGS, new, strict=True):
            bucket.put(f"{VOICE}{ending}", content)
        left[0] = number
        monkeypatch.setattr(Path, "replace", replace)
        try:
            await sync_of(here, bucket.url).run_once()
        except _Killed:
            kills += 1
        monkeypatch.undo()
        rename(bucket.path, away)
        with pytest.raises(BucketError):
            await sync_of(here, bucket.url).run_once()
        assert [(here / f"{VOICE}{ending}").read_bytes() for ending in ENDINGS] in (old, new)
        rename(away, bucket.path)
        await sync_of(here, bucket.url).run_once()
        assert [(here / f"{VOICE}{ending}").read_bytes() for ending in ENDINGS] == new
        assert visible(here) == sorted(FILES)
    assert kills >= 4, "the staging directory, the record and both files were renamed"


async def test_blends_and_lexicon_go_both_ways(bucket: DirectoryBucket, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "blends.yaml").write_bytes(BLEND)
    (one / "lexicon.yaml").write_text("en:\n  kWh: kilowatt hours\n")

    both = ("blends.yaml", "lexicon.yaml")
    assert (await sync_of(one, bucket.url, PUSH_ONLY).run_once()).pushed == both
    assert (await sync_of(two, bucket.url).run_once()).brought == both
    assert (two / "blends.yaml").read_bytes() == BLEND

    (two / "blends.yaml").write_bytes(OTHER_BLEND)
    make_older(two / "blends.yaml", 60)
    bucket.put("blends.yaml", b"# " + BLEND)
    assert (await sync_of(two, bucket.url, PUSH_ONLY).run_once()).kept == ("blends.yaml",), (
        "there it is newer"
    )
    bucket.put("blends.yaml", BLEND)
    (two / "blends.yaml").write_bytes(OTHER_BLEND)
    assert (await sync_of(two, bucket.url).run_once()).kept == ("blends.yaml",), "it may not push"
    assert (await sync_of(two, bucket.url, BOTH_WAYS).run_once()).pushed == ("blends.yaml",)
    assert (await sync_of(one, bucket.url, BOTH_WAYS).run_once()).brought == ("blends.yaml",)
    assert (one / "blends.yaml").read_bytes() == OTHER_BLEND
    assert [path.read_bytes() for path in (bucket.path / "versions" / "blends.yaml").iterdir()] == [BLEND]


async def test_of_two_changes_the_newest_wins_and_the_other_is_kept(
    bucket: DirectoryBucket, tmp_path: Path
) -> None:
    for local_is_newer in (True, False):
        here = tmp_path / f"here-{local_is_newer}"
        here.mkdir()
        bucket.put("blends.yaml", OTHER_BLEND, age=60 if local_is_newer else 0)
        (here / "blends.yaml").write_bytes(BLEND)
        if not local_is_newer:
            make_older(here / "blends.yaml", 60)

        report = await sync_of(here, bucket.url, BOTH_WAYS).run_once()
        winner, loser = (BLEND, OTHER_BLEND) if local_is_newer else (OTHER_BLEND, BLEND)
        assert (report.pushed, report.brought)[not local_is_newer] == ("blends.yaml",)
        assert (here / "blends.yaml").read_bytes() == winner == (bucket.path / "blends.yaml").read_bytes()
        versions = (bucket.path / "versions" / "blends.yaml").iterdir()
        assert loser in [path.read_bytes() for path in versions]


async def test_a_malformed_shared_file_goes_nowhere(bucket: DirectoryBucket, here: Path) -> None:
    (here / "blends.yaml").write_bytes(BLEND)
    await sync_of(here, bucket.url, BOTH_WAYS).run_once()

    (here / "blends.yaml").write_bytes(b"blends: [")
    report = await sync_of(here, bucket.url, BOTH_WAYS).run_once()
    assert report.problems[0].startswith("blends.yaml is malformed")
    assert (bucket.path / "blends.yaml").read_bytes() == BLEND
    bucket.put("lexicon.yaml", b"words: [")
    assert len((await sync_of(here, bucket.url, BOTH_WAYS).run_once()).problems) == 2
    assert visible(here) == ["blends.yaml"]


async def test_a_bucket_that_goes_away_costs_a_line_and_comes_back(
    bucket: DirectoryBucket, here: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    away = bucket.path.with_name("away")
    bucket.path.rename(away)
    sync, changes, rounds = sync_of(here, bucket.url), asyncio.Event(), asyncio.Queue[None]()

    async def on_change() -> None:
        changes.set()

    async def wait(self: object, seconds: float, before: object) -> None:
        await rounds.get()

    monkeypatch.setattr(type(sync), "_wait", wait)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(sync.run(on_change, 300.0))
        await sync.first_round_over.wait()
        assert sync.status.state is SyncState.FAILED
        rounds.put_nowait(None)
        away.rename(bucket.path)
        bucket.put_voice()
        rounds.put_nowait(None)
        await changes.wait()
        running.cancel()
    assert visible(here) == sorted(FILES)
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert bucket.url in warnings[0]


async def _nothing() -> None:
    pass


async def test_one_data_directory_is_synced_by_one_process(bucket: DirectoryBucket, here: Path) -> None:
    bucket.put_voice()
    one, two = sync_of(here, bucket.url), sync_of(here, bucket.url)

    async with one._exclusive():
        with pytest.raises(BucketError, match="another process"):
            await two.run_once()
        await two._run_and_tell(_nothing)
    assert two.status.error == "", "a server that shares the directory has it in sync"


async def test_an_unforeseen_failure_does_not_end_the_server(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = sync_of(here, bucket.url)
    monkeypatch.setattr(type(sync), "_list", lambda self: 1 / 0)

    await sync._run_and_tell(_nothing)
    assert (sync.status.state, sync.status.error) == (
        SyncState.FAILED,
        repr(ZeroDivisionError("division by zero")),
    )


async def test_a_group_that_was_damaged_while_it_was_ready_is_brought_again(
    bucket: DirectoryBucket, here: Path
) -> None:
    bucket.put_voice()
    ready = here / ".sync" / f"{FILES[0]}.ready"
    ready.mkdir(parents=True)
    (ready / "entries.json").write_bytes(b"")
    (ready / FILES[0]).write_bytes(b"half")

    assert (await sync_of(here, bucket.url).run_once()).brought == (FILES[1], FILES[0])
    assert (here / FILES[0]).read_bytes() == voice_file(FILES[0])


def test_without_the_package_it_is_said_how_to_install_it(
    bucket: DirectoryBucket, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setattr(object_store, "find_spec", lambda name: None)

    with pytest.raises(SettingsError, match=r"pip install 'wyoming-tts\[bucket\]'"):
        sync_of(here, bucket.url)


def test_a_bucket_is_named_without_credentials(tmp_path: Path) -> None:
    for url in ("s3://key:secret@bucket/x", "s3://", "https://bucket", "file://host/x", "gs://b/x?key=1"):
        with pytest.raises(ValueError) as error:
            sync_of(tmp_path, url)
        assert "key:secret" not in str(error.value).replace(url, "")
    assert not [*tmp_path.iterdir()]
