"""The lexicon as it stands in the data directories, read again whenever a file changes.

Who speaks asks for `current()`, which touches no file. Files are looked at in `refresh()`, which blocks.
A file that is broken or cannot be read leaves what was read from it before in use, and says so once
for each state it is in, as does one that is repaired or gone.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from wyoming_tts.blocking import RunBlocking
from wyoming_tts.text.lexicon.parser import ParsedLexicon, parse_lexicon
from wyoming_tts.text.lexicon.rules import EMPTY_LEXICON, Lexicon, Rule
from wyoming_tts.yaml_files.reading import MAX_BYTES, InvalidYaml

_log = logging.getLogger(__name__)

FILE_NAME: Final = "lexicon.yaml"
CHECK_SECONDS: Final = 2.0
"""Between two looks at the files: a saved change is heard by the time its user tries it."""

_Stamp: TypeAlias = tuple[int, int, int] | str | None
"""What changes with a file's content; None if there is no file, else why it cannot be looked at."""


@dataclass(slots=True)
class _File:
    """One of the files, and what was last read from it."""

    path: Path
    stamp: _Stamp = None
    rules: tuple[Rule, ...] = ()
    problems: tuple[str, ...] = ()


class LexiconFiles:
    """The files that make up the lexicon; of two entries for the same the one of the first file holds."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._files = [_File(path) for path in paths]
        self._lexicon = EMPTY_LEXICON

    def __repr__(self) -> str:
        return f"<LexiconFile {self._lexicon!r} of {len(self._files)} files, {len(self.problems)} problems>"

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong with the files as they are now, each beginning with file and line."""
        return tuple(problem for file in self._files for problem in file.problems)

    def current(self) -> Lexicon:
        """What was read last, of each file what was last right; reads nothing."""
        return self._lexicon

    def refresh(self) -> bool:
        """Read what has changed; True if `current()` is another one now. Blocks; one call at a time."""
        changed = [_refreshed(file) for file in self._files]
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
        """Refresh for ever, beginning now; ends by being cancelled."""
        while True:
            await run_blocking(self.refresh)
            await sleep(interval)


def _refreshed(file: _File) -> bool:
    """Read the file if it changed; whether its rules did."""
    stamp = _stamp(file.path)
    if stamp == file.stamp:
        return False
    file.stamp = stamp
    if stamp is None:
        return _take(file, ParsedLexicon(), "is gone; its entries no longer hold")
    try:
        content = _content(file.path)
        return _take(file, parse_lexicon(content, file.path.name), "")
    except InvalidYaml as error:
        _complain(file, error, tuple(map(str, error.problems)))
    except OSError as error:
        problem = f"{file.path.name} cannot be read: {error.strerror or error}"
        _complain(file, problem, (problem,))
    return False


def _take(file: _File, result: ParsedLexicon, news: str) -> bool:
    was_broken = bool(file.problems)
    file.rules, file.problems = result.rules, ()
    for warning in result.warnings:
        _log.warning("Lexicon %s: %s", file.path.parent, warning)
    again = "is right again and " if was_broken else ""
    _log.info(
        "Lexicon %s %s",
        file.path,
        news or f"{again}holds {len(file.rules)} {'entry' if len(file.rules) == 1 else 'entries'}",
    )
    return True


def _complain(file: _File, reason: object, problems: tuple[str, ...]) -> None:
    file.problems = problems
    kept = f"the {len(file.rules)} entries read before stay in use" if file.rules else "it is left out"
    _log.error("Lexicon %s is broken, %s:\n%s", file.path, kept, reason)


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return str(error)
    return status.st_mtime_ns, status.st_size, status.st_ino


def _content(path: Path) -> bytes:
    """The file's bytes, one more than it may have if it has more.

    Raises:
        OSError: it cannot be read, or is no ordinary file: a pipe would block for ever.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("it is no ordinary file")
    with path.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)
