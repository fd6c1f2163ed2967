"""The page is made once for each version, by a process of its own, and kept in the state directory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import os
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

import ui
from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.page import prerendered
from wyoming_tts.page.prerendered import FILE_NAME, PrerenderFailed, make_page, was_visited


class Renderer:
    """Stands for the child process; counts its starts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, installed: Path) -> None:
        monkeypatch.setattr(prerendered, "INSTALLED", installed)
        self.starts = 0
        self.program = ""
        self._monkeypatch = monkeypatch
        self.write("The page.")

    def write(self, index: str) -> None:
        packed = base64.b64encode(gzip.compress(index.encode())).decode()
        page = {"files": {"/": ["text/html", "no-cache", packed]}}
        self.run(f"print({json.dumps(page)!r})")

    def run(self, program: str) -> None:
        def command(_module: str) -> tuple[str, ...]:
            self.starts += 1
            return sys.executable, "-I", "-S", "-c", program

        self._monkeypatch.setattr(prerendered, "child_command", command)


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Renderer:
    return Renderer(monkeypatch, tmp_path / "installed.json")


async def read(app: ASGIApp) -> str:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        return (await client.get("/")).text


async def make(directory: Path) -> ASGIApp:
    return await make_page(directory, run_blocking=run_in_thread)


async def test_the_page_is_made_once_and_outlives_a_restart(renderer: Renderer, tmp_path: Path) -> None:
    assert [await read(await make(tmp_path / "new")) for _ in range(3)] == ["The page."] * 3
    assert renderer.starts == 1


async def test_a_page_of_another_version_is_made_anew(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await was_visited(tmp_path, run_blocking=run_in_thread)
    await make(tmp_path)
    renderer.write("The next page.")
    monkeypatch.setattr(prerendered, "page_version", lambda: "the next")
    assert await was_visited(tmp_path, run_blocking=run_in_thread)
    assert await read(await make(tmp_path)) == "The next page."


def _cut(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:50])


def _with_files(files: Any) -> Callable[[Path], object]:
    return lambda kept: kept.write_text(json.dumps(json.loads(kept.read_text()) | {"files": files}))


def _flip_a_bit_of_a_script(kept: Path) -> None:
    page = json.loads(kept.read_text())
    packed = page["files"]["/"][2]
    other = "A" if packed[20] != "A" else "B"
    page["files"]["/"][2] = packed[:20] + other + packed[21:]
    kept.write_text(json.dumps(page))


def _fill(kept: Path) -> None:
    with kept.open("r+b") as file:
        file.truncate(1 << 40)  # sparse: a disk has room for it, and memory has not


def _make_a_pipe(kept: Path) -> None:
    kept.unlink()
    os.mkfifo(kept)


def _nest(kept: Path) -> None:
    kept.write_text("[" * 200_000)


