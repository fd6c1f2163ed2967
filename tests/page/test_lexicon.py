"""The lexicon edited by the page: validated, saved without overwriting others' changes, and tried."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from tests.support.voice_files import names
from wyoming_tts.assembly.parts import Parts
from wyoming_tts.errors import BadRequest
from wyoming_tts.page.lexicon import LexiconChanged, LexiconService, check_lexicon, lexicon_routes
from wyoming_tts.transports.http.errors import install_error_handlers

GOOD = "en:\n  kWh: kilowatt hours\n"


@pytest.fixture
def service(parts: Parts) -> LexiconService:
    return LexiconService(parts)


@pytest.fixture
async def client(service: LexiconService) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    app.include_router(lexicon_routes(service))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://house") as client:
        yield client


async def test_a_saved_lexicon_takes_effect_at_once(service: LexiconService, data_dir: Path) -> None:
    empty = await service.load()
    assert (empty.text, empty.checked.entries) == ("", 0)
    saved = await service.save(GOOD, empty.version)
    assert (data_dir / "lexicon.yaml").read_text() == GOOD
    assert saved.checked.entries == 1
    tried = await service.try_sentence("It takes 6 kWh.")
    assert tried.hits == ("kWh: kilowatt hours",)
    assert "kilowatt hours" in tried.phonemes[0]
    assert await service.load() == saved
    assert names(data_dir, ".*") == []


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("en:\n  kWh: [1]\n", 2, 8),
        ("en:\n  a: b\nnonsense!: {x: y}\n", 3, 1),
        ("en:\n  a: 'b\n", 2, 6),
        ("en:\n  kWh kilowatt hours\n  Foo: bar\n", 2, 3),
        ("en:\n  a: b: c\n", 2, 7),
        ("en:\n\ta: b\n", 2, 1),
    ],
)
def test_problems_have_a_line_and_a_column(text: str, line: int, column: int) -> None:
    (problem,) = check_lexicon(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert problem.message


async def test_an_invalid_lexicon_is_not_saved(service: LexiconService, data_dir: Path) -> None:
    loaded = await service.load()
    with pytest.raises(BadRequest, match="Line 2, column 8"):
        await service.save("en:\n  kWh: [1]\n", loaded.version)
    assert not (data_dir / "lexicon.yaml").exists()


async def test_a_concurrent_change_is_not_overwritten(service: LexiconService, data_dir: Path) -> None:
    loaded = await service.load()
    (data_dir / "lexicon.yaml").write_text("de:\n  a: b\n")
    with pytest.raises(LexiconChanged):
        await service.save(GOOD, loaded.version)
    assert (data_dir / "lexicon.yaml").read_text() == "de:\n  a: b\n"
    await service.save(GOOD, (await service.load()).version)
    assert (data_dir / "lexicon.yaml").read_text() == GOOD


async def test_a_pipe_in_place_of_the_file_is_refused_and_waits_for_nobody(
    service: LexiconService, data_dir: Path
) -> None:
    os.mkfifo(data_dir / "lexicon.yaml")
    for attempt in (service.load(), service.save(GOOD, "of an empty file")):
        with pytest.raises(BadRequest, match="it is not a regular file"):
            await attempt


async def test_saving_keeps_a_symlink_and_the_files_mode(
    service: LexiconService, data_dir: Path, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere.yaml"
    real.write_text("")
    real.chmod(0o600)
    (data_dir / "lexicon.yaml").symlink_to(real)
    await service.save(GOOD, (await service.load()).version)
    assert (data_dir / "lexicon.yaml").is_symlink()
    assert real.read_text() == GOOD
    assert real.stat().st_mode & 0o777 == 0o600


async def test_the_lexicon_is_loaded_checked_saved_and_tried_over_http(client: AsyncClient) -> None:
    loaded = (await client.get("/page/lexicon")).json()
    checked = (await client.post("/page/lexicon/check", json={"text": "en:\n  a: [1]\n"})).json()
    assert (checked["problems"][0]["line"], checked["problems"][0]["column"]) == (2, 6)
    assert checked["problems"][0]["message"]["id"] == "yaml_value_for"
    saved = await client.post("/page/lexicon/save", json={"text": GOOD, "version": loaded["version"]})
    assert saved.json()["checked"]["entries"] == 1
    tried = await client.post("/page/lexicon/said", json={"sentence": "One kWh."})
    assert tried.json()["hits"] == ["kWh: kilowatt hours"]
    stale = await client.post("/page/lexicon/save", json={"text": GOOD, "version": "other"})
    assert stale.status_code == 400
