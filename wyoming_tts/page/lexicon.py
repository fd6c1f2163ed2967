"""The lexicon as a text to be edited: checked while it is typed, and never written over somebody's change."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wyoming_tts.assembly.parts import Parts
from wyoming_tts.atomic_write import replace_file
from wyoming_tts.errors import BadRequest
from wyoming_tts.speech import Utterance
from wyoming_tts.text.lexicon.hot_reload import FILE_NAME
from wyoming_tts.text.lexicon.parser import parse_lexicon
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml
from wyoming_tts.yaml_files.reading import Problem as FileProblem

_SPEECH_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class LexiconProblem:
    """What is wrong, or odd, at a place of the text; both numbers from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class CheckedLexicon:
    """What a text would be as a lexicon."""

    entries: int
    problems: tuple[LexiconProblem, ...]
    warnings: tuple[LexiconProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class LexiconText:
    """The file as it is now."""

    path: str
    text: str
    version: str
    """By which another change of the file is noticed."""
    checked: CheckedLexicon


@dataclass(frozen=True, slots=True)
class LexiconTrial:
    """What a sentence becomes with the lexicon in force."""

    spoken: str
    phonemes: tuple[str, ...]
    hits: tuple[str, ...]
    """What the lexicon said otherwise, as `kWh: kilowatt hours`."""


class LexiconChanged(BadRequest):
    """The file was changed by somebody else meanwhile; it stays as it is."""


class LexiconService:
    """Reads, checks and writes the lexicon of the first data directory."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._run = parts.workers.run_blocking
        self._path = parts.settings.data_dir[0] / FILE_NAME
        self._saving = asyncio.Lock()

    async def load(self) -> LexiconText:
        """Return the file; an empty text if there is none.

        Raises:
            BadRequest: it cannot be shown as text.
        """
        return await self._run(partial(_loaded, self._path))

    async def check(self, text: str) -> CheckedLexicon:
        """Look for mistakes."""
        return await self._run(partial(checked_text, text))

    async def save(self, text: str, version: str) -> LexiconText:
        """Write the file and have it hold at once.

        Args:
            text: The whole of it.
            version: Of the file that the text was made from.

        Raises:
            LexiconChanged: the file is another one by now.
            BadRequest: the text is no lexicon, or the file cannot be written.
        """
        async with self._saving:
            saved = await self._run(partial(_saved, self._path, text, version))
            await self._run(self._parts.lexicon.refresh)
        return saved

    async def said(self, sentence: str) -> LexiconTrial:
        """Tell what becomes of a sentence.

        Raises:
            SpeechError: the sentence cannot be spoken.
        """
        utterance = Utterance.of(sentence[:_SPEECH_CHARACTERS], transport="page")
        told = await self._parts.synthesizer.explain(utterance)
        hits = tuple(f"{hit.written}: {hit.said}" for hit in told.lexicon)
        return LexiconTrial(told.spoken, told.phonemes, hits)


def _loaded(path: Path) -> LexiconText:
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path} is no UTF-8.", hint="Save it as UTF-8 with an editor.") from error
    return LexiconText(str(path), text, _version(content), checked_text(text))


def _content(path: Path) -> bytes:
    if not path.is_file():
        return b""
    if path.stat().st_size > MAX_BYTES:
        raise BadRequest(f"{path} is larger than {MAX_BYTES:,} bytes, the most that is read.")
    return path.read_bytes()


def _version(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def checked_text(text: str) -> CheckedLexicon:
    """Look for mistakes in the text of a lexicon. Blocks."""
    try:
        found = parse_lexicon(text.encode(errors="replace"), FILE_NAME)
    except InvalidYaml as error:
        return CheckedLexicon(0, _placed(error.problems))
    return CheckedLexicon(len(found.rules), (), _placed(found.warnings))


def _placed(problems: Iterable[FileProblem]) -> tuple[LexiconProblem, ...]:
    return tuple(LexiconProblem(each.at.line, each.at.column, each.message) for each in problems)


def _saved(path: Path, text: str, version: str) -> LexiconText:
    checked = checked_text(text)
    if checked.problems:
        first = checked.problems[0]
        raise BadRequest(f"Line {first.line}, column {first.column}: {first.message}.")
    path = path.resolve()  # what a link leads to is replaced, not the link
    if _version(_content(path)) != version:
        raise LexiconChanged(f"{path} was changed meanwhile.", hint="Load it anew; your text is still here.")
    content = text.encode()
    try:
        replace_file(path, content)
    except OSError as error:
        raise BadRequest(f"{path} cannot be written: {error.strerror or error}.") from error
    return LexiconText(str(path), text, _version(content), checked)
