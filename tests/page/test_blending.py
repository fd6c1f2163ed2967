"""The Blend tab's desk and its routes, on a real product with the tone Kokoro model."""

from __future__ import annotations

import asyncio
import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.parts import running_parts
from tests.support.tones import VOICES
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest, SpeechError, TooLong, UnknownVoice, VoiceUnavailable
from wyoming_tts.page.blending import MODEL_VOICE, BlendService
from wyoming_tts.page.blending_routes import blend_routes
from wyoming_tts.page.blending_view import BlendingView, Draft, KeptVoice, KokoroState, MixableKind
from wyoming_tts.server.speech_service import ServerSpeechService
from wyoming_tts.server.voice_upkeep import DescribeResponse
from wyoming_tts.transports.http.app import HttpOptions, create_app
from wyoming_tts.voices.blends.mixing import Blend
from wyoming_tts.voices.blends.recipes import parse_recipe
from wyoming_tts.voices.download.downloads import DownloadProgress, DownloadState

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


async def never(_name: str) -> bool:
    raise AssertionError("nothing is to be fetched")


@asynccontextmanager
async def at_the_desk(data: Path) -> AsyncIterator[tuple[BlendService, Parts]]:
    async with running_parts(data_dir=[data], download_dir=data) as parts:
        yield BlendService(parts, never), parts


