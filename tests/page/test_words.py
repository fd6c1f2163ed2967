"""The page's texts: every language has all of them, and every failure that the page may show has one."""

from __future__ import annotations

import re

import pytest

from ui.words import LANGUAGES, Words, read_texts
from wyoming_tts.errors import ErrorCode
from wyoming_tts.voices.download.downloads import FailureCause

_PLACEHOLDER = re.compile(r"\{\w+\}")
_OF_TOKENS = {code for code in ErrorCode if code.startswith("token_")} | {ErrorCode.VOICE_NOT_ALLOWED}
"""The page uses no token."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_with_its_placeholders(language: str) -> None:
    texts = read_texts(language)
    assert set(texts) == set(read_texts("en"))
    assert all(texts.values())
    for name, english in read_texts("en").items():
        assert set(_PLACEHOLDER.findall(texts[name])) == set(_PLACEHOLDER.findall(english)), name


def test_a_missing_text_is_a_key_error() -> None:
    with pytest.raises(KeyError, match=r"ui/words/en\.yaml"):
        Words()("audition.no_such_text")


def test_every_cause_of_a_failed_download_has_a_text() -> None:
    texts = read_texts("en")
    assert {cause for cause in FailureCause if f"problem.download_{cause}" not in texts} == set()


def test_every_code_of_an_error_has_a_text() -> None:
    texts = read_texts("en")
    assert {code for code in ErrorCode if f"problem.code_{code}" not in texts} == _OF_TOKENS
