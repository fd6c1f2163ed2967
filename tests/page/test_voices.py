"""Voices fetched, brought along, chosen and thrown away, and the lexicon edited, on real parts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.support.fake_synthesizer import run_in_thread
from tests.support.hub import Behaviour, FakeHub
from tests.support.parts import running_parts
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, SpeechError, TooLong, UnknownVoice, VoiceUnavailable
from wyoming_tts.page import voices_uploads as voice_uploads
from wyoming_tts.page.lexicon import LexiconChanged, checked_text
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.page.voices import VoiceRow, VoiceService
from wyoming_tts.page.voices_routes import voice_routes
from wyoming_tts.page.voices_uploads import WAITING, UploadRange, VoiceUploads
from wyoming_tts.server.voice_upkeep import maintain_voices
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.transports.http.errors import install_error_handlers
from wyoming_tts.voices.catalogue import Catalogue, CatalogueFile, CatalogueVoice
from wyoming_tts.voices.download.downloads import DownloadState
from wyoming_tts.voices.download.hub import HUB

_NOTE = bytes(200_000)
# A doc_string of ONNX, field 6: nobody reads it, and the file is as long as is needed here.
MODEL = (
    (VOICES / f"{LETTERS.name}.onnx").read_bytes()
    + b"\x32"
    + bytes([len(_NOTE) & 0x7F | 0x80, len(_NOTE) >> 7 & 0x7F | 0x80, len(_NOTE) >> 14])
    + _NOTE
)
CONFIG = (VOICES / f"{LETTERS.name}.onnx.json").read_bytes()
FETCHED = "en_US-fetched-low"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data directory of our own, with two voices."""
    home = tmp_path / "data"
    home.mkdir()
    for name in (LETTERS.name, LOW.name):
        for end in (".onnx", ".onnx.json"):
            shutil.copy(VOICES / f"{name}{end}", home)
    return home


def names(directory: Path, pattern: str = "*") -> list[str]:
    return sorted(path.name for path in directory.glob(pattern))


@pytest.fixture
async def parts(home: Path) -> AsyncIterator[Parts]:
    async with running_parts(data_dir=[home], download_dir=home) as parts:
        yield parts


@pytest.fixture
def desk(parts: Parts) -> VoiceService:
    return VoiceService(parts)


async def row(desk: VoiceService, name: str) -> VoiceRow | None:
    return next((voice for voice in (await desk.shelf()).voices if voice.name == name), None)


