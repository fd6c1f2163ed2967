"""The lexicon edited by the page: validated, saved without overwriting others' changes, and tried."""

from __future__ import annotations

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


async def test_a_saved_lexicon_holds_at_once(service: LexiconService, home: Path) -> None:
    empty = await service.load()
    assert (empty.text, empty.checked.entries) == ("", 0)
    saved = await service.save(GOOD, empty.version)
    assert (home / "lexicon.yaml").read_text() == GOOD
    assert saved.checked.entries == 1
    said = await service.try_sentence("It takes 6 kWh.")
    assert said.hits == ("kWh: kilowatt hours",)
    assert "kilowatt hours" in said.phonemes[0]
    assert await service.load() == saved
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
    (problem,) = check_lexicon(text).problems
    assert (problem.line, problem.column) == (line, column)
    assert problem.message


async def test_a_broken_lexicon_is_not_saved(service: LexiconService, home: Path) -> None:
    loaded = await service.load()
    with pytest.raises(BadRequest, match="Line 2, column 8"):
        await service.save("en:\n  kWh: [1]\n", loaded.version)
    assert not (home / "lexicon.yaml").exists()


async def test_somebody_elses_change_is_not_written_over(service: LexiconService, home: Path) -> None:
    loaded = await service.load()
    (home / "lexicon.yaml").write_text("de:\n  a: b\n")
    with pytest.raises(LexiconChanged):
        await service.save(GOOD, loaded.version)
    assert (home / "lexicon.yaml").read_text() == "de:\n  a: b\n"
    await service.save(GOOD, (await service.load()).version)
    assert (home / "lexicon.yaml").read_text() == GOOD


async def test_a_link_and_its_mode_outlive_saving(
    service: LexiconService, home: Path, tmp_path: Path
) -> None:
    real = tmp_path / "elsewhere.yaml"
    real.write_text("")
    real.chmod(0o600)
    (home / "lexicon.yaml").symlink_to(real)
    await service.save(GOOD, (await service.load()).version)
    assert (home / "lexicon.yaml").is_symlink()
    assert real.read_text() == GOOD
    assert real.stat().st_mode & 0o777 == 0o600


async def test_the_lexicon_is_edited_over_http(client: AsyncClient) -> None:
    loaded = (await client.get("/page/lexicon")).json()
    checked = (await client.post("/page/lexicon/check", json={"text": "en:\n  a: [1]\n"})).json()
    assert (checked["problems"][0]["line"], checked["problems"][0]["column"]) == (2, 6)
    saved = await client.post("/page/lexicon/save", json={"text": GOOD, "version": loaded["version"]})
    assert saved.json()["checked"]["entries"] == 1
    said = await client.post("/page/lexicon/said", json={"sentence": "One kWh."})
    assert said.json()["hits"] == ["kWh: kilowatt hours"]
    stale = await client.post("/page/lexicon/save", json={"text": GOOD, "version": "other"})
    assert stale.status_code == 400
