"""What Gradio makes of the page, as files: complete, of no other site, and loaded without turns."""

from __future__ import annotations

import base64
import gzip
import json
import mimetypes
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.http.test_page_mount import wait_until_ready
from tests.support.fake_synthesizer import run_in_thread
from tests.support.page_site import product
from ui import scripts
from ui.application import ICON
from ui.front_end import page_assets
from ui.prerender import FRONT_END, rewrite_index
from wyoming_tts.page import prerendered


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page as the image's build makes it, in a process of its own, as the server would."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(prerendered, "INSTALLED", tmp_path_factory.mktemp("page") / prerendered.FILE_NAME)
        assert prerendered.main() == 0
        yield prerendered.INSTALLED


@pytest.fixture(scope="module")
def files(installed: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(installed.read_bytes())["files"]
    return found


def text_of(files: dict[str, list[str]], path: str) -> str:
    return gzip.decompress(base64.b64decode(files[path][2])).decode()


@pytest.fixture(scope="module")
def index(files: dict[str, list[str]]) -> str:
    return text_of(files, "/")


def preloaded(index: str) -> set[str]:
    return set(re.findall(r'<link rel="modulepreload" href="\.(/[^"]*)"', index))


def test_every_script_is_kept_forever_at_its_content_hashed_path(files: dict[str, list[str]]) -> None:
    for path, text in scripts.files().items():
        assert text_of(files, f"/{path}") == text
        assert files[f"/{path}"][0].startswith("text/javascript")
        assert "immutable" in files[f"/{path}"][1]


def test_a_module_still_has_its_address(files: dict[str, list[str]]) -> None:
    assert {f"/{scripts.path_of(name)}" for name in scripts.sources()} <= set(files)


def test_the_scripts_in_sight_at_first_are_preloaded_as_one_file(index: str) -> None:
    own = {path for path in preloaded(index) if path.startswith("/static/js/")}
    assert own == {f"/{scripts.path_of('first')}"}


def test_the_icon_is_the_products_own(files: dict[str, list[str]]) -> None:
    assert files["/favicon.ico"][0].startswith("image/svg+xml")
    assert text_of(files, "/favicon.ico") == ICON.read_text("utf-8")


async def test_the_installed_page_is_served_without_a_process(
    installed: Path, index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prerendered, "INSTALLED", installed)
    monkeypatch.setattr(prerendered, "child_command", None)  # calling it would raise
    app = await prerendered.make_page(tmp_path, run_blocking=run_in_thread)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        assert (await client.get("/")).text == index
        for path in preloaded(index):
            assert (await client.get(path)).status_code == 200


async def test_head_tells_what_get_would_of_the_length(
    installed: Path, files: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mimetypes, "_db", None)  # as in a server that has just been started
    all_assets = {f"/assets/{each.name}" for each in (FRONT_END / "assets").glob("*.js")}
    on_disk = min(all_assets - files.keys())
    async with (
        product(tmp_path, state_dir=installed.parent) as site,
        httpx.AsyncClient(base_url=site.url, trust_env=False) as client,
    ):
        await client.get("/")
        assert site.http._page is not None
        await wait_until_ready(site.http._page)
        for path in ("", "theme.css", "manifest.json", "favicon.ico", "robots.txt", on_disk):
            for encoding in ("identity", "gzip"):
                client.headers["Accept-Encoding"] = encoding
                got, headed = await client.get(path), await client.head(path)
                assert got.status_code == headed.status_code == 200, path
                assert headed.headers["content-length"] == got.headers["content-length"], path
                assert encoding == "gzip" or got.headers["content-length"] == str(len(got.content)), path


_VISIT_SERVERS = """
import asyncio, sys, tempfile, time, urllib.request
from pathlib import Path
from tests.support.page_site import product

def visit(url):
    while True:
        try:
            answer = urllib.request.urlopen(url)
        except urllib.error.HTTPError as error:
            return error.code
        if answer.headers["X-Page"] != "loading":
            return answer.headers["X-Page"]
        time.sleep(0.1)

async def main(state_dir):
    for ui in (True, False):
        with tempfile.TemporaryDirectory() as directory:
            async with product(Path(directory), ui=ui, state_dir=state_dir) as site:
                print(await asyncio.to_thread(visit, site.url), "gradio" in sys.modules)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_server_with_its_page_visited_or_without_one_never_imports_gradio(installed: Path) -> None:
    completed = subprocess.run(
        [sys.executable, "-c", _VISIT_SERVERS, str(installed.parent)],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert completed.stdout.splitlines() == ["ready False", "404 False"]


def test_nothing_in_the_page_is_random(index: str) -> None:
    assert '"app_id":1,' in index


def test_the_voices_are_asked_for_before_the_script_that_shows_them_runs(index: str) -> None:
    (asked,) = re.findall(r'<link rel="preload" as="fetch" crossorigin href="\./([^"]*)"', index)
    assert f'const PATH = "{asked}";' in scripts.sources()["voice_directory"]


def test_what_is_preloaded_is_among_the_files(files: dict[str, list[str]], index: str) -> None:
    assert preloaded(index) <= set(files)


def test_gradios_style_sheets_are_joined_and_its_scripts_find_that_they_are_there(
    files: dict[str, list[str]], index: str
) -> None:
    """Gradio's scripts load a style sheet if the page has no link to it, be it a disabled one."""
    (joined,) = re.findall(r'<link rel="stylesheet" crossorigin href="\./(assets/[^"]*)"', index)
    known = [name for name in page_assets(FRONT_END / "assets", index) if name.endswith(".css")]
    assert known == re.findall(r'<link rel="stylesheet" disabled href="\./assets/([^"]*)"', index)
    assert known[0].startswith("index-"), "The first is a reset, which the others override."
    sheets = [(FRONT_END / "assets" / name).read_text("utf-8") for name in known]
    assert text_of(files, f"/{joined}") == "\n".join(sheets)
    assert not any(sheet.startswith("@") for sheet in sheets[1:]), "Nothing that holds at the beginning only."
    assert 'as="style"' not in index


def test_gradios_own_scripts_of_the_page_are_found_down_to_the_components(index: str) -> None:
    """Fails where an update of Gradio packs its front end in another way: see `ui/front_end.py`."""
    assets = page_assets(FRONT_END / "assets", index)
    kinds = [re.sub(r"-[\w-]{8}\.\w+$", "", name) for name in assets]
    assert {"index", "Index", "core", "Blocks", "HTML"} <= set(kinds)
    assert 20 < len(assets) < 60, assets
    static = r"""(?:\bfrom|\bimport)["']\./([\w.-]+\.js)["']"""
    for name in assets:
        if name.endswith(".js"):
            assert set(re.findall(static, (FRONT_END / "assets" / name).read_text("utf-8"))) <= set(assets), (
                name
            )


def test_a_front_end_of_another_make_is_loaded_as_it_loads_itself(tmp_path: Path) -> None:
    (tmp_path / "index-1.js").write_text("import(later)")
    assert page_assets(tmp_path, '<script type="module" src="./assets/index-1.js">') == ["index-1.js"]
    assert page_assets(tmp_path, "<h1>no script at all</h1>") == []


def test_the_page_has_no_address_but_that_by_which_a_browser_came(index: str) -> None:
    assert "page.invalid" not in index
    assert '"root":new URL(".",document.baseURI)' in index
    config = re.search(r"window\.gradio_config = (\{.*?\});</script>", index, re.DOTALL)
    assert config is not None
    known = json.loads(re.sub(r'"root":new URL\(.*?\)\.href\.slice\(0,-1\)', '"root":""', config[1]))
    assert known["dependencies"] == [], "The page has no events of Gradio's."


def test_the_index_references_no_other_host() -> None:
    index = (
        '<head><meta property="og:url" content="https://gradio.app/" />'
        '<meta\n name="twitter:image" content="https://x.example/i.png" />'
        '<link rel="preconnect" href="https://fonts.googleapis.com" />'
        '<script>a = 1;</script>\n<script>load("//x.example/iframeResizer.js")</script>'
        '<link rel="manifest" href="/manifest.json" /><link rel="stylesheet" href="./a.css"></head>'
    )
    rewritten = rewrite_index(index, [], "page.css")
    assert "//" not in rewritten
    assert 'href="./manifest.json"' in rewritten
    assert 'href="./a.css"' in rewritten
    assert "<script>a = 1;</script>" in rewritten
