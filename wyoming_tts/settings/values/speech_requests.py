"""Types of what is sent to remote servers: a path and a JSON body, both with placeholders."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.json_template import InvalidTemplate, JsonTemplate, placeholders_of, write_template

SPEECH_PLACEHOLDERS: Final = ("text", "voice", "speaker", "language", "locale", "speed", "rate", "model")
"""What a request for speech may say, in `remote_path` and `remote_body`."""


def _speech_body(value: object) -> object:
    """Return the JSON of a template; a mapping of YAML is one too."""
    if value is not None and not isinstance(value, str):
        value = write_template(value)
    if isinstance(value, str) and value.strip():
        _check_placeholders(found := JsonTemplate(value).placeholders)
        if "text" not in found:
            raise InvalidTemplate("{text} is nowhere in it, so that every request would be the same")
    return value


def _check_placeholders(found: frozenset[str]) -> None:
    if unknown := sorted(found.difference(SPEECH_PLACEHOLDERS)):
        known = ", ".join(f"{{{name}}}" for name in SPEECH_PLACEHOLDERS)
        raise InvalidTemplate(f"{{{unknown[0]}}} is no placeholder; there are {known}")


def _speech_path(path: str) -> str:
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.startswith("/"):
        raise InvalidTemplate(f"it has to begin with one slash, such as {SPEECH_PATH}")
    if not path.isprintable() or " " in path or parts.fragment:
        raise InvalidTemplate("it has characters that a path cannot have")
    _check_placeholders(placeholders_of(path))
    return path


SpeechPath = Annotated[str, AfterValidator(_speech_path)]
SpeechBody = Annotated[str | None, BeforeValidator(_speech_body)]
