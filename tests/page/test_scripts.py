"""The page's JavaScript modules as they are served to browsers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette

from ui import scripts
from ui.application import head

BASE = "http://page"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=[scripts.route()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


async def test_every_script_is_served_as_immutable_at_its_content_hashed_path(
    client: httpx.AsyncClient,
) -> None:
    for name, source in scripts.sources().items():
        answer = await client.get(f"/{scripts.path_of(name.removesuffix('.js'))}")
        assert answer.text == source
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]


async def test_an_outdated_hash_gets_the_current_script_with_no_cache(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/static/js/0123456789abcdef/common.js")
    assert answer.text == scripts.sources()["common.js"]
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "common", "../scripts.py", "%2e%2e/app.py", "common.js/x"])
async def test_any_other_path_below_the_scripts_is_a_404(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/js/{scripts.version()}/{name}")).status_code == 404


def test_a_script_element_for_a_missing_script_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"ui/js/nothing\.js"):
        scripts.script_element("nothing", elem_id="nothing")


def test_the_scripts_in_sight_at_first_are_preloaded_with_their_imports() -> None:
    preloaded = set(re.findall(r'<link rel="modulepreload" href="\./([^"]*)">', head()))
    assert {scripts.path_of(name) for name in ("audition", "player_bar", "voice_cards", "pcm")} <= preloaded
    assert scripts.path_of("status") not in preloaded
    assert scripts.path_of("mixer") not in preloaded
