"""Access log: one line for each request of any transport, without its text, query string, keys or tokens.

An utterance has a line of its own, which tells how it was spoken. This one tells who asked for what, and what
went back over the wire.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

MAX_CHARS = 200
"""Characters kept of a path, which a client chooses."""
_SECRET_PATHS = ("/download/", "/gradio_api/heartbeat/")
"""Beginnings of paths that go on with what only the client may know."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """A request that is answered, or that its client gave up."""

    client: str
    """Its address; empty for a Unix socket or stdio."""
    transport: str
    """`http`, `websocket` or `wyoming`."""
    method: str
    """HTTP's method, or the type of a Wyoming event."""
    path: str
    """Of HTTP and WebSockets, without the query."""
    status: str
    """HTTP's status (101 of a WebSocket that was accepted), else `ok` or the code of the error."""
    sent_bytes: int
    """Bytes of body, messages or events that went to the client."""
    seconds: float
    """From its first byte to the last one of its answer."""
    id: str = ""
    is_complete: bool = True
    """Whether the answer went out to its end."""


def log_access(entry: AccessEntry) -> None:
    """Log a request."""
    if _LOGGER.isEnabledFor(logging.INFO):
        fields = _fields(entry)
        line = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
        _LOGGER.info("%s", line, extra={"request": fields})


def _fields(entry: AccessEntry) -> dict[str, str | int | float | bool]:
    return {
        "client": entry.client or "-",
        "transport": entry.transport,
        "method": entry.method,
        "path": shown_path(entry.path)[:MAX_CHARS] or "-",
        "status": entry.status,
        "bytes": entry.sent_bytes,
        "seconds": round(entry.seconds, 3),
        "request": entry.id or "-",
        "complete": entry.is_complete,
    }


def shown_path(path: str) -> str:
    """Return a path without what only its client may know."""
    path, mark, _ = path.partition("?")  # its client has quoted the query as well
    secret = next((begin for begin in _SECRET_PATHS if path.startswith(begin)), None)
    return f"{path}{mark and '?…'}" if secret is None else f"{secret}…"


def _shown(value: object) -> str:
    """Quote what could be taken for several fields or for another line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str) or (
        value.isascii() and value.isprintable() and not set(value) & set(' ="')
    ):
        return str(value)
    return json.dumps(value)
