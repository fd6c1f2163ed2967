"""Voices listed, downloaded, removed and made the default by the page, on real parts."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.support.fake_hub import Behaviour, FakeHub
from tests.support.parts import running_parts, running_parts_of, settings_for_tests
from tests.support.tones import LETTERS, LOW, TONES, VOICES
from tests.support.voice_files import CONFIG, MODEL
from wyoming_tts.assembly.chosen_default import Choice, ChosenDefaultFile, keep_chosen_default
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, SpeechError, UnknownVoice, VoiceUnavailable
from wyoming_tts.known_files import KnownFiles
from wyoming_tts.page.sample_sentences import sample_sentence
from wyoming_tts.page.voice_routes import voice_routes
from wyoming_tts.page.voices import VoiceRow, VoiceService
from wyoming_tts.server.voice_upkeep import maintain_voices
from wyoming_tts.settings import Settings
from wyoming_tts.speech import VoiceRequest
from wyoming_tts.transports.http.errors import install_error_handlers
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.catalogue import Catalogue, CatalogueFile, CatalogueVoice
from wyoming_tts.voices.download.downloads import DownloadState, FailureCause
from wyoming_tts.voices.download.hub import HUB
from wyoming_tts.voices.library import DefaultVoice

FETCHED = "en_US-fetched-low"


@pytest.fixture
def service(parts: Parts) -> VoiceService:
    return VoiceService(parts)


async def row(service: VoiceService, name: str) -> VoiceRow | None:
    return next((voice for voice in (await service.view()).voices if voice.name == name), None)


# View


async def test_the_view_lists_installed_and_downloadable_voices(service: VoiceService) -> None:
    view = await service.view()
    installed = await row(service, LETTERS.name)
    downloadable = await row(service, "de_DE-thorsten-medium")
    assert installed is not None
    assert downloadable is not None
    assert (installed.is_installed, installed.is_default, installed.is_removable, installed.in_catalogue) == (
        True,
        True,
        True,
        False,
    )
    assert (installed.language, installed.engine, installed.quality) == ("en_US", "piper", "low")
    assert installed.size == sum(path.stat().st_size for path in VOICES.glob(f"{LETTERS.name}.onnx*"))
    assert (downloadable.is_installed, downloadable.is_removable, downloadable.in_catalogue) == (
        False,
        False,
        True,
    )
    assert downloadable.quality == "medium"
    assert downloadable.size is not None
    assert downloadable.size > 10_000_000
    assert downloadable.sample == sample_sentence("de_DE") != sample_sentence("en_US")
    assert len(view.voices) > 200
    assert view.used > installed.size
    assert view.free > 0
    json.dumps(view.directory)


async def test_the_view_tells_which_default_voice_is_absent_and_which_speaks_in_its_place(
    service: VoiceService, parts: Parts
) -> None:
    before = await service.view()
    assert before.absent_default == ""
    parts.library.change_default(DefaultVoice("en_US-lessac-medium"))
    view = await service.view()
    assert view.revision != before.revision
    assert view.absent_default == "en_US-lessac-medium"
    assert [voice.name for voice in view.voices if voice.is_default] == [LETTERS.name]


async def test_the_view_tells_whether_the_settings_or_a_user_name_the_default_voice(
    service: VoiceService, parts: Parts
) -> None:
    assert (await service.view()).default_is_chosen  # by the settings
    service = VoiceService(replace(parts, names_default=False))
    assert not (await service.view()).default_is_chosen
    parts.library.choose_default(DefaultVoice("espeak-de"))
    assert (await service.view()).default_is_chosen


async def test_presets_and_own_blends_are_told_from_voices_of_their_names(tmp_path: Path) -> None:
    shutil.copy(VOICES / "kokoro-tones.onnx", tmp_path)
    with np.load(VOICES / "voices-tones.bin") as pack, (tmp_path / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, af_heart=pack["af_test"], af_bella=pack["am_test"])
    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path) as parts:
        service = VoiceService(parts)
        preset = await row(service, "companion")
        await asyncio.to_thread(
            parts.blends.store.add, Blend("companion", parse_recipe("af_heart"), title="Für mich")
        )
        await parts.refresh_voices()
        own, heart = await row(service, "companion"), await row(service, "af_heart")
    assert preset is not None
    assert own is not None
    assert heart is not None
    assert (preset.is_preset, own.is_preset) == (True, False)
    assert (preset.is_blend, own.is_blend, heart.is_blend) == (True, True, False)
    assert (preset.title, own.title, heart.title) == ("", "Für mich", "")


async def test_every_language_of_the_catalogue_has_a_sample_sentence(parts: Parts) -> None:
    languages = {voice.language for voice in parts.catalogue.current.voices}
    assert not [tag for tag in languages if sample_sentence(tag) == sample_sentence("xx")]


async def test_a_broken_voice_file_is_listed_with_its_reason_and_can_be_removed(
    service: VoiceService, parts: Parts, data_dir: Path
) -> None:
    (data_dir / "torn.onnx").write_bytes(MODEL[:1000])
    (data_dir / "torn.onnx.json").write_bytes(CONFIG)
    before = service.update().revision
    await parts.refresh_voices()
    view = await service.view()
    assert view.revision != before
    (torn,) = view.broken
    assert (torn.name, torn.size) == ("torn", 1000)
    assert "not complete" in torn.reason
    planned = await service.plan_removal("torn")
    await service.remove("torn", planned.files)
    assert (await service.view()).broken == ()
    assert not (data_dir / "torn.onnx.json").exists()


async def test_a_refresh_without_changes_keeps_the_revision(service: VoiceService, parts: Parts) -> None:
    before = (await service.view()).revision
    await parts.refresh_voices()
    assert service.update().revision == before


# Downloads


def catalogue_file(path: str, content: bytes) -> CatalogueFile:
    return CatalogueFile(path, f"{HUB}/{path}", len(content), f"md5:{hashlib.md5(content).hexdigest()}")


def add_to_hub(hub: FakeHub, name: str = FETCHED) -> CatalogueVoice:
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
async def maintained_service(
    data_dir: Path, hub: FakeHub, *, offline: bool = False
) -> AsyncIterator[tuple[Parts, VoiceService]]:
    async with (
        running_parts(
            data_dir=[data_dir], download_dir=data_dir, offline=offline, hub_endpoint=hub.url
        ) as parts,
        asyncio.TaskGroup() as tasks,
    ):
        parts.catalogue.current = Catalogue((add_to_hub(hub), add_to_hub(hub, "en_US-second-low")))
        maintenance = tasks.create_task(maintain_voices(parts))
        await wait_until(lambda: parts.readiness.is_ready)
        yield parts, VoiceService(parts)
        maintenance.cancel()


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the page polls as well
            await asyncio.sleep(0.01)


async def wait_until_installed(service: VoiceService, name: str) -> VoiceRow:
    async with asyncio.timeout(20):
        while True:
            found = await row(service, name)
            if found is not None and found.is_installed:
                return found
            await asyncio.sleep(0.01)


async def test_a_download_reports_its_progress_and_installs_the_voice(data_dir: Path) -> None:
    async with FakeHub() as hub, maintained_service(data_dir, hub) as (parts, service):
        model = Behaviour(hold_after=10_000)
        hub.plan.extend([Behaviour(), model])
        service.download(FETCHED)
        (first,) = service.update().downloads
        assert (first.voice, first.state, first.total) == (FETCHED, "waiting", len(MODEL) + len(CONFIG))
        await model.held.wait()
        await wait_until(lambda: service.update().downloads[0].received >= len(CONFIG) + 10_000)
        (progress,) = service.update().downloads
        assert progress.state is DownloadState.RUNNING
        assert progress.bytes_per_second > 0
        model.released.set()
        listed = await wait_until_installed(service, FETCHED)
        assert listed.in_catalogue
        assert service.update().downloads == ()
        assert parts.library.is_installed(FETCHED)


async def test_a_cancelled_download_disappears_and_can_be_started_again(data_dir: Path) -> None:
    async with FakeHub() as hub, maintained_service(data_dir, hub) as (_, service):
        model = Behaviour(hold_after=10_000)
        hub.plan.extend([Behaviour(), model])
        service.download(FETCHED)
        await model.held.wait()
        service.cancel(FETCHED)
        assert service.update().downloads == ()
        with pytest.raises(UnknownVoice):
            service.cancel(FETCHED)
        service.download(FETCHED)
        await wait_until_installed(service, FETCHED)
        assert (data_dir / f"{FETCHED}.onnx").read_bytes() == MODEL


async def test_cancelling_one_download_leaves_the_other(data_dir: Path) -> None:
    async with FakeHub() as hub, maintained_service(data_dir, hub) as (_, service):
        holding = Behaviour(hold_after=0)
        hub.plan.append(holding)
        service.download(FETCHED)
        await holding.held.wait()
        service.download("en_US-second-low")
        service.cancel(FETCHED)
        await wait_until_installed(service, "en_US-second-low")
        assert not (data_dir / f"{FETCHED}.onnx").exists()


async def test_a_failed_download_stays_listed_until_it_is_dismissed(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FakeHub() as hub, maintained_service(data_dir, hub) as (_, service):
        hub.plan.append(Behaviour(status=404))
        service.download(FETCHED)
        await wait_until(lambda: service.update().downloads[0].state is DownloadState.FAILED)
        (failed,) = service.update().downloads
        assert "404" in failed.error
        assert failed.cause is FailureCause.REFUSED
        assert caplog.text.count("could not be downloaded") == 1
        service.cancel(FETCHED)
        assert service.update().downloads == ()


async def test_a_download_of_a_server_that_is_set_to_be_offline_fails_for_that_cause(data_dir: Path) -> None:
    async with FakeHub() as hub, maintained_service(data_dir, hub, offline=True) as (_, service):
        service.download(FETCHED)
        await wait_until(lambda: service.update().downloads[0].state is DownloadState.FAILED)
        assert service.update().downloads[0].cause is FailureCause.OFFLINE
        assert hub.requests == []


async def test_downloads_are_refused_without_running_maintenance(data_dir: Path) -> None:
    async with running_parts(data_dir=[data_dir], offline=False) as unmaintained_parts:
        with pytest.raises(VoiceUnavailable, match="starts or stops"):
            VoiceService(unmaintained_parts).download("de_DE-thorsten-medium")


# Removal and the default


async def test_removal_deletes_exactly_the_planned_files(
    service: VoiceService, parts: Parts, data_dir: Path
) -> None:
    planned = await service.plan_removal(LOW.name)
    assert {Path(file).name for file in planned.files} == {f"{LOW.name}.onnx", f"{LOW.name}.onnx.json"}
    assert planned.size > 1000
    assert not planned.is_default
    with pytest.raises(BadRequest, match="Look again"):
        await service.remove(LOW.name, planned.files[:1])
    assert parts.library.is_installed(LOW.name)
    await service.remove(LOW.name, planned.files)
    assert not parts.library.is_installed(LOW.name)
    assert not (data_dir / f"{LOW.name}.onnx").exists()
    with pytest.raises(UnknownVoice):
        await service.plan_removal(LOW.name)


async def test_the_removal_plan_flags_the_default_voice(service: VoiceService) -> None:
    assert (await service.plan_removal(LETTERS.name)).is_default


async def test_a_built_in_voice_cannot_be_removed(service: VoiceService) -> None:
    planned = await service.plan_removal("espeak-en-us")
    assert planned.files == ()
    assert "built in" in planned.problems[0]
    with pytest.raises(BadRequest):
        await service.remove("espeak-en-us", [])


async def test_make_default_takes_effect_at_once(service: VoiceService, parts: Parts) -> None:
    changed = await service.make_default(LOW.name)
    assert changed.line == f"voice: {LOW.name}"
    assert parts.library.resolve_now(VoiceRequest()).voice.name == LOW.name
    rows = (await service.view()).voices
    assert [voice.name for voice in rows if voice.is_default] == [LOW.name]


async def test_a_chosen_default_lasts_over_a_restart_unless_the_settings_name_a_voice(data_dir: Path) -> None:
    given: dict[str, Any] = {"data_dir": [data_dir], "download_dir": data_dir}
    named, unnamed = settings_for_tests(**given), settings_for_tests(**given)
    unnamed.model_fields_set.discard("voice")

    async def start(settings: Settings, source: str) -> tuple[str, bool]:
        async with running_parts_of(settings) as parts:
            before = parts.library.resolve_now(VoiceRequest()).voice.name
            return before, (await VoiceService(parts, lambda: source).make_default(LOW.name)).lasts

    assert await start(named, "flag --voice") == (LETTERS.name, False)
    assert await start(named, "flag --voice") == (LETTERS.name, False)
    assert await start(unnamed, "default") == (LOW.name, True)


async def test_the_configured_voice_speaks_again_when_the_chosen_default_is_gone(
    service: VoiceService, parts: Parts, data_dir: Path
) -> None:
    await service.make_default(LOW.name)
    planned = await service.plan_removal(LOW.name)
    await service.remove(LOW.name, planned.files)
    assert parts.library.resolve_now(VoiceRequest()).voice.name == LETTERS.name
    assert parts.library.default.name == LETTERS.name
    assert not (data_dir / "default_voice.yaml").exists()


async def test_a_default_that_another_server_chose_is_taken_over_and_forgotten_with_it(
    data_dir: Path,
) -> None:
    settings = settings_for_tests(data_dir=[data_dir], download_dir=data_dir)
    settings.model_fields_set.discard("voice")
    async with running_parts_of(settings) as one, running_parts_of(settings) as other:
        await VoiceService(one).make_default(LOW.name)
        await other.refresh_voices()
        assert other.library.default.name == LOW.name
        (data_dir / "default_voice.yaml").unlink()
        await other.refresh_voices()
        assert other.library.default == other.library.configured_default


async def test_a_voice_that_the_settings_name_stays_whatever_another_server_chooses(data_dir: Path) -> None:
    settings = settings_for_tests(data_dir=[data_dir], download_dir=data_dir)
    async with running_parts_of(settings) as parts:
        await VoiceService(parts).make_default(LOW.name)  # until the next start
        (data_dir / "default_voice.yaml").write_text("voice: another")
        await parts.refresh_voices()
        assert parts.library.default.name == LOW.name


BROKEN_CHOICES = (
    *(b"", b"voice: 3", b"- a", b"voice: [", b"\xff", b"voice: ''", b"voice: ' '", b"voice: x\0"),
    *(b"voice: !!int x", b"voice: !!timestamp x", b"voice: !!float x"),
    *(b"[" * 5000, b"{a: " * 2000, b"a: &a [*a]", rb'voice: "a\nb"', rb'voice: "\ud800"', b"x" * 20_000),
)


def chosen_default_file(data_dir: Path) -> ChosenDefaultFile:
    settings = settings_for_tests(data_dir=[data_dir])
    settings.model_fields_set.discard("voice")
    return ChosenDefaultFile(settings, KnownFiles())


@pytest.mark.parametrize("content", BROKEN_CHOICES, ids=lambda content: repr(content[:20]))
def test_a_file_that_names_no_voice_changes_nothing_and_is_told_of_once(
    data_dir: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path, chosen = data_dir / "default_voice.yaml", chosen_default_file(data_dir)
    path.write_bytes(content)
    assert (chosen.read_change(), chosen.read_change()) == (None, None)
    assert [*chosen.troubles] == [path]
    assert len(caplog.records) == 1
    path.unlink()
    assert chosen.read_change() is None
    assert not chosen.troubles


async def test_the_chosen_default_speaks_on_while_its_file_is_damaged(data_dir: Path) -> None:
    settings, path = (
        settings_for_tests(data_dir=[data_dir], download_dir=data_dir),
        data_dir / "default_voice.yaml",
    )
    settings.model_fields_set.discard("voice")
    async with running_parts_of(settings) as parts:
        await VoiceService(parts).make_default(LOW.name)
        path.write_text("voice: [")
        await parts.refresh_voices()
        assert parts.library.default.name == LOW.name
        assert [*parts.unreadable] == [path]
        path.write_text(f"voice: {LETTERS.name}")
        await parts.refresh_voices()
        assert parts.library.default.name == LETTERS.name
        assert not parts.unreadable


@pytest.mark.parametrize("name", ["2020-99-99", "1" + "9" * 5000])
def test_what_looks_like_another_value_is_a_name(data_dir: Path, name: str) -> None:
    (data_dir / "default_voice.yaml").write_text(f"voice: {name}")
    assert chosen_default_file(data_dir).read_change() == Choice(DefaultVoice(name))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_chooses_none(data_dir: Path, make: Callable[[Path], None]) -> None:
    make(data_dir / "default_voice.yaml")
    assert chosen_default_file(data_dir).read_change() is None


@pytest.mark.parametrize("name", ["a: b # 'c'", "null", "1.5", "~", "2020-01-01", "- ü", "x" * 2000])
def test_any_name_is_read_as_it_was_kept(data_dir: Path, name: str) -> None:
    keep_chosen_default(settings_for_tests(data_dir=[data_dir]), name)
    assert chosen_default_file(data_dir).read_change() == Choice(DefaultVoice(name))


async def test_make_default_refuses_an_unavailable_voice(
    service: VoiceService, parts: Parts, data_dir: Path
) -> None:
    (data_dir / f"{LOW.name}.onnx").unlink()
    for name in (LOW.name, "de_DE-thorsten-medium", "nobody"):
        with pytest.raises(SpeechError):
            await service.make_default(name)
    assert parts.library.resolve_now(VoiceRequest()).voice.name == LETTERS.name


# Over HTTP


@pytest.fixture
async def client(service: VoiceService) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(voice_routes(service))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
        yield client


async def test_what_is_told_of_voices_can_be_said_in_other_languages(
    client: AsyncClient, parts: Parts, data_dir: Path
) -> None:
    (data_dir / "torn.onnx").write_bytes(b"")
    (data_dir / "torn.onnx.json").write_bytes(CONFIG)
    await parts.refresh_voices()
    (torn,) = (await client.get("/page/voices")).json()["broken"]
    assert torn["reason"]["id"] == "model_empty"
    robot = {"name": "espeak-en-us"}
    planned = (await client.post("/page/voices/plan-removal", json=robot)).json()
    assert [each["id"] for each in planned["problems"]] == ["is_built_in"]
    assert planned["problems"][0]["arguments"] == robot
    refused = await client.post("/page/voices/remove", json={**robot, "files": []})
    assert [each["id"] for each in refused.json()["error"]["said"]] == ["files_changed"]


async def test_a_voice_is_uploaded_listed_and_removed_over_http(client: AsyncClient) -> None:
    upload_path = "/page/voices/upload/de_DE-brought-low.onnx"
    await client.post(f"{upload_path}.json", content=(VOICES / f"{TONES.name}.onnx.json").read_bytes())
    model = (VOICES / f"{TONES.name}.onnx").read_bytes()
    first = {"Content-Range": f"bytes 0-999/{len(model)}"}
    rest = {"Content-Range": f"bytes 1000-{len(model) - 1}/{len(model)}"}
    assert (await client.post(upload_path, content=model[:1000], headers=first)).json()["received"] == 1000
    uploaded = await client.post(upload_path, content=model[1000:], headers=rest)
    assert uploaded.json()["voice"] == "de_DE-brought-low"
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
    ("voices/download", {"json": {"name": "nobody"}}, 404),
    ("voices/cancel", {"json": {"name": "nobody"}}, 404),
    ("voices/remove", {"json": {"name": LOW.name, "files": []}}, 400),
    ("voices/default", {"json": {"name": "nobody"}}, 404),
    ("voices/default", {"json": {}}, 400),
]


async def test_invalid_requests_have_their_error_status(client: AsyncClient) -> None:
    answers = [(await client.post(f"/page/{path}", **given)).status_code for path, given, _ in REFUSED]
    assert answers == [status for _, _, status in REFUSED]
