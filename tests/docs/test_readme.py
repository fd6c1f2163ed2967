"""The README and the settings reference match the product."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from wyoming_tts.errors import ErrorCode
from wyoming_tts.settings import Settings, settings_table
from wyoming_tts.settings.descriptions import SETTINGS
from wyoming_tts.text.first_segment import DEFAULT_BOUNDARIES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
REFERENCE = ROOT / "docs" / "settings.md"
MAX_LINES = 150
"""Longer content belongs in docs/."""


@pytest.mark.parametrize("page", [README, REFERENCE], ids=lambda page: page.name)
def test_the_settings_tables_are_generated_from_the_settings_model(page: Path) -> None:
    """`script/format` regenerates them."""
    assert page.read_text("utf-8") == runpy.run_path(str(ROOT / "script" / "readme.py"))["written"]()[page]


def test_the_page_of_voice_agents_shows_the_files_that_the_demonstrations_run() -> None:
    """`script/format` writes them into it."""
    page = ROOT / "docs" / "voice-agents.md"
    assert page.read_text("utf-8") == runpy.run_path(str(ROOT / "script" / "readme.py"))["written"]()[page]


def test_the_settings_reference_has_every_setting() -> None:
    text = REFERENCE.read_text("utf-8")
    assert settings_table() in text
    assert [info.name for info in SETTINGS if f"| `{info.name}` | `{info.flags[0]}`" not in text] == []


def test_the_readme_is_short_and_links_to_every_page() -> None:
    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name}" not in text] == []


def test_the_readmes_figures_match_the_benchmark_page() -> None:
    measured = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    text = README.read_text("utf-8")
    rows = {
        "TTFA, 29-word sentence, default settings": "first audio of a 29-word sentence",
        "TTFA p95, 8 listeners, paragraph": "first audio for 8 listeners, a paragraph each (p95)",
        "`describe` p95 under that load": "`describe` under that load (p95)",
    }
    for benchmark_row, readme_row in rows.items():
        assert _figures(text, readme_row) == _figures(measured, benchmark_row)


def test_every_error_code_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert [code for code in ErrorCode if f"`{code}`" not in text] == []


def test_the_default_first_segment_boundaries_are_those_of_the_text_rules() -> None:
    assert Settings().first_segment_boundaries == DEFAULT_BOUNDARIES


def _figures(text: str, row: str) -> list[str]:
    """The cells for wyoming-piper and this server in a table row."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {row} |"))
    return [cell.strip() for cell in line.split("|")[2:4]]
