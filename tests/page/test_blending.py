"""The Blend tab's service and its routes, on a real product with the tone Kokoro model."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.parts import running_parts, running_parts_of, settings_for_tests
from tests.support.tones import VOICES
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, SpeechError, TooLong, UnknownVoice
from wyoming_tts.page.blend_routes import blend_routes
from wyoming_tts.page.blending import (
    MODEL_VOICE,
    BlendDraft,
    BlendingView,
    BlendService,
    KokoroState,
    SavedVoice,
    VoiceOrigin,
)
from wyoming_tts.page.voices import VoiceService
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.server.voice_upkeep import DescribeResponse
from wyoming_tts.speech import Utterance, VoiceRequest
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe

NAMES = {"af_bella": "af_test", "af_sky": "am_test", "bf_emma": "bf_test"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a model and a pack whose voices have the names of Kokoro's."""
    directory = tmp_path / "data"
    directory.mkdir()
    shutil.copy(VOICES / "kokoro-tones.onnx", directory)
    with (
        np.load(VOICES / "voices-tones.bin") as pack,
        (directory / "voices-tones.bin").open("wb") as file,
    ):
        np.savez_compressed(file, **{name: pack[tone] for name, tone in NAMES.items()})
    return directory


@asynccontextmanager
async def blend_service(data: Path) -> AsyncIterator[tuple[BlendService, Parts]]:
    async with running_parts(data_dir=[data], download_dir=data) as parts:
        yield BlendService(parts), parts


@pytest.fixture
async def service(data: Path) -> AsyncIterator[BlendService]:
    async with blend_service(data) as (service, _):
        yield service


async def upload_body(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def encode_npy(table: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def saved_voices(view: BlendingView) -> dict[str, SavedVoice]:
    return {each.draft.name: each for each in view.kept if each.kind is not VoiceOrigin.PRESET}


# -- view and recipes ------------------------------------------------------------------------------------


async def test_the_view_lists_kokoro_voices_and_presets(service: BlendService) -> None:
    view = await service.view()
    assert view.kokoro is KokoroState.READY
    assert {voice.name: voice.kind for voice in view.voices} == dict.fromkeys(NAMES, VoiceOrigin.PACK)
    companion = next(each for each in view.kept if each.draft.name == "companion")
    assert (companion.kind, companion.language) == (VoiceOrigin.PRESET, "en_US")
    assert not companion.can_speak  # af_heart is not in this pack
    assert "light" in view.samples["en_US"]


async def test_a_preset_without_its_voices_tells_them_and_what_brings_them(data: Path) -> None:
    def companion(view: BlendingView) -> SavedVoice:
        return next(each for each in view.kept if each.draft.name == "companion")

    async with running_parts(data_dir=[data], download_dir=data, offline=False) as parts:
        view = await BlendService(parts).view()
    assert companion(view).missing == ("af_heart",)
    assert {each.fetch for each in view.kept if not each.can_speak} == {MODEL_VOICE}
    async with running_parts(data_dir=[data], download_dir=data, offline=True) as parts:
        service = BlendService(parts)
        assert (companion(await service.view()).missing, companion(await service.view()).fetch) == (
            ("af_heart",),
            "",
        )


async def test_without_kokoro_the_view_has_state_absent_and_the_download_size(tmp_path: Path) -> None:
    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:
        view = await BlendService(parts).view()
    assert view.kokoro is KokoroState.ABSENT
    assert view.model_bytes is not None
    assert view.model_bytes > 100_000_000


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, KokoroState.OFFLINE), ({"engine": "piper", "offline": False}, KokoroState.UNUSED)],
)
async def test_the_view_distinguishes_an_offline_server_from_an_unused_engine(
    changes: dict[str, object], state: KokoroState, tmp_path: Path
) -> None:
    async with running_parts(data_dir=[VOICES if "engine" in changes else tmp_path], **changes) as parts:
        assert (await BlendService(parts).view()).kokoro is state


async def test_the_map_has_the_voices_of_the_pack_within_its_bounds(service: BlendService) -> None:
    voices = await service.map()
    assert {voice.name: voice.language for voice in voices} == {
        "af_bella": "en_US",
        "af_sky": "en_US",
        "bf_emma": "en_GB",
    }
    assert max(abs(each) for voice in voices for each in (voice.x, voice.y)) == pytest.approx(1.0)
    assert await service.map() == voices


