"""The lexicon editor's service and HTTP routes: validation while typing, saving with conflict detection."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Response
from pydantic import Field

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.atomic_write import replace_file
from wyoming_tts.errors import BadRequest
from wyoming_tts.known_files import is_absent
from wyoming_tts.messages import Message, encode_messages
from wyoming_tts.page import paths
from wyoming_tts.page.request_body import RequestBody
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.speech import Utterance
from wyoming_tts.system_reasons import system_reason
from wyoming_tts.text.lexicon.hot_reload import FILE_NAME
from wyoming_tts.text.lexicon.parser import parse_lexicon
from wyoming_tts.transports.http.errors import json_response
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml
from wyoming_tts.yaml_files.reading import Problem as FileProblem

PATH = paths.LEXICON
"""Relative to the page."""
_MAX_SENTENCE_CHARS = 500
_MOST = f"{MAX_BYTES:,} bytes"

_Text: TypeAlias = Annotated[str, Field(max_length=MAX_BYTES)]


@dataclass(frozen=True, slots=True)
class LexiconProblem:
    """An error or a warning with its position in the text; line and column count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class CheckedLexicon:
    """The result of validating a text as a lexicon."""

    entries: int
    problems: tuple[LexiconProblem, ...]
    warnings: tuple[LexiconProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class LexiconText:
    """The lexicon file and its validation."""

    path: str
    text: str
    version: str
    """A digest of the content, to detect changes by others."""
    checked: CheckedLexicon


@dataclass(frozen=True, slots=True)
class LexiconTrial:
    """How a sentence is spoken with the current lexicon."""

    spoken: str
    phonemes: tuple[str, ...]
    hits: tuple[str, ...]
    """The entries that applied, as `kWh: kilowatt hours`."""


class LexiconChanged(BadRequest):
    """The file has been changed by somebody else in the meantime; it stays as it is."""


class LexiconService:
    """Reads, validates and writes the lexicon of the first data directory."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._run = parts.workers.run_blocking
        self._path = parts.settings.data_dir[0] / FILE_NAME
        self._saving = asyncio.Lock()

    async def load(self) -> LexiconText:
        """Return the file, or an empty text if there is none.

        Raises:
            BadRequest: it is too large or not UTF-8.
        """
        return await self._run(partial(_load, self._path))

    async def check(self, text: str) -> CheckedLexicon:
        """Validate a text as a lexicon."""
        return await self._run(partial(check_lexicon, text))

    async def save(self, text: str, version: str) -> LexiconText:
        """Write the file and apply it at once.

        Args:
            text: The whole content.
            version: The version of the file that was edited.

        Raises:
            LexiconChanged: the file has been changed since.
            BadRequest: the text is not a valid lexicon, or the file cannot be written.
        """
        async with self._saving:
            saved = await self._run(partial(_save, self._path, text, version))
            await self._run(self._parts.lexicon.refresh)
        return saved

    async def try_sentence(self, sentence: str) -> LexiconTrial:
        """Return how a sentence is spoken with the current lexicon.

        Raises:
            SpeechError: the sentence cannot be spoken.
        """
        utterance = Utterance.of(sentence[:_MAX_SENTENCE_CHARS], transport="page")
        explanation = await self._parts.synthesizer.explain(utterance)
        hits = tuple(f"{hit.written}: {hit.said}" for hit in explanation.lexicon)
        return LexiconTrial(explanation.spoken, explanation.phonemes, hits)


def _load(path: Path) -> LexiconText:
    content = _read_content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            Message("not_utf8", "{path} is not UTF-8.", path=path),
            hint=Message("save_as_utf8", "Save it as UTF-8 with an editor."),
        ) from error
    return LexiconText(str(path), text, _version(content), check_lexicon(text))


def _read_content(path: Path) -> bytes:
    try:
        content = b"" if is_absent(path) else read_regular_file(path, MAX_BYTES)
    except OSError as error:
        raise BadRequest(
            Message("not_read", "{path} cannot be read: {reason}.", path=path, reason=system_reason(error))
        ) from error
    if len(content) > MAX_BYTES:
        raise BadRequest(_too_large(path))
    return content


def _too_large(path: Path) -> Message:
    return Message(
        "file_too_large", "{name} is larger than {most}, the most that is accepted.", name=path, most=_MOST
    )


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_lexicon(text: str) -> CheckedLexicon:
    """Validate a text as a lexicon. Blocks."""
    try:
        lexicon = parse_lexicon(text.encode(errors="replace"), FILE_NAME)
    except InvalidYaml as error:
        return CheckedLexicon(0, _problems(error.problems))
    return CheckedLexicon(len(lexicon.rules), (), _problems(lexicon.warnings))


def _problems(problems: Iterable[FileProblem]) -> tuple[LexiconProblem, ...]:
    return tuple(LexiconProblem(each.at.line, each.at.column, each.message) for each in problems)


def _save(path: Path, text: str, version: str) -> LexiconText:
    checked = check_lexicon(text)
    if checked.problems:
        first = checked.problems[0]
        raise BadRequest(
            Message(
                "at_line",
                "Line {line}, column {column}: {message}.",
                line=first.line,
                column=first.column,
                message=first.message,
            )
        )
    if _version(_read_content(path)) != version:
        raise LexiconChanged(
            Message("file_changed", "{path} was changed in the meantime.", path=path),
            hint=Message("reload_it", "Reload it; your text is still here."),
        )
    content = text.encode()
    try:
        replace_file(path, content)
    except OSError as error:
        raise BadRequest(
            Message(
                "not_written",
                "{path} cannot be written: {reason}.",
                path=path,
                reason=system_reason(error),
            )
        ) from error
    return LexiconText(str(path), text, _version(content), checked)


class LexiconTextBody(RequestBody):
    """A lexicon to validate."""

    text: _Text


class SaveLexiconBody(LexiconTextBody):
    """A lexicon to save, and the version of the file that was edited."""

    version: Annotated[str, Field(max_length=64)]


class SentenceBody(RequestBody):
    """A sentence to try with the lexicon."""

    sentence: Annotated[str, Field(min_length=1, max_length=_MAX_SENTENCE_CHARS)]


def lexicon_routes(service: LexiconService) -> APIRouter:
    """Return the routes below PATH: JSON in and out."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"/{PATH}")
    async def load() -> Response:
        return json_response(encode_messages(await service.load()))

    @router.post(f"/{PATH}/check")
    async def check(body: LexiconTextBody) -> Response:
        return json_response(encode_messages(await service.check(body.text)))

    @router.post(f"/{PATH}/save")
    async def save(body: SaveLexiconBody) -> Response:
        return json_response(encode_messages(await service.save(body.text, body.version)))

    @router.post(f"/{PATH}/said")
    async def try_sentence(body: SentenceBody) -> Response:
        return json_response(asdict(await service.try_sentence(body.sentence)))

    return router
