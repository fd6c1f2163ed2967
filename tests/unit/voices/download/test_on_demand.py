"""On-demand downloads of voices that are requested and missing."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.fake_hub import Behaviour, FakeHub
from wyoming_tts.errors import UnknownVoice, VoiceUnavailable
from wyoming_tts.speech import Attribution, Voice, VoiceRequest
from wyoming_tts.voices.catalogue import Catalogue, CatalogueFile, CatalogueVoice
from wyoming_tts.voices.download.downloads import DownloadManager
from wyoming_tts.voices.download.on_demand import MissingVoicePolicy, OnDemandDownloads, OnDemandOptions
from wyoming_tts.voices.library import DefaultVoice, VoiceLibrary

T = TypeVar("T")

MODEL = b"\x08" + random.Random(1).randbytes(99_999)
REQUESTED = VoiceRequest("de_DE-far-high")
WAIT, FALLBACK, ERROR = MissingVoicePolicy


async def in_executor(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def models(directory: Path) -> list[Path]:
    return await in_executor(lambda: list(directory.glob("*.onnx")))


def make_voice(name: str, language: str, engine: str) -> Voice:
    return Voice(name, engine, language, name, 22_050, name, Attribution("nobody", ""))


EMBEDDED = [make_voice("espeak-de", "de_DE", "espeak"), make_voice("espeak-en", "en_US", "espeak")]


@dataclass
class OnDemandSetup:
    """A library whose missing voices come from a hub on loopback."""

    hub: FakeHub
    library: VoiceLibrary
    missing: OnDemandDownloads
    catalogue: Catalogue
    directory: Path
    looks: list[int]

    def hold_next_download(self) -> Behaviour:
        """Make the next download pause in the middle until it is released."""
        paused = Behaviour(hold_after=50_000)
        self.hub.plan.extend([Behaviour(), paused])  # the configuration comes first
        return paused

    async def speaker(self, request: VoiceRequest = REQUESTED) -> str:
        return (await self.library.resolve(request)).voice.name


def publish_voice(hub: FakeHub, name: str, language: str) -> CatalogueVoice:
    contents = {f"voices/{name}.onnx": MODEL, f"voices/{name}.onnx.json": b"{}"}
    hub.files |= {f"/{path}": content for path, content in contents.items()}
    files = tuple(
        CatalogueFile(path, f"{hub.url}/{path}", len(content), f"md5:{hashlib.md5(content).hexdigest()}")
        for path, content in contents.items()
    )
    return CatalogueVoice(name, "piper", language, "high", 1, files, aliases=(f"{name}-alias",))


@asynccontextmanager
async def on_demand_setup(
    directory: Path, answer: MissingVoicePolicy = WAIT, *, usable: bool = True, **options: object
) -> AsyncIterator[OnDemandSetup]:
    async with FakeHub() as hub:
        catalogue = Catalogue(
            (publish_voice(hub, "de_DE-far-high", "de_DE"), publish_voice(hub, "en_US-home-low", "en_US"))
        )

        looks = list[int]()

        async def refresh() -> None:
            looks.append(1)
            found = [path.stem for path in await models(directory)] if usable else []
            library.replace([*EMBEDDED, *(make_voice(name, name[:5], "piper") for name in found)])

        library = VoiceLibrary(default=DefaultVoice("en_US-home-low"), catalogue=lambda: catalogue.voices)
        library.replace(EMBEDDED)
        chosen = replace(OnDemandOptions(answer, patience=50.0), **options)  # type: ignore[arg-type]
        async with (
            DownloadManager(directory, run_blocking=in_executor, offline=chosen.offline) as downloads,
            OnDemandDownloads(
                library,
                find=library.names.find_in_catalogue,
                downloads=downloads,
                on_installed=refresh,
                options=chosen,
            ) as missing,
        ):
            yield OnDemandSetup(hub, library, missing, catalogue, directory, looks)


async def test_concurrent_requests_for_one_missing_voice_share_one_download(
    tmp_path: Path,
) -> None:
    async with on_demand_setup(tmp_path) as setup:
        names = [REQUESTED.name, "DE_de-FAR-high", "de_DE-far-high-alias", "de_DE-f", "de_DE-far-high#0"] * 4
        used_voices = await asyncio.gather(*(setup.speaker(VoiceRequest(name)) for name in names))
        assert set(used_voices) == {REQUESTED.name}
        assert len(setup.hub.requests_for(".onnx")) == 1
        assert len(setup.looks) == 1


async def test_a_request_during_the_download_joins_it(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        paused = setup.hold_next_download()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(setup.speaker())
            await paused.held.wait()
            second = tasks.create_task(setup.speaker())
            await asyncio.sleep(0)
            paused.released.set()
        assert first.result() == second.result() == REQUESTED.name
        assert len(setup.hub.requests_for(".onnx")) == 1


async def test_when_the_wait_times_out_the_embedded_voice_speaks_and_the_download_continues(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, patience=0.0) as setup:
        assert await setup.speaker() == "espeak-de"
        assert "de_DE-far-high was requested but is not installed: espeak-de speaks instead" in caplog.text
        assert await setup.missing.fetch("de_DE-far-high")
        assert await setup.speaker() == "de_DE-far-high"
        assert len(setup.hub.requests_for(".onnx")) == 1


async def test_the_fallback_voice_speaks_at_once_during_the_download(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, FALLBACK) as setup:
        paused = setup.hold_next_download()
        assert await setup.speaker() == "espeak-de"
        await paused.held.wait()
        assert await setup.speaker() == "espeak-de"
        paused.released.set()
        assert await setup.missing.fetch("de_DE-far-high-alias")
        assert await setup.speaker() == "de_DE-far-high"
        assert len(setup.hub.requests_for(".onnx")) == 1


GET = VoiceRequest(REQUESTED.name, may_download=False)


@pytest.mark.parametrize("answer", [WAIT, FALLBACK])
async def test_a_request_that_may_not_download_gets_the_embedded_voice_at_once(
    tmp_path: Path, answer: MissingVoicePolicy
) -> None:
    async with on_demand_setup(tmp_path, answer) as setup:
        assert await setup.speaker(GET) == "espeak-de"
        assert setup.hub.connections == 0


async def test_a_request_that_may_not_download_waits_for_a_running_download(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        paused = setup.hold_next_download()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(setup.speaker())
            await paused.held.wait()
            waiting = tasks.create_task(setup.speaker(GET))
            await asyncio.sleep(0)
            paused.released.set()
        assert waiting.result() == REQUESTED.name


async def test_the_error_for_a_request_that_may_not_download_says_so(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, ERROR) as setup:
        with pytest.raises(VoiceUnavailable, match="a GET downloads none"):
            await setup.speaker(GET)
        assert setup.hub.connections == 0


async def test_the_error_for_a_missing_voice_states_the_download_progress(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, ERROR) as setup:
        paused = setup.hold_next_download()
        with pytest.raises(VoiceUnavailable, match="being downloaded"):
            await setup.speaker()
        await paused.held.wait()
        with pytest.raises(VoiceUnavailable, match=r"\(\d+ %\)\. Try again"):
            await setup.speaker()
        paused.released.set()
        assert await setup.missing.fetch("de_DE-far-high")
        assert await setup.speaker() == "de_DE-far-high"


@pytest.mark.parametrize("request_", [VoiceRequest(), VoiceRequest("en_US-home-low"), VoiceRequest("alloy")])
async def test_a_missing_default_voice_is_downloaded_like_any_other(
    tmp_path: Path, request_: VoiceRequest
) -> None:
    async with on_demand_setup(tmp_path) as setup:
        assert await setup.speaker(request_) == "en_US-home-low"
    async with on_demand_setup(tmp_path / "other", ERROR) as setup:
        with pytest.raises(VoiceUnavailable):
            await setup.speaker(request_)


@pytest.mark.parametrize("answer", [WAIT, FALLBACK])
async def test_when_offline_the_embedded_voice_speaks_and_no_socket_is_opened(
    tmp_path: Path, answer: MissingVoicePolicy
) -> None:
    async with on_demand_setup(tmp_path, answer, offline=True) as setup:
        assert await setup.speaker() == "espeak-de"
        assert not await setup.missing.fetch("de_DE-far-high")
        assert setup.hub.connections == 0


async def test_when_offline_the_error_says_that_downloads_are_disabled(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, ERROR, offline=True) as setup:
        with pytest.raises(VoiceUnavailable, match=r"downloads are turned off \(offline\)"):
            await setup.speaker()
        assert setup.hub.connections == 0


async def test_a_voice_whose_engine_is_disabled_is_not_downloaded(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, engines=frozenset({"kokoro"})) as setup:
        assert await setup.speaker() == "espeak-de"
        assert setup.hub.connections == 0


async def test_a_voice_that_no_engine_can_use_is_downloaded_once_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with on_demand_setup(tmp_path, usable=False) as setup:
        for _ in range(3):
            assert await setup.speaker() == "espeak-de"
        assert len(setup.looks) == 1
    assert "de_DE-far-high was downloaded, but no engine can use its files" in caplog.text


async def test_requests_do_not_wait_for_a_failed_download(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        setup.hub.files.clear()
        assert await setup.speaker() == "espeak-de"
        requests_before = len(setup.hub.requests)
        assert await setup.speaker() == "espeak-de"
        assert len(setup.hub.requests) == requests_before


async def test_after_a_failed_download_the_error_gives_the_cause(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, ERROR) as setup:
        setup.hub.files.clear()
        with pytest.raises(VoiceUnavailable, match="being downloaded"):
            await setup.speaker()
        download = setup.missing._pending["de_DE-far-high"].download
        assert download is not None
        await download.wait()
        with pytest.raises(VoiceUnavailable, match=r"could not be downloaded.*404"):
            await setup.speaker()


async def test_a_deleted_voice_is_downloaded_again(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        assert await setup.speaker() == REQUESTED.name
        (model,) = await models(tmp_path)
        await in_executor(model.unlink)
        setup.library.replace(EMBEDDED)
        assert await setup.speaker() == REQUESTED.name
        assert len(setup.hub.requests_for(".onnx")) == 2


async def test_cancelling_one_request_does_not_end_the_shared_download(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        paused = setup.hold_next_download()
        leaving, staying = (asyncio.create_task(setup.speaker()) for _ in range(2))
        await paused.held.wait()
        leaving.cancel()
        await asyncio.wait([leaving])
        paused.released.set()
        assert await staying == REQUESTED.name


async def test_an_unknown_voice_name_downloads_nothing(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path) as setup:
        with pytest.raises(UnknownVoice, match="Did you mean de_DE-far-high"):
            await setup.speaker(VoiceRequest("de_DE-fra-hihg"))
        assert setup.hub.connections == 0


async def test_closing_abandons_the_active_downloads_and_starts_no_new_ones(tmp_path: Path) -> None:
    async with on_demand_setup(tmp_path, FALLBACK) as setup:
        paused = setup.hold_next_download()
        assert await setup.speaker() == "espeak-de"
        await paused.held.wait()
    with pytest.raises(VoiceUnavailable, match="not installed"):
        await setup.speaker()
    assert await models(tmp_path) == []