async def test_imported_voices_are_on_the_map_as_soon_as_they_can_speak(service: BlendService) -> None:
    await service.map()
    await service.import_voice("af_mine", "a.npy", upload_body(await service.export("af_sky")))
    places = {voice.name: (voice.x, voice.y) for voice in await service.map()}
    assert places.keys() == {*NAMES, "af_mine"}
    assert places["af_mine"] == pytest.approx(places["af_sky"])
    await service.remove("af_mine")
    assert {voice.name for voice in await service.map()} == {*NAMES}


async def test_the_map_shows_imported_voices_where_those_of_the_pack_cannot_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "misaki", None)  # as if it were not installed: Japanese needs it
    shutil.copy(VOICES / "kokoro-tones.onnx", tmp_path)
    with np.load(VOICES / "voices-tones.bin") as pack, (tmp_path / "voices-tones.bin").open("wb") as file:
        np.savez_compressed(file, jf_alpha=pack["af_test"])
        mine = encode_npy(pack["am_test"])
    async with blend_service(tmp_path) as (service, _):
        assert await service.map() == ()
        await service.import_voice("am_mine", "a.npy", upload_body(mine))
        assert [(voice.name, voice.language) for voice in await service.map()] == [("am_mine", "en_US")]


async def test_recipes_are_parsed_in_any_notation_and_normalized(service: BlendService) -> None:
    read = await service.parse("af_sky:20, 60*af_bella")
    assert read.recipe == "af_bella(60)+af_sky(20)"
    assert [(part.voice, part.weight) for part in read.parts] == [("af_bella", 60.0), ("af_sky", 20.0)]
    assert (read.language, read.languages) == ("en_US", ("en_US",))


async def test_a_mix_of_voices_of_another_pack_is_read_spoken_and_kept(tmp_path: Path) -> None:
    for name in ("kokoro-tones.onnx", "voices-tones.bin"):  # whose voices are in no catalogue
        shutil.copy(VOICES / name, tmp_path)
    async with blend_service(tmp_path) as (service, parts):
        read = await service.parse("am_test+AF-test(2)")
        assert await spoken_by(parts, read.recipe) == "af_test(2)+am_test"
        view = await service.save(BlendDraft("of_tones", read.recipe))
        assert saved_voices(view)["of_tones"].can_speak
        assert await spoken_by(parts, "of_tones") == "of_tones"
    async with blend_service(tmp_path) as (service, parts):  # at the next start
        assert await spoken_by(parts, "of_tones") == "of_tones"
        with pytest.raises(UnknownVoice):
            await service.parse("af_test+nobody")


async def spoken_by(parts: Parts, voice: str) -> str:
    """Speak with a voice and return which one it was."""
    utterance = Utterance.of("Ho.", voice=VoiceRequest(voice))
    async with parts.synthesizer.speak(utterance) as stream:
        assert [chunk async for chunk in stream]
        return stream.voice.name


