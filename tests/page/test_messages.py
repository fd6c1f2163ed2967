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


_SHOWN = {
    "SpeechError",
    "ApiError",
    "DownloadFailed",
    "TransferInterrupted",
    "UpstreamFault",
    "NotPcm",
    "NoVoiceList",
    "InvalidJson",
}
"""Exceptions whose texts, and those of their subclasses, pages show."""
_REASONS = {"ValueError", "TypeError", "OSError"}
_OF_REASONS = {
    "voices/removal.py",
    "voices/style_files.py",
    "voices/styles.py",
    "voices/blends/mixing.py",
    "voices/blends/recipes.py",
    "style_tables.py",
    "engines/model_files.py",
    "text/lexicon/parser.py",
}
"""Modules whose other exceptions are the reasons in such texts."""
_NOT_ON_PAGES = (
    "commands/",  # at a terminal
    "bench/",
    "telemetry/stats.py",
    "text/ssml/",  # the page sends none
    "transports/access",  # the page uses no token, and no network that is refused has a page
    "transports/tokens.py",
    "transports/accepting.py",
    "transports/wyoming/",  # mistakes of other programs, from here on
    "transports/realtime/",
    "transports/http/access_rules.py",
    "transports/http/errors.py",
    "transports/http/voice_routes.py",
    "transports/http/app.py",
)
_NEVER_SHOWN = {
    "make recipes with Recipe.of",  # a mistake of a program
    "Got `sse` for captions",  # as above
    "MalformedMarkup",
    "it is no object",
    "HomeAssistantProblem",  # with a code of its own
}


def plain_texts(call: ast.Call) -> list[ast.expr]:
    """Those of the texts that have no ID; a status or cause may come before the text."""
    return [
        text
        for text in (*call.args[:2], *(each.value for each in call.keywords if each.arg == "hint"))
        if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.Constant) and isinstance(text.value, str))
    ]


def shown_exceptions() -> set[str]:
    """The exceptions of the package whose texts pages show."""
    bases = {
        each.name: {name_of(base) for base in each.bases}
        for path in PACKAGE.rglob("*.py")
        for each in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(each, ast.ClassDef)
    }
    shown = set(_SHOWN)
    while more := {name for name, each in bases.items() if each & shown} - shown:
        shown |= more
    return shown


def test_what_pages_show_of_any_module_is_made_of_messages() -> None:
    shown, plain = shown_exceptions(), []
    assert "VoiceUnavailable" in shown
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        kinds = shown | (_REASONS if name in _OF_REASONS else set())
        if not name.startswith(_NOT_ON_PAGES):
            plain += [call for call in calls(path) if name_of(call) in kinds and plain_texts(call)]
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
