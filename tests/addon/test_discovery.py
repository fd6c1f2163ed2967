"""The add-on tells Home Assistant where the server is: a real Supervisor's answers, over loopback."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "addon/discovery.py"
TOKEN = "the-token"
REFUSED = 78


@dataclass
class Supervisor:
    """What it answers first, and what it was told."""

    url: str
    answers: list[int]
    message: str = "Not like this"
    authorizations: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)


@contextmanager
def supervisor(*answers: int, port: int = 0) -> Iterator[Supervisor]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/discovery"
            told.authorizations.append(self.headers["authorization"])
            told.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            body = json.dumps({"result": "error", "message": told.message}).encode()
            self.send_response(told.answers.pop(0) if told.answers else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    told = Supervisor(f"http://127.0.0.1:{server.server_port}", list(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def speech_server(*, deaf: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """One that answers `describe`; the first clients are let go without an answer, as at a start."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                asked.append(connection.recv(100))
                if len(asked) > deaf:
                    connection.sendall(b'{"type": "info"}\n')

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], asked
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


class _Telling(logging.Handler):
    """Sets an event at the first line of a log."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def emit(self, record: logging.LogRecord) -> None:
        self._event.set()


def run(monkeypatch: pytest.MonkeyPatch, url: str, port: int, *, token: str = TOKEN) -> int:
    """Run the script in this process."""
    spec = importlib.util.spec_from_file_location("addon_discovery", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "_LOOK_EVERY", 0.01)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--port", str(port), "--first-pause", "0.01"])
    monkeypatch.setenv("SUPERVISOR_URL", url)
    monkeypatch.setenv("SUPERVISOR_TOKEN", token)
    code: int = module.main()
    return code


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_as_a_process_it_posts_once_and_ends() -> None:
    with supervisor() as told, speech_server() as (port, _):
        environment = {
            **os.environ,
            "SUPERVISOR_URL": told.url,
            "SUPERVISOR_TOKEN": TOKEN,
            "HTTP_PROXY": "http://127.0.0.1:9",
            "ALL_PROXY": "http://127.0.0.1:9",
        }
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--port", str(port)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    uri = f"tcp://{socket.gethostname()}:{port}"
    assert done.returncode == 0, done.stderr
    assert told.bodies == [{"service": "wyoming", "config": {"uri": uri}}]
    assert told.authorizations == [f"Bearer {TOKEN}"]
    assert f"Home Assistant was notified of {uri}." in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_it_waits_until_the_server_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    with supervisor() as told, speech_server(deaf=2) as (port, asked):
        assert run(monkeypatch, told.url, port) == 0
    assert asked == [b'{"type": "describe"}\n'] * 3
    assert len(told.bodies) == 1


@pytest.mark.parametrize("trouble", [500, 502, 503, 429, 408])
def test_it_asks_again_while_the_supervisor_has_trouble(
    trouble: int, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with supervisor(trouble, trouble, trouble) as told, speech_server() as (port, _):
        assert run(monkeypatch, told.url, port) == 0
    assert len(told.bodies) == 4
    assert [record.levelname for record in log.records] == ["WARNING"] * 3 + ["INFO"]


def test_it_asks_again_while_the_supervisor_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with supervisor(400, 400) as told, speech_server() as (port, _):
        told.message = "System is not ready with state: setup"
        assert run(monkeypatch, told.url, port) == 0
    assert len(told.bodies) == 3


def test_it_asks_again_while_the_supervisor_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        later = taken.getsockname()[1]
    begun = threading.Event()

    def answer_later() -> None:
        begun.wait(10)
        with supervisor(port=later) as told:
            ended.wait(10)
            told_later.extend(told.bodies)

    told_later: list[Any] = []
    ended = threading.Event()
    thread = threading.Thread(target=answer_later)
    thread.start()
    handler = _Telling(begun)
    logging.getLogger("discovery").addHandler(handler)
    try:
        with speech_server() as (port, _):
            assert run(monkeypatch, f"http://127.0.0.1:{later}", port) == 0
    finally:
        logging.getLogger("discovery").removeHandler(handler)
        ended.set()
        thread.join()
    assert len(told_later) == 1
    assert "cannot be reached" in log.text


@pytest.mark.parametrize("refusal", [400, 401, 403])
def test_it_gives_up_where_it_is_refused_and_says_what_to_do(
    refusal: int, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with supervisor(refusal) as told, speech_server() as (port, _):
        assert run(monkeypatch, told.url, port) == REFUSED
    assert len(told.bodies) == 1
    assert str(refusal) in log.text
    assert "Not like this" in log.text
    assert f"host {socket.gethostname()} and port {port}" in log.text
    assert TOKEN not in log.text


def test_without_a_token_it_asks_nobody(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with supervisor() as told:
        assert run(monkeypatch, told.url, 1, token="") == REFUSED
    assert told.bodies == []
    assert "SUPERVISOR_TOKEN" in log.text