async def test_a_recipe_of_several_languages_lists_them(service: BlendService) -> None:
    read = await service.parse("bf_emma(2)+af_sky")
    assert (read.language, read.languages) == ("en_GB", ("en_GB", "en_US"))


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ("af_bella++", BadRequest, "column"),
        ("", BadRequest, "the end"),
        ("af_bela", UnknownVoice, "af_bella"),
        ("+".join(f"af_{letter}" for letter in "abcdefg"), TooLong, "at most 6"),
    ],
)
async def test_an_invalid_recipe_is_refused_with_a_reason(
    service: BlendService, recipe: str, error: type[SpeechError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await service.parse(recipe)


# -- saving ------------------------------------------------------------------------------------


async def test_a_saved_blend_is_immediately_available_over_wyoming_and_http(data: Path) -> None:
    async with blend_service(data) as (service, parts):
        describe, served = DescribeResponse(parts), ServerSpeechService(parts)
        assert b'"dawn"' not in describe()
        view = await service.save(BlendDraft("dawn", "af_bella(2)+af_sky", description=" Warm. "))
        assert saved_voices(view)["dawn"].draft == BlendDraft(
            "dawn", "af_bella(2)+af_sky", description="Warm."
        )
        assert saved_voices(view)["dawn"].can_speak
        assert b'"dawn"' in describe()
        assert "dawn" in {voice.name for voice in served.voices()}


async def test_http_voices_combine_accepts_one_voice_and_names_an_unknown_one(
    service: BlendService,
) -> None:
    served = ServerSpeechService(service._parts)
    assert (await served.blend("af_bella(2)", None)).name == "af_bella(2)"
    assert (await served.blend("af_bella", None)).name == "af_bella"
    with pytest.raises(UnknownVoice, match=r"af_bela.*Did you mean af_bella"):
        await served.blend("af_bela", None)


async def test_a_blend_across_languages_needs_an_explicit_language(service: BlendService) -> None:
    draft = BlendDraft("dawn", "af_bella+bf_emma")
    with pytest.raises(BadRequest, match="several languages"):
        await service.save(draft)
    view = await service.save(replace(draft, language="en_GB"))
    assert saved_voices(view)["dawn"].language == "en_GB"


async def test_saving_an_edit_replaces_the_original_blend(service: BlendService) -> None:
    before = saved_voices(await service.save(BlendDraft("dawn", "af_bella+af_sky", spherical=True)))[
        "dawn"
    ].draft
    view = await service.save(replace(before, recipe="af_bella(3)+af_sky"), expected=before)
    assert saved_voices(view)["dawn"].draft == BlendDraft("dawn", "af_bella(3)+af_sky", spherical=True)


async def test_a_stale_edit_is_refused_and_keeps_the_concurrent_one(data: Path) -> None:
    async with blend_service(data) as (service, parts):
        before = saved_voices(await service.save(BlendDraft("dawn", "af_bella+af_sky")))["dawn"].draft
        elsewhere = Blend("dawn", parse_recipe("af_sky(9)+af_bella"))
        await parts.workers.run_blocking(
            lambda: parts.blends.store.replace(elsewhere, expected=before.blend())
        )
        with pytest.raises(BadRequest, match=r"changed meanwhile: it is af_bella\+af_sky\(9\) now"):
            await service.save(replace(before, description="mine"), expected=before)
        assert saved_voices(await service.view())["dawn"].draft.recipe == "af_bella+af_sky(9)"


async def test_blends_are_duplicated_renamed_and_removed(service: BlendService) -> None:
    await service.save(BlendDraft("dawn", "af_bella+af_sky"))
    await service.duplicate("dawn", "dusk")
    assert saved_voices(await service.rename("dusk", "night")).keys() == {"dawn", "night"}
    assert saved_voices(await service.remove("dawn")).keys() == {"night"}
    with pytest.raises(BadRequest, match="preset"):
        await service.remove("companion")


async def test_a_default_voice_that_is_renamed_stays_the_default_over_a_restart(data: Path) -> None:
    settings = settings_for_tests(data_dir=[data], download_dir=data)
    settings.model_fields_set.discard("voice")
    async with running_parts_of(settings) as parts:
        service = BlendService(parts)
        await service.save(BlendDraft("dawn", "af_bella+af_sky"))
        await VoiceService(parts).make_default("dawn")
        await service.rename("dawn", "dusk")
        assert parts.library.default.name == "dusk"
        await parts.refresh_voices()
        assert parts.library.default.name == "dusk"
    async with running_parts_of(settings) as restarted:
        assert restarted.library.default.name == "dusk"


async def test_a_blend_used_by_another_blend_cannot_be_removed(service: BlendService) -> None:
    await service.save(BlendDraft("dawn", "af_bella+af_sky"))
    await service.save(BlendDraft("day", "dawn(2)+af_sky"))
    with pytest.raises(BadRequest, match="part of day"):
        await service.remove("dawn")


# -- files --------------------------------------------------------------------------------------


async def test_an_exported_blend_can_be_imported_and_blended_again(service: BlendService) -> None:
    await service.save(BlendDraft("dawn", "af_bella(3)+af_sky"))
    content = await service.export("dawn")
    bella, sky = [np.load(io.BytesIO(await service.export(name))) for name in ("af_bella", "af_sky")]
    np.testing.assert_allclose(np.load(io.BytesIO(content)), 0.75 * bella + 0.25 * sky, rtol=1e-6)
    view = await service.import_voice("af_mine", "dawn.NPY", upload_body(content))
    assert saved_voices(view)["af_mine"].kind is VoiceOrigin.IMPORTED
    assert {voice.name: voice.kind for voice in view.voices}["af_mine"] is VoiceOrigin.IMPORTED
    assert (await service.parse("af_mine+af_sky")).language == "en_US"
    assert await service.export("af_mine") == content
    assert "af_mine" not in saved_voices(await service.remove("af_mine"))


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("af_bella", "a.npy", b"x", "taken"),
        ("1st", "a.npy", b"x", "not a valid name"),
        ("af_mine", "a.exe", b"x", "suffix"),
        ("af_mine", "a.npy", b"", "empty"),
        ("af_mine", "a.npy", b"x" * 100, "not a style table"),
        ("af_mine", "../../a.pt", b"\x80\x04cos\nsystem\n", "not in the form"),
        ("af_mine", "a.bin", bytes(16_000_001), "more than"),
    ],
)
async def test_an_invalid_style_table_is_refused_and_leaves_no_voice(
    service: BlendService, name: str, file: str, content: bytes, message: str
) -> None:
    with pytest.raises(SpeechError, match=message):
        await service.import_voice(name, file, upload_body(content, 4_000_000))
    assert name not in saved_voices(await service.view())


