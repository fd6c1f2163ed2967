"""What can go wrong at the client's end, each worded as one line for the person who asked.

ClientError               the request, the connection or the listener's side failed
+-- ConnectionLost        the connection ended before the reply did
+-- ServerError           the server said that it could not do it
ListenerGone              nobody listens any more; the speech ends early and quietly
"""

from __future__ import annotations


class ClientError(Exception):
    """A failure at the client's end; `message` says what happened, `hint` what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = _one_line(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConnectionLost(ClientError):
    """The connection ended, or broke, before the reply did."""


class ServerError(ClientError):
    """The server answered with an `error` event; `text` and `code` are its own words."""

    def __init__(self, text: str, code: str | None) -> None:
        super().__init__(f"The server refused ({code}): {text}" if code else f"The server refused: {text}")


class OutputClosed(Exception):
    """A sink's reader closed its end, as `head` does: not a failure, but there is no one to speak to."""


def _one_line(text: str) -> str:
    return " ".join(text.split())