@pytest.mark.parametrize(
    "damage",
    [
        _cut,
        _nest,
        _flip_a_bit_of_a_script,
        _fill,
        _make_a_pipe,
        lambda kept: kept.write_text("[]"),
        *map(_with_files, ({"/": 5}, ["/"], None, {"/": []}, {"index": ["text/html", "no-cache", ""]})),
    ],
)
async def test_a_damaged_file_is_made_anew_and_told_of_once(
    renderer: Renderer, tmp_path: Path, damage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await make(tmp_path)
    damage(tmp_path / FILE_NAME)
    assert await read(await make(tmp_path)) == "The page."
    assert renderer.starts == 2
    assert [record.getMessage().partition(" cannot be used")[0] for record in caplog.records] == [
        f"The page in {tmp_path / FILE_NAME}"
    ]
    assert await read(await make(tmp_path)) == "The page."
    assert renderer.starts == 2


async def test_nobody_is_known_to_have_visited_where_a_directory_must_not_be_searched(tmp_path: Path) -> None:
    # The name is too long: an error that even root gets, unlike that of missing rights.
    assert not await was_visited(tmp_path / ("x" * 300), run_blocking=run_in_thread)


def install(renderer: Renderer, index: str) -> Path:
    """Install a page as the image's build does; what is made from now on is another one."""
    renderer.write(index)
    assert prerendered.main() == 0
    renderer.write("The page.")
    renderer.starts = 0
    return prerendered.INSTALLED


def test_a_page_that_is_installed_is_not_made_again(renderer: Renderer) -> None:
    install(renderer, "The installed page.")
    assert prerendered.main() == 0
    assert renderer.starts == 0


def test_an_installation_without_a_page_is_told_why(
    renderer: Renderer, capsys: pytest.CaptureFixture[str]
) -> None:
    renderer.run("raise SystemExit('no front end')")
    assert prerendered.main() == 1
    assert "no front end" in capsys.readouterr().err
    assert not prerendered.INSTALLED.exists()


async def make_apart(directory: Path) -> str:
    return await read(await make(directory))


def test_the_page_that_the_installation_brings_is_served_and_kept_without_a_process(
    renderer: Renderer, tmp_path: Path
) -> None:
    installed = install(renderer, "The installed page.")
    assert asyncio.run(make_apart(tmp_path)) == "The installed page."
    assert (tmp_path / FILE_NAME).read_bytes() == installed.read_bytes()
    assert renderer.starts == 0


def _date(installed: Path) -> None:
    installed.write_text(json.dumps(json.loads(installed.read_text()) | {"version": "another"}))


@pytest.mark.parametrize("damage", [_cut, _nest, _with_files({"/": 5}), _date])
def test_an_installed_page_that_is_damaged_or_of_another_version_is_ignored(
    renderer: Renderer, tmp_path: Path, damage: Any
) -> None:
    damage(install(renderer, "The installed page."))
    assert asyncio.run(make_apart(tmp_path)) == "The page."
    assert renderer.starts == 1


def test_the_front_end_of_gradio_is_enough_for_an_installed_page(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = install(renderer, "The installed page.")
    (tmp_path / "gradio" / "templates" / "frontend" / "static").mkdir(parents=True)
    found = PathFinder.find_spec("gradio", [str(tmp_path)])
    monkeypatch.setattr(prerendered, "_gradio", lambda: found)
    assert asyncio.run(make_apart(tmp_path / "new")) == "The installed page."
    _date(installed)
    with pytest.raises(PrerenderFailed, match="Gradio is left out"):
        asyncio.run(make_apart(tmp_path / "other"))


def _in_no_directory(kept: Path) -> None:
    kept.parent.write_text("")


def _by_a_link_to_itself(kept: Path) -> None:
    kept.parent.mkdir()
    kept.symlink_to(kept)


@pytest.mark.parametrize("hinder", [_in_no_directory, _by_a_link_to_itself])
async def test_the_page_is_served_where_it_cannot_be_kept(
    renderer: Renderer, tmp_path: Path, hinder: Callable[[Path], object]
) -> None:
    directory = tmp_path / "directory"
    hinder(directory / FILE_NAME)
    assert await read(await make(directory)) == "The page."
    assert renderer.starts == 1


async def test_what_the_process_says_when_it_fails_is_the_reason(renderer: Renderer, tmp_path: Path) -> None:
    renderer.run("raise SystemExit('no front end')")
    with pytest.raises(PrerenderFailed, match="no front end"):
        await make(tmp_path)
    assert not (tmp_path / FILE_NAME).exists()


def test_the_version_is_that_of_all_the_page_is_made_of() -> None:
    names = {each.name for package in prerendered._MADE_OF for each in prerendered.sources(package)}
    assert {"examples.yaml", "voices.py", "texts.py"} <= names
    files = {each.name for each in Path(ui.__file__).parent.rglob("*") if each.is_file()}
    assert {each for each in files if not each.endswith(".pyc")} <= names
    assert "icon.svg" in names


def test_a_page_that_is_installed_changes_no_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / FILE_NAME).write_text("{}")
    monkeypatch.setattr(
        prerendered, "find_spec", lambda name: PathFinder.find_spec(tmp_path.name, [str(tmp_path.parent)])
    )
    assert prerendered.sources("any") == [tmp_path / "__init__.py"]