async def test_an_imported_voice_used_by_a_blend_cannot_be_removed(service: BlendService) -> None:
    await service.import_voice("af_mine", "a.npy", upload_body(await service.export("af_sky")))
    await service.save(BlendDraft("dawn", "af_mine+af_bella"))
    with pytest.raises(BadRequest, match="part of dawn"):
        await service.remove("af_mine")


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd"])
async def test_exporting_an_unknown_voice_is_refused(service: BlendService, name: str) -> None:
    with pytest.raises(SpeechError, match="no blend"):
        await service.export(name)


# -- over HTTP ----------------------------------------------------------------------------------


@asynccontextmanager
async def client_of(data: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with blend_service(data) as (service, parts):
        app = create_app(
            ServerSpeechService(parts),
            HttpOptions(),
            run_blocking=parts.workers.run_blocking,
            routers=[blend_routes(service)],
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


async def test_blends_are_saved_edited_renamed_and_removed_over_http(data: Path) -> None:
    async with client_of(data) as client:
        draft = {"name": "dawn", "recipe": "af_bella+af_sky", "title": "Dämmerung", "description": "Light."}
        kept = (await client.post("/page/blends/keep", json={"draft": draft})).json()
        found = next(each for each in kept["kept"] if each["draft"]["name"] == "dawn")
        assert (found["title"], found["draft"]["description"]) == ("Dämmerung", "Light.")
        edited = {"draft": found["draft"] | {"recipe": "af_sky"}, "expected": found["draft"]}
        assert (await client.post("/page/blends/keep", json=edited)).status_code == 200
        stale = await client.post("/page/blends/keep", json=edited)
        assert stale.status_code == 400
        assert "changed meanwhile" in stale.json()["error"]["message"]
        body = {"name": "dawn", "new": "dusk", "title": "Däm-mer"}
        renamed = (await client.post("/page/blends/rename", json=body)).json()["kept"]
        assert ("dusk", "Däm-mer") in {(each["draft"]["name"], each["title"]) for each in renamed}
        assert "dusk" in {voice["name"] for voice in (await client.get("/v1/voices")).json()["voices"]}
        left = (await client.post("/page/blends/remove", json={"name": "dusk"})).json()
        assert "dusk" not in {each["draft"]["name"] for each in left["kept"]}


async def test_an_incomplete_recipe_is_a_200_with_its_problem(data: Path) -> None:
    async with client_of(data) as client:
        answer = await client.post("/page/blends/read", json={"recipe": "af_bella+"})
        assert answer.status_code == 200
        assert "expected the name of a voice" in answer.json()["problem"]
        answer = await client.post("/page/blends/read", json={"recipe": "a" * 5000})
        assert answer.status_code == 400


async def test_style_tables_are_exported_and_imported_over_http(data: Path) -> None:
    async with client_of(data) as client:
        exported = await client.get("/page/blends/export", params={"name": "af_bella+af_sky"})
        assert exported.headers["content-disposition"] == 'attachment; filename="af_bella_af_sky.npy"'
        draft = {"name": "Kueche", "recipe": "af_bella+af_sky", "title": "Für die Küche"}
        await client.post("/page/blends/keep", json={"draft": draft})
        titled = await client.get("/page/blends/export", params={"name": "Kueche"})
        assert titled.headers["content-disposition"] == (
            "attachment; filename=\"Kueche.npy\"; filename*=UTF-8''F%C3%BCr%20die%20K%C3%BCche.npy"
        )
        imported = await client.post(
            "/page/blends/import", params={"name": "af_mine", "file": "x.npy"}, content=exported.content
        )
        assert "af_mine" in {voice["name"] for voice in imported.json()["voices"]}
        with np.load(VOICES / "voices-tones.bin") as pack:
            wrong = encode_npy(pack["af_test"][:, :, :100])
        refused = await client.post(
            "/page/blends/import", params={"name": "af_two", "file": "x.npy"}, content=wrong
        )
        assert refused.status_code == 400
        assert "shape" in refused.json()["error"]["message"]


async def test_the_blend_routes_are_not_in_the_openapi_description(data: Path) -> None:
    async with client_of(data) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert not [path for path in paths if path.startswith("/page")]
