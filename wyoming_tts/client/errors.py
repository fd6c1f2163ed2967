"""Errors of the client, each with a message of one line for its user.

ClientError               the request, the connection or the listener's side failed
+-- ConnectionLost        the connection ended before the reply did
+-- ServerError           the server said that it could not do it
OutputClosed              the reader of the audio is gone; the speech ends early, without an error
"""

from __future__ import annotations


class ClientError(Exception):
    """A request, a connection or an output failed; `message` says what happened, `hint` what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = _one_line(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConnectionLost(ClientError):
    """The connection ended or broke before the reply was complete."""


class ServerError(ClientError):
    """The server answered with an `error` event, whose `text` and `code` the message repeats."""

    def __init__(self, text: str, code: str | None) -> None:
        super().__init__(f"The server refused ({code}): {text}" if code else f"The server refused: {text}")


class OutputClosed(Exception):
    """The reader of an output closed its end, as `head` does: not a failure, but speech can stop."""


def _one_line(text: str) -> str:
    return " ".join(text.split())
