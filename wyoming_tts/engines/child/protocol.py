"""Wire protocol between the server and a child process: length-prefixed frames over its standard streams.

The child first sends a greeting, a JSON object that says what it is, or `{"error": reason}` if it cannot
start. Then it answers each request, in order. A request is a length and as many bytes. An answer is a
status, 0 or the wait status of a fork that died, then a length and as many bytes. The child ends when its
input does.

Both ends import this module, and the child's interpreter has no site-packages (`-I -S`): it may need
nothing but the standard library.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any, Final

REQUEST_SECONDS: Final = 30
"""Wall-clock seconds that one request may take; it usually takes 0.3 to 10 ms."""

_LENGTH: Final = struct.Struct("<I")
_ANSWER: Final = struct.Struct("<iI")


# The server's end


def write_request(stream: IO[bytes], content: bytes) -> None:
    """Send a request at once.

    Raises:
        OSError: the child is gone.
    """
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def read_greeting(stream: IO[bytes]) -> dict[str, Any]:
    """Read what the child says of itself.

    Raises:
        EOFError: it ended before it said anything.
    """
    (length,) = _LENGTH.unpack(_read_exactly(stream, _LENGTH.size))
    greeting: dict[str, Any] = json.loads(_read_exactly(stream, length))
    return greeting


def read_answer(stream: IO[bytes]) -> tuple[int, bytes]:
    """Read an answer: its status and its content.

    Raises:
        EOFError: the child ended before it had answered in full.
    """
    status, length = _ANSWER.unpack(_read_exactly(stream, _ANSWER.size))
    return status, _read_exactly(stream, length)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


# The child's end


class ServerPipe:
    """Requests from standard input, answers to what was standard output."""

    def __init__(self) -> None:
        """Take the streams over, once per process; a crash leaves no core file behind."""
        # Libraries print complaints; they must not get between the answers.
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def greet(self, greeting: Mapping[str, object]) -> None:
        """Send the greeting."""
        content = json.dumps(greeting).encode()
        self._send(_LENGTH.pack(len(content)) + content)

    def requests(self) -> Iterator[bytes]:
        """Yield each request's content, until the input ends."""
        requests = sys.stdin.buffer
        while len(header := requests.read(_LENGTH.size)) == _LENGTH.size:
            yield requests.read(*_LENGTH.unpack(header))

    def answer(self, content: bytes, *, status: int = 0) -> None:
        """Answer the last request."""
        self._send(_ANSWER.pack(status, len(content)) + content)

    def _send(self, frame: bytes) -> None:
        self._out.write(frame)
        self._out.flush()


@contextmanager
def time_limit() -> Iterator[None]:
    """Have SIGALRM end this process if the block takes over REQUEST_SECONDS: a hang ends like a crash."""
    signal.alarm(REQUEST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
