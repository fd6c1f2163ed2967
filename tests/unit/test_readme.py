"""The README says what the product does."""

from __future__ import annotations

import re
from pathlib import Path

from wyoming_tts.errors import ErrorCode
from wyoming_tts.settings import settings_table

README = Path(__file__).parents[2] / "README.md"


def test_the_settings_table_is_the_models() -> None:
    """`script/format` writes it anew."""
    match = re.search(r"<!-- settings -->\n(.*?)\n?<!-- /settings -->", README.read_text("utf-8"), re.DOTALL)
    assert match is not None
    assert match[1].strip() == settings_table()


def test_every_error_code_is_named() -> None:
    text = README.read_text("utf-8")
    assert [code for code in ErrorCode if f"`{code}`" not in text] == []
