"""Child process with request and answer: starts one, waits for its greeting, starts it again after a crash.

The child is a module of ours with a function `main`, which speaks `engines/child/protocol.py`. Its
interpreter runs isolated (`-I -S`): neither the working directory nor the directory of any script of ours
is on its import path, and behind the standard library come first the package that the server itself runs,
then what is installed. A crash costs the one request during which it happens.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, Self

from wyoming_tts.engines.child.protocol import read_answer, read_greeting, write_request
from wyoming_tts.errors import EngineFailed, VoiceUnavailable
from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason

_LOGGER = logging.getLogger(__name__)

_RUN_MAIN = (
    "import importlib, json, sys; module, paths, *arguments = sys.argv[1:]; "
    "sys.path += json.loads(paths); importlib.import_module(module).main(*arguments)"
)
_ROOT = Path(__file__).absolute().parents[3]
"""The directory that holds our package: site-packages or a checkout."""


def child_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line of a Python process that runs the module's function `main` with these arguments."""
    # An empty or relative entry is the working directory, which may hold modules of any name.
    paths = [str(_ROOT), *filter(os.path.isabs, sys.path)]
    return sys.executable, "-I", "-S", "-c", _RUN_MAIN, module, json.dumps(paths), *arguments


class ChildProcess:
    """A child process for any number of threads; it starts in the background, and its first use waits."""

    def __init__(self, name: str, module: str, *arguments: str, hint: str) -> None:
        """Start it.

        Args:
            name: what messages call it.
            module: full name of the module whose function `main` it runs.
            arguments: passed to `main`.
            hint: what to do if it does not start.

        Raises:
            VoiceUnavailable: no process can be started.
        """
        self._name = name
        self._command = child_command(module, *arguments)
        self._hint = hint
        self._lock = Lock()
        """Held for one request and its answer."""
        self._greeting: dict[str, Any] | None = None
        self._closed = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def greeting(self) -> dict[str, Any]:
        """Wait until it has started, and return what it says of itself.

        Raises:
            VoiceUnavailable: it did not start; the message says why.
            EngineFailed: it was closed.
        """
        with self._lock:
            self._restart_if_gone()
            return self._await_greeting()

    def request(self, content: bytes) -> bytes:
        """Send a request, and return its answer.

        Raises:
            EngineFailed: it died of the request, is gone, or was closed.
            VoiceUnavailable: it was gone, and does not start again.
        """
        with self._lock:
            self._restart_if_gone()
            self._await_greeting()
            return self._exchange(content)

    def close(self) -> None:
        """End it, and with it the answer under way: an abandoned step may still wait for one."""
        self._closed = True
        self._running.kill()
        with self._lock:
            self._stop()

    def _start(self) -> None:
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        self._greeting = None
        try:
            # In a session of its own: an interrupt at the terminal is the server's to handle.
            self._running = subprocess.Popen(  # noqa: S603 - our own module, and paths of installed packages
                self._command, stdin=pipe, stdout=pipe, stderr=nowhere, start_new_session=True
            )
        except OSError as error:
            raise VoiceUnavailable(
                Message(
                    "child_not_started",
                    "{name}'s process cannot be started: {reason}.",
                    name=self._name,
                    reason=system_reason(error),
                )
            ) from error
        # Ends the process also when the voice is dropped without being closed.
        self._end = weakref.finalize(self, _end, self._running)

    def _restart_if_gone(self) -> None:
        if self._closed:
            raise EngineFailed(
                Message("child_closed", "{name} was closed while it was still in use.", name=self._name)
            )
        # A process that ended with its greeting unread is left: the greeting says why it did not start.
        if not self._end.alive or (self._greeting is not None and self._running.poll() is not None):
            self._stop()
            self._start()

    def _stop(self) -> None:
        self._end()

    def _await_greeting(self) -> dict[str, Any]:
        if self._greeting is None:
            greeting = _read_greeting(self._running)
            if "error" in greeting:
                self._stop()
                raise VoiceUnavailable(
                    Message(
                        "child_did_not_start",
                        "{name} did not start: {reason}",
                        name=self._name,
                        reason=greeting["error"],
                    ),
                    hint=self._hint,
                )
            self._greeting = greeting
        return self._greeting

    def _exchange(self, content: bytes) -> bytes:
        """Send and receive; ends the process unless it answered in full."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        try:
            write_request(self._running.stdin, content)
            status, answer = read_answer(self._running.stdout)
        except (OSError, EOFError) as error:
            ended = self._running
            self._stop()
            _LOGGER.warning("%s ended with status %s; starting it again", self._name, ended.returncode)
            if not self._closed:
                with suppress(VoiceUnavailable):
                    self._start()
            raise EngineFailed(
                Message(
                    "child_ended",
                    "{name} ended (status {status}) before it answered.",
                    name=self._name,
                    status=ended.returncode,
                ),
                hint=Message("reword_if_again", "If the same text crashes it again, reword the text."),
            ) from error
        except BaseException:
            # The rest of an answer that was only half read would be taken for the next one.
            self._stop()
            raise
        if status:
            raise EngineFailed(
                Message(
                    "child_crashed",
                    "{name} crashed on the text (wait status {status}).",
                    name=self._name,
                    status=status,
                ),
                hint=Message("reword", "Reword the text."),
            )
        return answer


def _read_greeting(running: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert running.stdout is not None
    try:
        return read_greeting(running.stdout)
    except EOFError:
        return {"error": f"its process ended with status {running.wait()}"}


def _end(running: subprocess.Popen[bytes]) -> None:
    running.kill()
    for stream in (running.stdin, running.stdout):
        assert stream is not None
        with suppress(BrokenPipeError):  # closing flushes what the process did not read
            stream.close()
    running.wait()
