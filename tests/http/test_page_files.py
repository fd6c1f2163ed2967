"""The page's app: files in memory, which browsers keep, and Gradio's front end on disk."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from wyoming_tts.transports.http.page_files import page_app, page_file

FOREVER = "private, max-age=31536000, immutable"
NO_CACHE = "private, no-cache"
INDEX = "<h1>The page</h1>"
SCRIPT = "export const now = 1;"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "Later-12345678.js").write_text("export {};")
    (tmp_path / "secret.txt").write_text("not the page's")
    files = {
        "/": page_file("text/html; charset=utf-8", NO_CACHE, gzip.compress(INDEX.encode())),
        "/static/js/abc/common.js": page_file("text/javascript", FOREVER, gzip.compress(SCRIPT.encode())),
    }
    transport = httpx.ASGITransport(page_app(files, tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        yield client


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
async def test_a_file_is_sent_compressed_or_as_it_is(client: httpx.AsyncClient, accepted: str) -> None:
    answer = await client.get("/", headers={"Accept-Encoding": accepted})
    assert answer.text == INDEX
    assert answer.headers.get("content-encoding", "identity") == accepted
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_who_has_the_page_already_is_told_that_it_is_the_same(client: httpx.AsyncClient) -> None:
    first = await client.get("/")
    assert first.headers["cache-control"] == NO_CACHE
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    other = await client.get("/", headers={"If-None-Match": 'W/"of-another-version"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert other.text == INDEX


async def test_a_script_by_the_path_of_another_version_is_the_current_one_and_not_kept(
    client: httpx.AsyncClient,
) -> None:
    current = await client.get("/static/js/abc/common.js")
    old = await client.get("/static/js/0123456789abcdef/common.js")
    assert current.text == old.text == SCRIPT
    assert (current.headers["cache-control"], old.headers["cache-control"]) == (FOREVER, NO_CACHE)


async def test_what_the_front_end_loads_later_comes_from_its_folder(client: httpx.AsyncClient) -> None:
    assert (await client.get("/assets/Later-12345678.js")).text == "export {};"


@pytest.mark.parametrize(
    "path",
    ["/secret.txt", "/assets/../secret.txt", "/assets/%2e%2e/secret.txt", "/static/js/abc/x.js", "/assets/"],
)
async def test_any_other_path_is_a_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


async def test_below_a_prefix_of_the_ingress_the_paths_are_the_same(tmp_path: Path) -> None:
    files = {"/": page_file("text/html", NO_CACHE, gzip.compress(INDEX.encode()))}
    transport = httpx.ASGITransport(page_app(files, tmp_path), root_path="/api/ingress")
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        assert (await client.get("/api/ingress/")).text == INDEX
