"""The tail of the log in memory, for the web page, with secrets redacted.

A line is redacted before it is stored: what is not there cannot be shown.
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
MAX_TEXT_LENGTH = 2000
"""Characters kept of a line, and of the end of a traceback, which says what went wrong."""
REDACTED = "***"
_SHORT_SECRET = 5

_SECRET_PATTERN = re.compile(
    r"""
    (?P<name> \b (?: authorization ["']? \s* [:=] \s* ["']? (?: bearer | basic )? | bearer ) \s+
      | \b authorization ["']? [:=] ["']?
      | (?: api[_-]?key | password | passwd | secret | token ) ["']? \s* [:=] \s* ["']?
      | :// (?= [^\s/@]* @ ) )
    (?P<value> [^\s"'&,;)\]}@]+ )
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Finds secrets by what precedes them in headers, URLs and settings, whichever program wrote the line."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log."""

    number: int
    """Counts up from 1, so that a reader can ask for newer lines only."""
    time: float
    """Seconds since 1970."""
    level: str
    logger: str
    text: str


class LogTail(logging.Handler):
    """A bounded log handler that keeps the last lines; it never raises into the code that logs."""

    def __init__(self, kept: int = KEPT) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=kept)
        self._numbers = count(1)
        self._traces = logging.Formatter()
        self._secrets: re.Pattern[str] | None = None

    def __repr__(self) -> str:
        return f"<LogTail {len(self._lines)}>"

    def hide(self, secrets: Iterable[str]) -> None:
        """Redact these secrets in every line from now on."""
        self._secrets = _pattern(secrets)

    def redact(self, text: str) -> str:
        """Return a text without the secrets that are hidden in lines."""
        return self._redact(text)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's line; one that cannot be formatted is skipped, as the log itself reports it."""
        try:
            text = self._text(record)
            line = LogLine(next(self._numbers), record.created, record.levelname, record.name, text)
        except Exception:  # noqa: BLE001 - logging must not fail the code that logs
            return
        self._lines.append(line)

    def lines(self, *, after: int = 0) -> tuple[LogLine, ...]:
        """Return the lines numbered higher than `after`, the oldest first."""
        return tuple(line for line in self._lines.copy() if line.number > after)

    def _text(self, record: logging.LogRecord) -> str:
        text = self._redact(record.getMessage())[:MAX_TEXT_LENGTH]
        if record.exc_info and record.exc_info[0]:
            text += "\n" + self._redact(self._traces.formatException(record.exc_info))[-MAX_TEXT_LENGTH:]
        return text

    def _redact(self, text: str) -> str:  # before it is truncated: half a secret would not be recognized
        if self._secrets is not None:
            text = self._secrets.sub(REDACTED, text)
        return _SECRET_PATTERN.sub(rf"\g<name>{REDACTED}", text)


@contextmanager
def keep_log_tail(secrets: Iterable[str] = (), *, logger: logging.Logger | None = None) -> Iterator[LogTail]:
    """Keep the tail of a logger (None: the root logger) for the length of a block."""
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
    """Match each secret as it is and URL-encoded, the longest first."""
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(map(_secret_pattern, ordered))) if ordered else None


def _secret_pattern(secret: str) -> str:
    """Match a short secret only as a word of its own: gaps inside other words would spell it out."""
    return re.escape(secret) if len(secret) > _SHORT_SECRET else rf"(?<!\w){re.escape(secret)}(?!\w)"
