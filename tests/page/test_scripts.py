"""The page's scripts as browsers get them."""

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


async def test_every_script_is_served_for_good_by_an_address_that_names_its_content(
    client: httpx.AsyncClient,
) -> None:
    for name, source in scripts.sources().items():
        answer = await client.get(f"/{scripts.path_of(name.removesuffix('.js'))}")
        assert answer.text == source
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]


async def test_a_page_of_an_earlier_version_gets_the_scripts_of_today_and_does_not_keep_them(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/static/js/0123456789abcdef/common.js")
    assert answer.text == scripts.sources()["common.js"]
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("name", ["nothing.js", "common", "../scripts.py", "%2e%2e/app.py", "common.js/x"])
async def test_nothing_else_is_served(client: httpx.AsyncClient, name: str) -> None:
    assert (await client.get(f"/static/js/{scripts.version()}/{name}")).status_code == 404


def test_a_script_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"ui/js/nothing\.js"):
        scripts.script_element("nothing", elem_id="nothing")


def test_all_are_fetched_beside_the_page_and_from_below_it() -> None:
    preloaded = re.findall(r'<link rel="modulepreload" href="\./([^"]*)">', head())
    assert preloaded == [scripts.path_of(name.removesuffix(".js")) for name in sorted(scripts.sources())]
