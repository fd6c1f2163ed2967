"""A script of ours in a process of its own, for libraries that die of what strangers send.

The script says first what it is, LENGTH and that many bytes of JSON, `{"error"}` if it cannot start; then it
answers each request with ANSWER and as many bytes, as `espeak_process` writes them. It ends when its
input does. A crash costs the one request: a process that is gone is started again.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import IO, Any, Self

from wyoming_tts.engines.espeak.process import ANSWER, LENGTH
from wyoming_tts.errors import EngineFailed, VoiceUnavailable

_LOGGER = logging.getLogger(__name__)


class Child:
    """The process, started in the background; the first use waits for what it says of itself."""

    def __init__(self, name: str, command: Sequence[str], *, hint: str) -> None:
        """Start it.

        Args:
            name: by what messages call it.
            command: arguments to Python, which runs isolated and without site-packages.
            hint: what to do if it does not start.

        Raises:
            VoiceUnavailable: no process can be started.
        """
        self._name = name
        self._command = (sys.executable, "-I", "-S", *command)
        self._hint = hint
        self._lock = Lock()
        """Held for one request and its answer."""
        self._said: dict[str, Any] | None = None
        self._closed = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def greeting(self) -> dict[str, Any]:
        """What it says of itself; waits for that.

        Raises:
            VoiceUnavailable: it does not start; the message says why.
            EngineFailed: it was closed.
        """
        with self._lock:
            self._revive()
            return self._greeted()

    def ask(self, request: bytes) -> bytes:
        """The answer to a request.

        Raises:
            EngineFailed: it died of the request, is gone, or was closed.
            VoiceUnavailable: it was gone, and does not start again.
        """
        with self._lock:
            self._revive()
            self._greeted()
            return self._exchange(request)

    def close(self) -> None:
        """End it, once its answer under way is given."""
        with self._lock:
            self._closed = True
            self._stop()

    def _start(self) -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._said = None
        try:
            # In a session of its own: an interrupt at the terminal is the server's to handle.
            self._running = subprocess.Popen(  # noqa: S603 - our own script, and paths of installed packages
                self._command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True
            )
        except OSError as error:
            raise VoiceUnavailable(f"{self._name}'s process cannot be started: {error}.") from error
        # For a voice that is dropped without being closed.
        self._end = weakref.finalize(self, _end, self._running)

    def _revive(self) -> None:
        if self._closed:
            raise EngineFailed(f"{self._name} was closed while it was still in use.")
        # What it said last may still be unread: why it did not start.
        if not self._end.alive or (self._said is not None and self._running.poll() is not None):
            self._stop()
            self._start()

    def _stop(self) -> None:
        self._end()

    def _greeted(self) -> dict[str, Any]:
        if self._said is None:
            said = _greeting(self._running)
            if "error" in said:
                self._stop()
                raise VoiceUnavailable(f"{self._name} did not start: {said['error']}", hint=self._hint)
            self._said = said
        return self._said

    def _exchange(self, request: bytes) -> bytes:
        """The answer to the request; ends the process unless it answered in full."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        try:
            self._running.stdin.write(request)
            self._running.stdin.flush()
            status, length = ANSWER.unpack(_read(self._running.stdout, ANSWER.size))
            answer = _read(self._running.stdout, length)
        except (OSError, EOFError) as error:
            ended = self._running
            self._stop()
            _LOGGER.warning("%s ended with status %s; it is started again", self._name, ended.returncode)
            with suppress(VoiceUnavailable):
                self._start()
            raise EngineFailed(
                f"{self._name} ended (status {ended.returncode}) before it answered.",
                hint="Word the text differently, if it is one that it dies of.",
            ) from error
        except BaseException:
            # An answer only half read would be taken for the next one's.
            self._stop()
            raise
        if status:
            raise EngineFailed(
                f"{self._name} died of the text (wait status {status}).", hint="Word the text differently."
            )
        return answer


def _greeting(running: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert running.stdout is not None
    try:
        length = _read(running.stdout, LENGTH.size)
        said: dict[str, Any] = json.loads(_read(running.stdout, *LENGTH.unpack(length)))
    except EOFError:
        return {"error": f"its process ended with status {running.wait()}"}
    return said


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


def _end(running: subprocess.Popen[bytes]) -> None:
    running.kill()
    for stream in (running.stdin, running.stdout):
        assert stream is not None
        with suppress(BrokenPipeError):  # closing writes what the process did not take
            stream.close()
    running.wait()
