"""The public API of `import wyoming_tts`: its names, and what importing it loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wyoming_tts
from tests.support.parts import settings_for_tests
from wyoming_tts import SettingsError, SpeechError, UnknownVoice, Utterance, VoiceRequest, open_synthesizer

PACKAGE = Path(wyoming_tts.__file__).parent


def _imported_from_the_package(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "wyoming_tts":
            yield from (alias.name for alias in node.names)


def test_every_public_name_exists_and_is_the_object_that_type_checkers_see() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    (typed,) = (
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    names = {"__version__"}
    for node in typed.body:
        assert isinstance(node, ast.ImportFrom)
        assert node.module is not None
        module = __import__(node.module, fromlist=["*"])
        for alias in node.names:
            assert getattr(wyoming_tts, alias.name) is getattr(module, alias.name)
            names.add(alias.name)
    assert sorted(names) == sorted(wyoming_tts.__all__)
    assert {*wyoming_tts.__all__} <= {*dir(wyoming_tts)}


def test_importing_the_package_loads_no_submodule() -> None:
    script = "import sys; before = {*sys.modules}; import wyoming_tts; print(*{*sys.modules} - before)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["wyoming_tts"]


def test_importing_a_name_loads_only_the_modules_it_needs() -> None:
    script = "import sys; from wyoming_tts import UnknownVoice; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"numpy", "pydantic", "wyoming_tts.assembly"} & {*run.stdout.split()}


def test_a_name_that_is_not_public_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'wyoming_tts' has no attribute 'Segmenter'"):
        getattr(wyoming_tts, "Segmenter")  # noqa: B009 - a type checker rejects the plain attribute


def test_no_internal_module_imports_the_public_api() -> None:
    """Importing it would bypass the import contracts, which assign no layer to the package itself."""
    internal_files = [*PACKAGE.rglob("*.py"), *(PACKAGE.parent / "ui").rglob("*.py")]
    names = {name for file in internal_files for name in _imported_from_the_package(file)}
    assert names & {*wyoming_tts.__all__} == {"__version__"}


async def test_a_synthesizer_speaks_and_lists_its_voices() -> None:
    async with open_synthesizer(settings_for_tests()) as synthesizer:
        assert "en_US-letters-low" in [voice.name for voice in synthesizer.voices]
        async with synthesizer.speak(Utterance.of("Hello.", sample_rate=16_000)) as stream:
            assert stream.format.rate == 16_000
            assert sum([chunk.seconds async for chunk in stream]) > 0.1
        with pytest.raises(UnknownVoice) as raised:
            async with synthesizer.speak(Utterance.of("Hello.", voice=VoiceRequest(name="nobody"))):
                pass
    assert isinstance(raised.value, SpeechError)


async def test_a_stream_without_a_player_is_not_paced() -> None:
    """A server's stream stays at most 30 s ahead of its listener: this would take as long as the audio."""
    async with (
        open_synthesizer(settings_for_tests()) as synthesizer,
        synthesizer.speak(Utterance.of("word " * 400)) as stream,
    ):
        assert sum([chunk.seconds async for chunk in stream]) > 60


async def test_an_engine_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(SettingsError, match="engine: got 'nothing'"):
        async with open_synthesizer(settings_for_tests(engine="nothing")):
            pass
