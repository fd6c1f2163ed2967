"""Code blocks in the documents are valid in their language."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, SHELL, Block, Page, pages
from tests.support.fake_synthesizer import run_in_thread
from tests.support.scripted_http_server import as_pcm, say_as_voxcpm, scripted_http_server, text_of, upstream
from wyoming_tts.assembly.options import remote_options
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.remote.engine import RemoteEngine
from wyoming_tts.settings import load_settings
from wyoming_tts.speech import Prosody, Segment, VoiceSpec


def _compile_python(text: str) -> None:
    compile(text, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _parse_yaml(text: str) -> None:
    assert yaml.safe_load(text)


PARSERS: Mapping[str, Callable[[str], object]] = {
    "json": json.loads,
    "yaml": _parse_yaml,
    "toml": tomllib.loads,
    "python": _compile_python,
    "mermaid": lambda text: text,
    "text": lambda text: text,
    "js": lambda text: text,  # run by Chromium, in tests/browser
    "html": lambda text: text,  # the same
}
BLOCKS = [block for page in pages() for block in page.blocks()]


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language not in SHELL], ids=str)
def test_a_code_block_is_valid_in_its_language(block: Block) -> None:
    assert block.language in PARSERS, f"expected one of {', '.join([*SHELL, *PARSERS])}"
    PARSERS[block.language](block.text)


def test_the_example_settings_file_loads_without_warnings(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if block.text.startswith("# settings.yaml"))
    file = tmp_path / "settings.yaml"
    file.write_text(block.text, "utf-8")
    assert not load_settings({"config": str(file)}, environ={}).warnings


async def test_a_server_with_an_api_of_its_own_speaks_by_the_example(tmp_path: Path) -> None:
    (block,) = (block for block in BLOCKS if block.text.startswith("# remote.yaml"))
    file = tmp_path / "remote.yaml"
    async with scripted_http_server(upstream(speak=say_as_voxcpm, path="")) as server:
        file.write_text(block.text.replace("http://gpu.local:8000", server.address), "utf-8")
        options = remote_options(load_settings({"config": str(file)}, environ={}).settings)
        assert options is not None
        engine = await asyncio.to_thread(RemoteEngine, EngineOptions(remote=options))
        await engine.probe(run_in_thread)
        (voice,) = engine.installed()
        assert (voice.name, voice.language, voice.sample_rate) == ("voxcpm", "zh_CN", 44_100)
        loaded = await asyncio.to_thread(engine.load, voice)
        async with aclosing(loaded.stream(Segment("Hi there"), VoiceSpec(voice), Prosody())) as pieces:
            assert text_of(as_pcm([samples_of(one) async for one in pieces])) == "Hi there"
        await engine.aclose()
    [request] = server.spoken
    assert (request.path, request.json) == (
        "/generate",
        {"target_text": "Hi there", "cfg_value": 2.0, "temperature": 1.0},
    )


def test_paths_in_the_prose_exist() -> None:
    """Relative to the repository or to its package."""
    roots = (ROOT, ROOT / "wyoming_tts")
    tops = {path.name for root in roots for path in root.iterdir() if path.is_dir() and path.name[0] != "."}
    path = re.compile(rf"(?:{'|'.join(map(re.escape, tops))})/[\w./-]+")
    missing = [
        f"{page}: {span}"
        for page in pages()
        for span in page.code_spans()
        if path.fullmatch(span) and not any((root / span).exists() for root in roots)
    ]
    assert missing == []


def test_headings_and_links_within_code_are_not_parsed(tmp_path: Path) -> None:
    file = tmp_path / "page.md"
    file.write_text("# One `two`\n```sh\n# no heading\n```\n[a](b.md) `[c](d.md)`\n", "utf-8")
    page = Page(file)
    assert page.anchors() == {"one-two"}
    assert page.links() == ["b.md"]