@pytest.fixture
async def desk(data: Path) -> AsyncIterator[BlendService]:
    async with at_the_desk(data) as (desk, _):
        yield desk


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def npy(table: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


def own(shelf: BlendingView) -> dict[str, KeptVoice]:
    return {each.draft.name: each for each in shelf.kept if each.kind is not MixableKind.PRESET}


# -- looking ------------------------------------------------------------------------------------


async def test_the_shelf_has_the_voices_and_the_presets(desk: BlendService) -> None:
    shelf = await desk.shelf()
    assert shelf.kokoro is KokoroState.READY
    assert {voice.name: voice.kind for voice in shelf.voices} == dict.fromkeys(NAMES, MixableKind.PACK)
    companion = next(each for each in shelf.kept if each.draft.name == "companion")
    assert (companion.kind, companion.language) == (MixableKind.PRESET, "en_US")
    assert not companion.can_speak  # af_heart is not in this pack
    assert "light" in shelf.samples["en_US"]


async def test_without_kokoro_the_shelf_says_so_and_what_it_would_take(tmp_path: Path) -> None:
    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:
        shelf = await BlendService(parts, never).shelf()
    assert shelf.kokoro is KokoroState.ABSENT
    assert shelf.model_bytes is not None
    assert shelf.model_bytes > 100_000_000


@pytest.mark.parametrize(
    ("changes", "state"),
    [({}, KokoroState.OFFLINE), ({"engine": "piper", "offline": False}, KokoroState.UNUSED)],
)
async def test_what_cannot_be_fetched_is_told_apart(
    changes: dict[str, object], state: KokoroState, tmp_path: Path
) -> None:
    async with running_parts(data_dir=[VOICES if "engine" in changes else tmp_path], **changes) as parts:
        assert (await BlendService(parts, never).shelf()).kokoro is state


async def test_a_recipe_is_read_in_any_form_and_given_back_in_one(desk: BlendService) -> None:
    read = await desk.read("af_sky:20, 60*af_bella")
    assert read.recipe == "af_bella(60)+af_sky(20)"
    assert [(part.voice, part.weight) for part in read.parts] == [("af_bella", 60.0), ("af_sky", 20.0)]
    assert (read.language, read.languages) == ("en_US", ("en_US",))


async def test_a_recipe_of_several_languages_says_which(desk: BlendService) -> None:
    read = await desk.read("bf_emma(2)+af_sky")
    assert (read.language, read.languages) == ("en_GB", ("en_GB", "en_US"))


@pytest.mark.parametrize(
    ("recipe", "error", "told"),
    [
        ("af_bella++", BadRequest, "column"),
        ("", BadRequest, "the end"),
        ("af_bela", UnknownVoice, "af_bella"),
        ("+".join(f"af_{letter}" for letter in "abcdefg"), TooLong, "at most 6"),
    ],
)
async def test_what_is_no_recipe_is_refused_in_words(
    desk: BlendService, recipe: str, error: type[SpeechError], told: str
) -> None:
    with pytest.raises(error, match=told):
        await desk.read(recipe)


# -- keeping ------------------------------------------------------------------------------------


async def test_a_kept_blend_is_a_voice_at_once_for_wyoming_and_http(data: Path) -> None:
    async with at_the_desk(data) as (desk, parts):
        describe, served = DescribeResponse(parts), ServerSpeechService(parts)
        assert b'"dawn"' not in describe()
        shelf = await desk.keep(Draft("dawn", "af_bella(2)+af_sky", description=" Warm. "))
        assert own(shelf)["dawn"].draft == Draft("dawn", "af_bella(2)+af_sky", description="Warm.")
        assert own(shelf)["dawn"].can_speak
        assert b'"dawn"' in describe()
        assert "dawn" in {voice.name for voice in served.voices()}


async def test_http_combines_one_voice_as_well_as_several_and_names_what_is_not_here(
    desk: BlendService,
) -> None:
    served = ServerSpeechService(desk._parts)
    assert (await served.blend("af_bella(2)", None)).name == "af_bella(2)"
    assert (await served.blend("af_bella", None)).name == "af_bella"
    with pytest.raises(UnknownVoice, match=r"af_bela.*Did you mean af_bella"):
        await served.blend("af_bela", None)


async def test_voices_of_several_languages_need_one_named(desk: BlendService) -> None:
    draft = Draft("dawn", "af_bella+bf_emma")
    with pytest.raises(BadRequest, match="several languages"):
        await desk.keep(draft)
    shelf = await desk.keep(replace(draft, language="en_GB"))
    assert own(shelf)["dawn"].language == "en_GB"


async def test_an_edit_takes_the_place_of_what_it_was_an_edit_of(desk: BlendService) -> None:
    before = own(await desk.keep(Draft("dawn", "af_bella+af_sky", spherical=True)))["dawn"].draft
    shelf = await desk.keep(replace(before, recipe="af_bella(3)+af_sky"), expected=before)
    assert own(shelf)["dawn"].draft == Draft("dawn", "af_bella(3)+af_sky", spherical=True)


async def test_a_stale_edit_is_refused_and_leaves_the_other_one(data: Path) -> None:
    async with at_the_desk(data) as (desk, parts):
        before = own(await desk.keep(Draft("dawn", "af_bella+af_sky")))["dawn"].draft
        elsewhere = Blend("dawn", parse_recipe("af_sky(9)+af_bella"))
        await parts.workers.run_blocking(
            lambda: parts.blends.store.replace(elsewhere, expected=before.blend())
        )
        with pytest.raises(BadRequest, match=r"changed meanwhile: it is af_bella\+af_sky\(9\) now"):
            await desk.keep(replace(before, description="mine"), expected=before)
        assert own(await desk.shelf())["dawn"].draft.recipe == "af_bella+af_sky(9)"


async def test_blends_are_duplicated_renamed_and_removed(desk: BlendService) -> None:
    await desk.keep(Draft("dawn", "af_bella+af_sky"))
    await desk.duplicate("dawn", "dusk")
    assert own(await desk.rename("dusk", "night")).keys() == {"dawn", "night"}
    assert own(await desk.remove("dawn")).keys() == {"night"}
    with pytest.raises(BadRequest, match="preset"):
        await desk.remove("companion")


async def test_a_blend_that_others_are_made_of_stays(desk: BlendService) -> None:
    await desk.keep(Draft("dawn", "af_bella+af_sky"))
    await desk.keep(Draft("day", "dawn(2)+af_sky"))
    with pytest.raises(BadRequest, match="day is made of it"):
        await desk.remove("dawn")


# -- files --------------------------------------------------------------------------------------


async def test_an_exported_blend_can_be_imported_again_and_mixed(desk: BlendService) -> None:
    await desk.keep(Draft("dawn", "af_bella(3)+af_sky"))
    content = await desk.export("dawn")
    bella, sky = [np.load(io.BytesIO(await desk.export(name))) for name in ("af_bella", "af_sky")]
    np.testing.assert_allclose(np.load(io.BytesIO(content)), 0.75 * bella + 0.25 * sky, rtol=1e-6)
    shelf = await desk.take_in("af_mine", "dawn.NPY", pieces(content))
    assert own(shelf)["af_mine"].kind is MixableKind.IMPORTED
    assert {voice.name: voice.kind for voice in shelf.voices}["af_mine"] is MixableKind.IMPORTED
    assert (await desk.read("af_mine+af_sky")).language == "en_US"
    assert await desk.export("af_mine") == content
    assert "af_mine" not in own(await desk.remove("af_mine"))


@pytest.mark.parametrize(
    ("name", "file", "content", "told"),
    [
        ("af_bella", "a.npy", b"x", "taken"),
        ("1st", "a.npy", b"x", "no name"),
        ("af_mine", "a.exe", b"x", "suffix"),
        ("af_mine", "a.npy", b"", "empty"),
        ("af_mine", "a.npy", b"x" * 100, "no style table"),
        ("af_mine", "../../a.pt", b"\x80\x04cos\nsystem\n", "not in the form"),
        ("af_mine", "a.bin", bytes(16_000_001), "more than"),
    ],
)
async def test_what_is_no_style_table_is_refused_and_nothing_stays(
    desk: BlendService, name: str, file: str, content: bytes, told: str
) -> None:
    with pytest.raises(SpeechError, match=told):
        await desk.take_in(name, file, pieces(content, 4_000_000))
    assert name not in own(await desk.shelf())


async def test_an_imported_voice_that_a_blend_is_made_of_stays(desk: BlendService) -> None:
    await desk.take_in("af_mine", "a.npy", pieces(await desk.export("af_sky")))
    await desk.keep(Draft("dawn", "af_mine+af_bella"))
    with pytest.raises(BadRequest, match="dawn is made of it"):
        await desk.remove("af_mine")


@pytest.mark.parametrize("name", ["nobody", "../../etc/passwd"])
async def test_only_what_is_there_is_exported(desk: BlendService, name: str) -> None:
    with pytest.raises(SpeechError, match="no blend"):
        await desk.export(name)


# -- the model ----------------------------------------------------------------------------------


async def test_the_model_is_fetched_by_its_voice(tmp_path: Path, data: Path) -> None:
    asked = []

    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:

        async def fetch(name: str) -> bool:
            asked.append(name)
            await parts.workers.run_blocking(
                lambda: [shutil.copy(path, tmp_path) for path in data.iterdir() if path.is_file()]
            )
            await parts.refresh_voices()
            return True

        shelf = await BlendService(parts, fetch).fetch_model()
    assert asked == [MODEL_VOICE]
    assert shelf.kokoro is KokoroState.READY


async def test_a_download_that_takes_long_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wyoming_tts.page.blending._PATIENCE", 0.01)

    async def fetch(_name: str) -> bool:
        await asyncio.Event().wait()
        return True

    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:
        assert (await BlendService(parts, fetch).fetch_model()).kokoro is KokoroState.ABSENT


async def test_the_page_is_told_how_far_the_model_has_come(tmp_path: Path) -> None:
    progress = DownloadProgress(MODEL_VOICE, DownloadState.RUNNING, 1_000_000, 300_000_000)
    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:
        desk = BlendService(parts, never)
        assert (await desk.shelf()).fetched_bytes is None
        parts.downloads.record_progress(progress)
        assert (await desk.shelf()).fetched_bytes == 1_000_000


async def test_a_download_that_fails_is_told(tmp_path: Path) -> None:
    async def fetch(_name: str) -> bool:
        return False

    async with running_parts(data_dir=[tmp_path], download_dir=tmp_path, offline=False) as parts:
        with pytest.raises(VoiceUnavailable, match="could not be fetched"):
            await BlendService(parts, fetch).fetch_model()


# -- over HTTP ----------------------------------------------------------------------------------


@asynccontextmanager
async def client_of(data: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with at_the_desk(data) as (desk, parts):
        app = create_app(
            ServerSpeechService(parts),
            HttpOptions(),
            run_blocking=parts.workers.run_blocking,
            routers=[blend_routes(desk)],
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield client


async def test_the_page_keeps_edits_and_removes_by_its_routes(data: Path) -> None:
    async with client_of(data) as client:
        draft = {"name": "dawn", "recipe": "af_bella+af_sky"}
        kept = (await client.post("/page/blends/keep", json={"draft": draft})).json()
        found = next(each for each in kept["kept"] if each["draft"]["name"] == "dawn")
        edited = {"draft": found["draft"] | {"recipe": "af_sky"}, "expected": found["draft"]}
        assert (await client.post("/page/blends/keep", json=edited)).status_code == 200
        stale = await client.post("/page/blends/keep", json=edited)
        assert stale.status_code == 400
        assert "changed meanwhile" in stale.json()["error"]["message"]
        body = {"name": "dawn", "new": "dusk"}
        assert (await client.post("/page/blends/rename", json=body)).status_code == 200
        assert "dusk" in {voice["name"] for voice in (await client.get("/v1/voices")).json()["voices"]}
        left = (await client.post("/page/blends/remove", json={"name": "dusk"})).json()
        assert "dusk" not in {each["draft"]["name"] for each in left["kept"]}


async def test_half_a_recipe_is_no_failed_request(data: Path) -> None:
    async with client_of(data) as client:
        answer = await client.post("/page/blends/read", json={"recipe": "af_bella+"})
        assert answer.status_code == 200
        assert "expected the name of a voice" in answer.json()["problem"]
        answer = await client.post("/page/blends/read", json={"recipe": "a" * 5000})
        assert answer.status_code == 400


async def test_files_go_in_and_out_by_the_routes(data: Path) -> None:
    async with client_of(data) as client:
        out = await client.get("/page/blends/export", params={"name": "af_bella+af_sky"})
        assert out.headers["content-disposition"] == 'attachment; filename="af_bella_af_sky.npy"'
        taken = await client.post(
            "/page/blends/import", params={"name": "af_mine", "file": "x.npy"}, content=out.content
        )
        assert "af_mine" in {voice["name"] for voice in taken.json()["voices"]}
        with np.load(VOICES / "voices-tones.bin") as pack:
            wrong = npy(pack["af_test"][:, :, :100])
        refused = await client.post(
            "/page/blends/import", params={"name": "af_two", "file": "x.npy"}, content=wrong
        )
        assert refused.status_code == 400
        assert "shape" in refused.json()["error"]["message"]


async def test_the_routes_are_not_part_of_the_public_api(data: Path) -> None:
    async with client_of(data) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        assert not [path for path in paths if path.startswith("/page")]