async def pieces(content: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


# The shelf


async def test_the_shelf_holds_what_is_here_and_what_could_be(desk: VoiceService) -> None:
    shelf = await desk.shelf()
    here = await row(desk, LETTERS.name)
    away = await row(desk, "de_DE-thorsten-medium")
    assert here is not None
    assert away is not None
    assert (here.is_installed, here.is_default, here.is_removable, here.in_catalogue) == (
        True,
        True,
        True,
        False,
    )
    assert (here.language, here.engine, here.quality) == ("en_US", "piper", "low")
    assert here.size == sum(path.stat().st_size for path in VOICES.glob(f"{LETTERS.name}.onnx*"))
    assert (away.is_installed, away.is_removable, away.in_catalogue) == (False, False, True)
    assert away.quality == "medium"
    assert away.size is not None
    assert away.size > 10_000_000
    assert away.sample == sample_sentence("de_DE") != sample_sentence("en_US")
    assert len(shelf.voices) > 200
    assert shelf.used > here.size
    assert shelf.free > 0
    json.dumps(shelf.directory)


async def test_every_language_of_the_catalogue_has_a_sample(parts: Parts) -> None:
    languages = {voice.language for voice in parts.known.catalogue.voices}
    assert not [tag for tag in languages if sample_sentence(tag) == sample_sentence("xx")]


async def test_a_broken_file_is_told_with_its_reason(desk: VoiceService, parts: Parts, home: Path) -> None:
    (home / "torn.onnx").write_bytes(MODEL[:1000])
    (home / "torn.onnx.json").write_bytes(CONFIG)
    before = desk.news().revision
    await parts.refresh_voices()
    shelf = await desk.shelf()
    assert shelf.revision != before
    (torn,) = shelf.broken
    assert (torn.name, torn.size) == ("torn", 1000)
    assert "not complete" in torn.reason
    planned = await desk.plan_removal("torn")
    await desk.remove("torn", planned.files)
    assert (await desk.shelf()).broken == ()
    assert not (home / "torn.onnx.json").exists()


async def test_the_revision_stays_while_nothing_changes(desk: VoiceService, parts: Parts) -> None:
    before = (await desk.shelf()).revision
    await parts.refresh_voices()
    assert desk.news().revision == before


# Downloads


def catalogue_file(path: str, content: bytes) -> CatalogueFile:
    return CatalogueFile(path, f"{HUB}/{path}", len(content), f"md5:{hashlib.md5(content).hexdigest()}")


def known(hub: FakeHub, name: str = FETCHED) -> CatalogueVoice:
    files = {f"voices/{name}.onnx": MODEL, f"voices/{name}.onnx.json": CONFIG}
    hub.files |= {f"/{path}": content for path, content in files.items()}
    return CatalogueVoice(
        name,
        "piper",
        "en_US",
        "low",
        1,
        tuple(catalogue_file(path, content) for path, content in files.items()),
    )


@asynccontextmanager
async def tended(home: Path, hub: FakeHub) -> AsyncIterator[tuple[Parts, VoiceService]]:
    async with (
        running_parts(data_dir=[home], download_dir=home, offline=False, hub_endpoint=hub.url) as parts,
        asyncio.TaskGroup() as tasks,
    ):
        parts.known.catalogue = Catalogue((known(hub), known(hub, "en_US-second-low")))
        tending = tasks.create_task(maintain_voices(parts))
        await until(lambda: parts.readiness.is_ready)
        yield parts, VoiceService(parts)
        tending.cancel()


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not happened():  # noqa: ASYNC110 - what is looked at is what a page looks at
            await asyncio.sleep(0.01)


async def until_listed(desk: VoiceService, name: str) -> VoiceRow:
    async with asyncio.timeout(20):
        while True:
            found = await row(desk, name)
            if found is not None and found.is_installed:
                return found
            await asyncio.sleep(0.01)


async def test_a_voice_is_fetched_with_its_progress_and_listed(home: Path) -> None:
    async with FakeHub() as hub, tended(home, hub) as (parts, desk):
        model = Behaviour(hold_after=10_000)
        hub.plan.extend([Behaviour(), model])
        desk.download(FETCHED)
        (first,) = desk.news().downloads
        assert (first.voice, first.state, first.total) == (FETCHED, "waiting", len(MODEL) + len(CONFIG))
        await model.held.wait()
        await until(lambda: desk.news().downloads[0].received >= len(CONFIG) + 10_000)
        (now,) = desk.news().downloads
        assert now.state is DownloadState.RUNNING
        assert now.bytes_per_second > 0
        model.released.set()
        listed = await until_listed(desk, FETCHED)
        assert listed.in_catalogue
        assert desk.news().downloads == ()
        assert parts.library.is_installed(FETCHED)


async def test_a_cancelled_download_is_gone_and_goes_on_later(home: Path) -> None:
    async with FakeHub() as hub, tended(home, hub) as (_, desk):
        model = Behaviour(hold_after=10_000)
        hub.plan.extend([Behaviour(), model])
        desk.download(FETCHED)
        await model.held.wait()
        desk.cancel(FETCHED)
        assert desk.news().downloads == ()
        with pytest.raises(UnknownVoice):
            desk.cancel(FETCHED)
        desk.download(FETCHED)
        await until_listed(desk, FETCHED)
        assert (home / f"{FETCHED}.onnx").read_bytes() == MODEL


async def test_cancelling_one_leaves_the_other(home: Path) -> None:
    async with FakeHub() as hub, tended(home, hub) as (_, desk):
        holding = Behaviour(hold_after=0)
        hub.plan.append(holding)
        desk.download(FETCHED)
        await holding.held.wait()
        desk.download("en_US-second-low")
        desk.cancel(FETCHED)
        await until_listed(desk, "en_US-second-low")
        assert not (home / f"{FETCHED}.onnx").exists()


async def test_a_failed_download_stays_to_be_read_until_it_is_dismissed(home: Path) -> None:
    async with FakeHub() as hub, tended(home, hub) as (_, desk):
        hub.plan.append(Behaviour(status=404))
        desk.download(FETCHED)
        await until(lambda: desk.news().downloads[0].state is DownloadState.FAILED)
        assert "404" in desk.news().downloads[0].error
        desk.cancel(FETCHED)
        assert desk.news().downloads == ()


async def test_nothing_is_fetched_offline_or_without_a_server_that_tends(
    desk: VoiceService, home: Path
) -> None:
    with pytest.raises(VoiceUnavailable, match="offline"):
        desk.download("de_DE-thorsten-medium")
    async with running_parts(data_dir=[home], offline=False) as untended:
        with pytest.raises(VoiceUnavailable, match="starting or stopping"):
            VoiceService(untended).download("de_DE-thorsten-medium")


# Uploads


@pytest.fixture
def uploads(home: Path) -> VoiceUploads:
    return uploads_into(home)


def uploads_into(home: Path, free: int = 10**12) -> VoiceUploads:
    async def told() -> None:
        pass

    return VoiceUploads(
        home,
        run_blocking=run_in_thread,
        why_taken=lambda _: "",
        on_installed=told,
        free_space=lambda _: free,
    )


async def brought(
    uploads: VoiceUploads, name: str, *, model: bytes = MODEL, config: bytes = CONFIG
) -> str | None:
    await uploads.receive(f"{name}.onnx.json", pieces(config), UploadRange(total=len(config)))
    return (await uploads.receive(f"{name}.onnx", pieces(model), UploadRange(total=len(model)))).voice


async def test_a_voice_that_is_brought_speaks(desk: VoiceService, parts: Parts, home: Path) -> None:
    assert await brought(desk.uploads, "en_US-brought-low") == "en_US-brought-low"
    assert await row(desk, "en_US-brought-low")
    assert (home / "en_US-brought-low.onnx").read_bytes() == MODEL
    assert parts.library.is_installed("en_US-brought-low")
    assert (await desk.make_default("en_US-brought-low")).name == "en_US-brought-low"
    assert names(home / WAITING) == []


async def test_a_file_in_parts_is_put_together(uploads: VoiceUploads, home: Path) -> None:
    half = len(MODEL) // 2
    await uploads.receive("parts.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    first = await uploads.receive("parts.onnx", pieces(MODEL[:half]), UploadRange(0, len(MODEL)))
    assert (first.received, first.voice) == (half, None)
    with pytest.raises(BadRequest, match=f"goes on at byte {half}"):
        await uploads.receive("parts.onnx", pieces(MODEL[half + 1 :]), UploadRange(half + 1, len(MODEL)))
    last = await uploads.receive("parts.onnx", pieces(MODEL[half:]), UploadRange(half, len(MODEL)))
    assert (last.received, last.voice) == (len(MODEL), "parts")
    assert (home / "parts.onnx").read_bytes() == MODEL


async def test_a_part_that_breaks_off_can_be_sent_again(uploads: VoiceUploads) -> None:
    async def breaking() -> AsyncIterator[bytes]:
        yield MODEL[1000:2000]
        raise ConnectionResetError

    await uploads.receive("torn.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    await uploads.receive("torn.onnx", pieces(MODEL[:1000]), UploadRange(0, len(MODEL)))
    with pytest.raises(ConnectionResetError):
        await uploads.receive("torn.onnx", breaking(), UploadRange(1000, len(MODEL)))
    rest = await uploads.receive("torn.onnx", pieces(MODEL[1000:]), UploadRange(1000, len(MODEL)))
    assert rest.voice == "torn"


@pytest.mark.parametrize(
    ("model", "config", "reason"),
    [
        (MODEL[:1200], CONFIG, "not complete"),
        (b"\x80\x04cos\nsystem\n(S'true'\ntR.", CONFIG, "no voice"),
        (MODEL, b"{", "json is broken"),
        (MODEL, b"[]", "phoneme_id_map"),
        (MODEL, b'{"phoneme_id_map": {}}', "no voice"),
    ],
    ids=["torn", "pickle", "no json", "no mapping", "no config"],
)
async def test_files_that_are_no_voice_are_refused_and_leave_nothing(
    uploads: VoiceUploads, home: Path, model: bytes, config: bytes, reason: str
) -> None:
    before = names(home, "[!.]*")
    with pytest.raises(BadRequest, match=reason):
        await brought(uploads, "bad", model=model, config=config)
    assert names(home, "[!.]*") == before
    assert names(home / WAITING) == []


@pytest.mark.parametrize(
    "name",
    [
        "../x.onnx",
        "x",
        ".x.onnx",
        "x/y.onnx",
        "x.onnx.json.exe",
        "a+b.onnx",
        "x#1.onnx",
        "x\0.onnx",
        "",
        ".onnx",
    ],
)
async def test_bad_names_are_refused(uploads: VoiceUploads, home: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        await uploads.receive(name, pieces(MODEL), UploadRange(total=len(MODEL)))
    assert not (home / WAITING).exists()


async def test_a_name_that_is_taken_is_refused(desk: VoiceService, home: Path) -> None:
    with pytest.raises(BadRequest, match="already"):
        await brought(desk.uploads, LETTERS.name)
    (home / "left.onnx").write_bytes(b"x")
    with pytest.raises(BadRequest, match="already"):
        await brought(desk.uploads, "left")


async def test_a_model_without_its_json_is_refused_at_once(uploads: VoiceUploads) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(BadRequest, match="has to come first"):
        await uploads.receive("alone.onnx", unread(), UploadRange(total=len(MODEL)))


@pytest.mark.parametrize("total", [2001, None], ids=["told", "found out"])
async def test_a_file_that_is_too_large_is_refused(
    uploads: VoiceUploads, home: Path, monkeypatch: pytest.MonkeyPatch, total: int | None
) -> None:
    monkeypatch.setattr(voice_uploads, "CONFIG_BYTES", 2000)
    with pytest.raises(TooLong, match="larger than"):
        await uploads.receive("large.onnx.json", pieces(bytes(2001), 500), UploadRange(total=total))
    assert names(home, f"{WAITING}/**/*.part") == []


async def test_a_body_larger_than_was_said_is_refused(uploads: VoiceUploads) -> None:
    with pytest.raises(BadRequest, match="more came"):
        await uploads.receive("more.onnx.json", pieces(CONFIG), UploadRange(total=100))


async def test_a_full_disk_is_told_before_anything_is_written(home: Path) -> None:
    with pytest.raises(BadRequest, match="are free"):
        await uploads_into(home, free=16_000_100).receive(
            "x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG))
        )
    assert names(home, f"{WAITING}/**/*.part") == []


async def test_what_nobody_sent_the_rest_of_is_thrown_away(uploads: VoiceUploads, home: Path) -> None:
    await uploads.receive("old.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    os.utime(home / WAITING / "old", (0, 0))
    await uploads.receive("new.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
    assert names(home / WAITING) == ["new"]


async def test_two_uploads_of_one_voice_do_not_mix(uploads: VoiceUploads) -> None:
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        has_begun.set()
        await may_end.wait()
        yield CONFIG

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(uploads.receive("x.onnx.json", held(), UploadRange(total=len(CONFIG))))
        await has_begun.wait()
        with pytest.raises(BadRequest, match="being sent already"):
            await uploads.receive("x.onnx.json", pieces(CONFIG), UploadRange(total=len(CONFIG)))
        may_end.set()
    assert first.result().received == len(CONFIG)


# Removal and the default


async def test_a_voice_is_deleted_as_agreed(desk: VoiceService, parts: Parts, home: Path) -> None:
    planned = await desk.plan_removal(LOW.name)
    assert {Path(file).name for file in planned.files} == {f"{LOW.name}.onnx", f"{LOW.name}.onnx.json"}
    assert planned.size > 1000
    assert not planned.is_default
    with pytest.raises(BadRequest, match="Look again"):
        await desk.remove(LOW.name, planned.files[:1])
    assert parts.library.is_installed(LOW.name)
    await desk.remove(LOW.name, planned.files)
    assert not parts.library.is_installed(LOW.name)
    assert not (home / f"{LOW.name}.onnx").exists()
    with pytest.raises(UnknownVoice):
        await desk.plan_removal(LOW.name)


async def test_the_plan_says_that_the_default_voice_would_go(desk: VoiceService) -> None:
    assert (await desk.plan_removal(LETTERS.name)).is_default


async def test_what_has_no_files_is_not_deleted(desk: VoiceService) -> None:
    planned = await desk.plan_removal("espeak-en-us")
    assert planned.files == ()
    assert "built in" in planned.problems[0]
    with pytest.raises(BadRequest):
        await desk.remove("espeak-en-us", [])


async def test_another_default_speaks_at_once(desk: VoiceService, parts: Parts) -> None:
    changed = await desk.make_default(LOW.name)
    assert changed.line == f"voice: {LOW.name}"
    assert parts.library.resolve_now(VoiceRequest()).voice.name == LOW.name
    rows = (await desk.shelf()).voices
    assert [voice.name for voice in rows if voice.is_default] == [LOW.name]


async def test_a_default_that_cannot_speak_changes_nothing(
    desk: VoiceService, parts: Parts, home: Path
) -> None:
    (home / f"{LOW.name}.onnx").unlink()
    for name in (LOW.name, "de_DE-thorsten-medium", "nobody"):
        with pytest.raises(SpeechError):
            await desk.make_default(name)
    assert parts.library.resolve_now(VoiceRequest()).voice.name == LETTERS.name


# The lexicon

GOOD = "en:\n  kWh: kilowatt hours\n"


async def test_a_saved_lexicon_holds_at_once(desk: VoiceService, home: Path) -> None:
    empty = await desk.lexicon.load()
    assert (empty.text, empty.checked.entries) == ("", 0)
    saved = await desk.lexicon.save(GOOD, empty.version)
    assert (home / "lexicon.yaml").read_text() == GOOD
    assert saved.checked.entries == 1
    said = await desk.lexicon.said("It takes 6 kWh.")
    assert said.hits == ("kWh: kilowatt hours",)
    assert "kilowatt hours" in said.phonemes[0]
    assert await desk.lexicon.load() == saved
    assert names(home, ".*") == []


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("en:\n  kWh: [1]\n", 2, 8),
        ("en:\n  a: b\nnonsense!: {x: y}\n", 3, 1),
        ("en:\n  a: 'b\n", 3, 1),
        ("en:\n  a: b: c\n", 2, 7),
        ("en:\n\ta: b\n", 2, 1),
    ],
)
def test_mistakes_are_told_by_line_and_column(text: str, line: int, column: int) -> None:
    (problem,) = checked_text(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert problem.message


async def test_a_broken_lexicon_is_not_saved(desk: VoiceService, home: Path) -> None:
    loaded = await desk.lexicon.load()
    with pytest.raises(BadRequest, match="Line 2, column 8"):
        await desk.lexicon.save("en:\n  kWh: [1]\n", loaded.version)
    assert not (home / "lexicon.yaml").exists()


async def test_somebody_elses_change_is_not_written_over(desk: VoiceService, home: Path) -> None:
    loaded = await desk.lexicon.load()
    (home / "lexicon.yaml").write_text("de:\n  a: b\n")
    with pytest.raises(LexiconChanged):
        await desk.lexicon.save(GOOD, loaded.version)
    assert (home / "lexicon.yaml").read_text() == "de:\n  a: b\n"
    await desk.lexicon.save(GOOD, (await desk.lexicon.load()).version)
    assert (home / "lexicon.yaml").read_text() == GOOD


async def test_a_link_and_its_mode_outlive_saving(desk: VoiceService, home: Path, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.yaml"
    real.write_text("")
    real.chmod(0o600)
    (home / "lexicon.yaml").symlink_to(real)
    await desk.lexicon.save(GOOD, (await desk.lexicon.load()).version)
    assert (home / "lexicon.yaml").is_symlink()
    assert real.read_text() == GOOD
    assert real.stat().st_mode & 0o777 == 0o600


# Over HTTP


@pytest.fixture
async def client(desk: VoiceService) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(voice_routes(desk))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
        yield client


async def test_a_voice_comes_and_goes_over_http(client: AsyncClient) -> None:
    where = "/page/voices/upload/de_DE-brought-low.onnx"
    await client.post(f"{where}.json", content=(VOICES / f"{TONES.name}.onnx.json").read_bytes())
    model = (VOICES / f"{TONES.name}.onnx").read_bytes()
    first = {"Content-Range": f"bytes 0-999/{len(model)}"}
    rest = {"Content-Range": f"bytes 1000-{len(model) - 1}/{len(model)}"}
    assert (await client.post(where, content=model[:1000], headers=first)).json()["received"] == 1000
    told = await client.post(where, content=model[1000:], headers=rest)
    assert told.json()["voice"] == "de_DE-brought-low"
    listed = {voice["name"]: voice for voice in (await client.get("/page/voices")).json()["voices"]}
    assert listed["de_DE-brought-low"]["speakers"] == 3
    name = {"name": "de_DE-brought-low"}
    planned = (await client.post("/page/voices/plan-removal", json=name)).json()
    assert (
        await client.post("/page/voices/remove", json={**name, "files": planned["files"]})
    ).status_code == 200
    assert "de_DE-brought-low" not in (await client.get("/page/voices")).text


REFUSED: list[tuple[str, dict[str, Any], int]] = [
    ("voices/upload/..%2Fx.onnx", {"content": b"x"}, 404),
    ("voices/upload/x", {"content": b"x"}, 400),
    ("voices/upload/x.onnx.json", {"content": b"x", "headers": {"Content-Range": "bytes 5-1/9"}}, 400),
    (
        "voices/upload/x.onnx.json",
        {"content": b"x", "headers": {"Content-Range": "bytes 0-1/9999999999"}},
        413,
    ),
    ("voices/download", {"json": {"name": "nobody"}}, 503),
    ("voices/cancel", {"json": {"name": "nobody"}}, 404),
    ("voices/remove", {"json": {"name": LOW.name, "files": []}}, 400),
    ("voices/default", {"json": {"name": "nobody"}}, 404),
    ("voices/default", {"json": {}}, 400),
    ("lexicon/save", {"json": {"text": GOOD, "version": "other"}}, 400),
]


async def test_what_cannot_be_done_is_told(client: AsyncClient) -> None:
    answers = [(await client.post(f"/page/{path}", **given)).status_code for path, given, _ in REFUSED]
    assert answers == [status for _, _, status in REFUSED]


async def test_the_lexicon_is_edited_over_http(client: AsyncClient) -> None:
    loaded = (await client.get("/page/lexicon")).json()
    checked = (await client.post("/page/lexicon/check", json={"text": "en:\n  a: [1]\n"})).json()
    assert (checked["problems"][0]["line"], checked["problems"][0]["column"]) == (2, 6)
    saved = await client.post("/page/lexicon/save", json={"text": GOOD, "version": loaded["version"]})
    assert saved.json()["checked"]["entries"] == 1
    said = await client.post("/page/lexicon/said", json={"sentence": "One kWh."})
    assert said.json()["hits"] == ["kWh: kilowatt hours"]
