"""The server's messages on the page: each has an ID and is there in every language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import wyoming_tts
from ui.words import MESSAGE_LANGUAGES, read_messages

PACKAGE = Path(wyoming_tts.__file__).parent
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NOT_FOR_READERS = {
    "ApiError",
    "CommandRefused",
    "HTTPException",
    "HomeAssistantProblem",  # with a code of its own
    "InvalidJson",
    "OSError",  # of which pages get the reason
    "PrerenderFailed",
    "TypeError",
    "ValueError",
}
"""Exceptions of the page's modules whose texts reach nobody's page."""


def calls(path: Path) -> Iterator[ast.Call]:
    return (each for each in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(each, ast.Call))


def name_of(call: ast.expr) -> str:
    function = call.func if isinstance(call, ast.Call) else call
    return function.id if isinstance(function, ast.Name) else ""


def templates() -> dict[str, str]:
    """The template of each message in the code, by ID."""
    found: dict[str, str] = {}
    for path in PACKAGE.rglob("*.py"):
        for call in calls(path):
            if name_of(call) == "Message":
                id_, template = (ast.literal_eval(each) for each in call.args)
                assert found.setdefault(id_, template) == template, f"{id_} has two texts"
                placeholders = set(_PLACEHOLDER.findall(template))
                assert placeholders == {each.arg for each in call.keywords}, id_
    return found


@pytest.mark.parametrize("language", MESSAGE_LANGUAGES)
def test_every_message_is_there_in_every_language_with_its_placeholders(language: str) -> None:
    translated, english = read_messages(language), templates()
    assert translated.keys() == english.keys()
    for id_, template in english.items():
        assert set(_PLACEHOLDER.findall(translated[id_])) == set(_PLACEHOLDER.findall(template)), id_


def texts_of(error: ast.Call) -> Iterator[ast.expr]:
    """The message and the hint of an error that is made."""
    yield from error.args[:1]
    yield from (each.value for each in error.keywords if each.arg == "hint")


def test_every_error_that_the_page_raises_is_a_message() -> None:
    plain = []
    for path in (PACKAGE / "page").rglob("*.py"):
        for raised in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(raised, ast.Raise) or not isinstance(raised.exc, ast.Call):
                continue
            if name_of(raised.exc) in _NOT_FOR_READERS:
                continue
            plain += [
                f"{path.name}:{text.lineno}"
                for text in texts_of(raised.exc)
                if isinstance(text, ast.Constant | ast.JoinedStr)
            ]
    assert plain == []


_REASONS = {"ValueError", "TypeError", "BadRequest", "TooLong", "UnknownVoice", "VoiceUnavailable", "OSError"}
_NEVER_SHOWN = {
    "make recipes with Recipe.of",  # a mistake of a program
}


def plain_texts(call: ast.Call) -> list[ast.expr]:
    return [text for text in texts_of(call) if isinstance(text, ast.Constant | ast.JoinedStr)]


@pytest.mark.parametrize(
    "path",
    [
        "voices/removal.py",
        "voices/style_files.py",
        "voices/styles.py",
        "voices/blends/mixing.py",
        "voices/blends/recipes.py",
        "style_tables.py",
        "engines/model_files.py",
        "text/lexicon/parser.py",
    ],
)
def test_what_the_page_shows_of_other_modules_is_made_of_messages(path: str) -> None:
    plain = [call for call in calls(PACKAGE / path) if name_of(call) in _REASONS and plain_texts(call)]
    texts = [ast.unparse(call) for call in plain]
    assert [text for text in texts if not any(each in text for each in _NEVER_SHOWN)] == []


def test_no_message_repeats_the_system_s_own_words() -> None:
    """They are English: `system_reason` has them in every language."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for handler in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(handler, ast.ExceptHandler) or "OSError" not in ast.unparse(handler):
                continue
            words = {f"{handler.name}", f"str({handler.name})"}
            found += [
                f"{path.relative_to(PACKAGE)}:{call.lineno}"
                for call in ast.walk(handler)
                if isinstance(call, ast.Call) and name_of(call) == "Message"
                for each in (ast.unparse(each.value) for each in call.keywords)
                if "strerror" in each or each in words
            ]
    assert found == []
