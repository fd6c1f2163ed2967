"""The log's last lines, kept in memory for whoever looks at the server, without anything secret.

A line is made safe before it is kept: what is not there cannot be shown.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import quote

KEPT = 300
LONGEST_TEXT = 2000
"""Characters kept of a line, a traceback's last ones: what went wrong is said there."""
HIDDEN = "***"
_LONGEST_SHORT = 5

_TELLING = re.compile(
    r"""
    (?P<name> \b (?: authorization ["']? \s* [:=] \s* ["']? (?: bearer | basic )? | bearer ) \s+
      | \b authorization ["']? [:=] ["']?
      | (?: api[_-]?key | password | passwd | secret | token ) ["']? \s* [:=] \s* ["']?
      | :// (?= [^\s/@]* @ ) )
    (?P<value> [^\s"'&,;)\]}@]+ )
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What stands before a secret in headers, addresses and settings, whoever wrote the line."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log."""

    number: int
    """Counts up from 1, so that a reader can ask for what is new."""
    time: float
    """Seconds since 1970."""
    level: str
    logger: str
    text: str


class LogTail(logging.Handler):
    """Keeps the last lines of any thread; bounded, and never in the way of those who log."""

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=kept)
        self._numbers = count(1)
        self._traces = logging.Formatter()
        self._secrets: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"<LogTail {len(self._lines)}>"

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on keep no line in which one of these can be read."""
        self._secrets = _pattern(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's line; one that cannot be written is left out, as the log itself tells of it."""
        try:
            text = self._text(record)
            line = LogLine(next(self._numbers), record.created, record.levelname, record.name, text)
        except Exception:  # noqa: BLE001 - whoever logs has other work
            return
        self._lines.append(line)

    def lines(self, *, after: int = 0) -> tuple[LogLine, ...]:
        """Return the lines whose numbers are higher, the oldest first."""
        return tuple(line for line in self._lines.copy() if line.number > after)

    def _text(self, record: logging.LogRecord) -> str:
        text = self._safe(record.getMessage())[:LONGEST_TEXT]
        if record.exc_info and record.exc_info[0]:
            text += "\n" + self._safe(self._traces.formatException(record.exc_info))[-LONGEST_TEXT:]
        return text

    def _safe(self, text: str) -> str:  # before it is cut: half a secret would not be recognized
        if self._secrets is not None:
            text = self._secrets.sub(HIDDEN, text)
        return _TELLING.sub(rf"\g<name>{HIDDEN}", text)


@contextmanager
def keep_log_tail(secrets: Iterable[str] = (), *, logger: logging.Logger | None = None) -> Iterator[LogTail]:
    """Keep the tail of a log for the length of a block, that of the whole process if none is named."""
    logger = logger or logging.getLogger()
    tail = LogTail()
    tail.hide(secrets)
    logger.addHandler(tail)
    try:
        yield tail
    finally:
        logger.removeHandler(tail)
        tail.close()


def _pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    """Match each secret as it is and as an address writes it, the longest first."""
    written = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
    ordered = sorted(written, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(_one, ordered))) if ordered else None


def _one(secret: str) -> str:
    """A short one only as a word of its own: it would be spelled out by the holes it makes in others."""
    return re.escape(secret) if len(secret) > _LONGEST_SHORT else rf"(?<!\w){re.escape(secret)}(?!\w)"
