"""Errors of the client, each with a message of one line for its user.

ClientError               the request, the connection or the listener's side failed
+-- ConnectionLost        the connection ended before the reply did
+-- ServerError           the server said that it could not do it
OutputClosed              the reader of the audio is gone; the speech ends early, without an error
"""

from __future__ import annotations

from wyoming_tts.messages import Message


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
        said = _one_line(text)
        super().__init__(
            Message("server_refused_code", "The server refused ({code}): {text}", code=code, text=said)
            if code
            else Message("server_refused", "The server refused: {text}", text=said)
        )


class OutputClosed(Exception):
    """The reader of an output closed its end, as `head` does: not a failure, but speech can stop."""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return text if line == text else line  # the same one, which may be a message with an ID


def no_answer_within(seconds: float) -> Message:
    """Return that a server was waited for in vain."""
    return Message("no_answer_within", "no answer within {seconds} s", seconds=f"{seconds:g}")


def no_connection(uri: str, reason: str) -> Message:
    """Return that a server could not be reached."""
    return Message("no_connection", "No connection to {uri}: {reason}.", uri=uri, reason=reason)


def connection_lost(uri: str, reason: str) -> ConnectionLost:
    """Return the error of a connection that broke."""
    return ConnectionLost(
        Message("connection_lost", "The connection to {uri} was lost: {reason}.", uri=uri, reason=reason)
    )
