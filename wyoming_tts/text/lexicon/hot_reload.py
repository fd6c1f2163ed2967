"""Hot reload of the lexicon: the files in the data directories are read again when they change.

`current()` touches no file; `refresh()` reads files and blocks. While a file is invalid or cannot be
read, the rules that were read from it before stay in use. Each change of a file's state is logged
once: invalid, valid again, removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.known_files import ABSENT, FileStamp, KnownFiles, stamp_of
from wyoming_tts.regular_files import read_regular_file
from wyoming_tts.text.lexicon.parser import ParsedLexicon, parse_lexicon
from wyoming_tts.text.lexicon.rules import EMPTY_LEXICON, Lexicon, Rule
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml

_log = logging.getLogger(__name__)

FILE_NAME: Final = "lexicon.yaml"
CHECK_SECONDS: Final = 2.0
"""Interval between two checks: a saved change is in use by the time its user tries it."""

_Stamp: TypeAlias = FileStamp | str | None
"""Fingerprint of a file's content; None if there is no file, a string if it cannot be accessed."""


@dataclass(slots=True)
class _File:
    """A lexicon file, and what was last read from it."""

    path: Path
    stamp: _Stamp = None
    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()


class LexiconFiles:
    """The lexicon made of several files; of two entries for the same word that of the first file wins."""

    def __init__(self, paths: Iterable[Path], known: KnownFiles | None = None) -> None:
        self._files = [_File(path) for path in paths]
        self._known = known or KnownFiles()
        self._lexicon = EMPTY_LEXICON

    def __repr__(self) -> str:
        return f"<LexiconFile {self._lexicon!r} of {len(self._files)} files, {len(self.problems)} problems>"

    @property
    def problems(self) -> tuple[str, ...]:
        """The errors in the files as they are now, each beginning with file and line."""
        return tuple(problem for file in self._files for problem in file.problems)

    def current(self) -> Lexicon:
        """The rules that were read last, from each file its last valid ones; reads no file."""
        return self._lexicon

    def refresh(self) -> bool:
        """Read changed files; return whether `current()` has changed. Blocks; not reentrant."""
        changed = [_refresh(file, self._known) for file in self._files]
        if any(changed):
            self._lexicon = Lexicon(rule for file in self._files for rule in file.rules)
        return any(changed)

    async def watch(
        self,
        run_blocking: RunBlocking,
        *,
        interval: float = CHECK_SECONDS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Refresh until cancelled, at once and then at each interval."""
        while True:
            await run_blocking(self.refresh)
            await sleep(interval)


def _refresh(file: _File, known: KnownFiles) -> bool:
    """Read the file if it has changed; return whether its rules have."""
    stamp = _stamp(file.path)
    if stamp == file.stamp or (stamp is None and known.is_away(file.path.parent)):
        return False
    file.stamp = stamp
    if stamp is None:
        return _accept(file, ParsedLexicon(), "was removed; its entries no longer apply")
    try:
        content = read_regular_file(file.path, MAX_BYTES)
        return _accept(file, parse_lexicon(content, file.path.name), "")
    except InvalidYaml as error:
        _reject(file, error, tuple(map(str, error.problems)))
    except OSError as error:
        file.stamp = None  # to try again: that it cannot be read says nothing about its content
        problem = f"{file.path.name} cannot be read: {error.strerror or error}"
        if file.problems != (problem,):
            _reject(file, problem, (problem,))
    return False


def _accept(file: _File, result: ParsedLexicon, news: str) -> bool:
    was_invalid = bool(file.problems)
    file.rules, file.problems = result.rules, ()
    for warning in result.warnings:
        _log.warning("Lexicon %s: %s", file.path.parent, warning)
    again = "is valid again and " if was_invalid else ""
    _log.info(
        "Lexicon %s %s",
        file.path,
        news or f"{again}has {_count_entries(file)}",
    )
    return True


def _reject(file: _File, reason: object, problems: tuple[str, ...]) -> None:
    file.problems = problems
    kept = f"still using {_count_entries(file)} from before" if file.rules else "it is ignored"
    _log.error("Lexicon %s is invalid, %s:\n%s", file.path, kept, reason)


def _count_entries(file: _File) -> str:
    return f"{len(file.rules)} {'entry' if len(file.rules) == 1 else 'entries'}"


def _stamp(path: Path) -> _Stamp:
    try:
        return stamp_of(path)
    except ABSENT:
        return None
    except OSError as error:
        return str(error)
