"""The README says what the product does."""

from __future__ import annotations

import re
from pathlib import Path

from wyoming_tts.errors import ErrorCode
from wyoming_tts.settings import Settings, settings_table
from wyoming_tts.text.first_segment import DEFAULT_BOUNDARIES

README = Path(__file__).parents[2] / "README.md"


def test_the_settings_table_is_the_models() -> None:
    """`script/format` writes it anew."""
    match = re.search(r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", README.read_text("utf-8"), re.DOTALL)
    assert match is not None
    assert match[1].strip() == settings_table()


def test_every_error_code_is_named() -> None:
    text = README.read_text("utf-8")
    assert [code for code in ErrorCode if f"`{code}`" not in text] == []


def test_the_default_marks_of_a_first_segment_are_those_of_the_text_rules() -> None:
    assert Settings().first_segment_boundaries == DEFAULT_BOUNDARIES
