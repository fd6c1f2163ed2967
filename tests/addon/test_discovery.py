"""The add-on's discovery script: it announces the server to Home Assistant through a fake Supervisor."""

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
class FakeSupervisor:
    """A fake Supervisor: the status codes it answers first, and the requests it received."""

    url: str
    answers: list[int]
    message: str = "Not like this"
    authorizations: list[str] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)


@contextmanager
def fake_supervisor(*answers: int, port: int = 0) -> Iterator[FakeSupervisor]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/discovery"
            received.authorizations.append(self.headers["authorization"])
            received.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            body = json.dumps({"result": "error", "message": received.message}).encode()
            self.send_response(received.answers.pop(0) if received.answers else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    received = FakeSupervisor(f"http://127.0.0.1:{server.server_port}", list(answers))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def speech_server(*, unanswered: int = 0) -> Iterator[tuple[int, list[bytes]]]:
    """A Wyoming server that closes its first `unanswered` connections without answering, as at startup."""
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(100))
                if len(requests) > unanswered:
                    connection.sendall(b'{"type": "info"}\n')

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1], requests
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


class _EventHandler(logging.Handler):
    """Sets an event at the first log record."""

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


def test_the_script_posts_the_discovery_once_and_exits() -> None:
    with fake_supervisor() as received, speech_server() as (port, _):
        environment = {
            **os.environ,
            "SUPERVISOR_URL": received.url,
            "SUPERVISOR_TOKEN": TOKEN,
            "HTTP_PROXY": "http://127.0.0.1:9",
            "ALL_PROXY": "http://127.0.0.1:9",
        }
        completed = subprocess.run(
            [sys.executable, str(SCRIPT), "--port", str(port)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    uri = f"tcp://{socket.gethostname()}:{port}"
    assert completed.returncode == 0, completed.stderr
    assert received.bodies == [{"service": "wyoming", "config": {"uri": uri}}]
    assert received.authorizations == [f"Bearer {TOKEN}"]
    assert f"Home Assistant was notified of {uri}." in completed.stderr
    assert TOKEN not in completed.stdout + completed.stderr


def test_discovery_waits_until_the_server_answers_describe(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_supervisor() as received, speech_server(unanswered=2) as (port, requests):
        assert run(monkeypatch, received.url, port) == 0
    assert requests == [b'{"type": "describe"}\n'] * 3
    assert len(received.bodies) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_discovery_retries_on_temporary_supervisor_errors(
    status: int, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with fake_supervisor(status, status, status) as received, speech_server() as (port, _):
        assert run(monkeypatch, received.url, port) == 0
    assert len(received.bodies) == 4
    assert [record.levelname for record in log.records] == ["WARNING"] * 3 + ["INFO"]


def test_discovery_retries_while_the_supervisor_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_supervisor(400, 400) as received, speech_server() as (port, _):
        received.message = "System is not ready with state: setup"
        assert run(monkeypatch, received.url, port) == 0
    assert len(received.bodies) == 3


def test_discovery_retries_while_the_supervisor_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        later = reserved.getsockname()[1]
    started = threading.Event()

    def answer_later() -> None:
        started.wait(10)
        with fake_supervisor(port=later) as received:
            finished.wait(10)
            later_bodies.extend(received.bodies)

    later_bodies: list[Any] = []
    finished = threading.Event()
    thread = threading.Thread(target=answer_later)
    thread.start()
    handler = _EventHandler(started)
    logging.getLogger("discovery").addHandler(handler)
    try:
        with speech_server() as (port, _):
            assert run(monkeypatch, f"http://127.0.0.1:{later}", port) == 0
    finally:
        logging.getLogger("discovery").removeHandler(handler)
        finished.set()
        thread.join()
    assert len(later_bodies) == 1
    assert "cannot be reached" in log.text


@pytest.mark.parametrize("status", [400, 401, 403])
def test_discovery_gives_up_on_a_refusal_and_logs_what_to_do(
    status: int, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with fake_supervisor(status) as received, speech_server() as (port, _):
        assert run(monkeypatch, received.url, port) == REFUSED
    assert len(received.bodies) == 1
    assert str(status) in log.text
    assert "Not like this" in log.text
    assert f"host {socket.gethostname()} and port {port}" in log.text
    assert TOKEN not in log.text


def test_without_a_token_no_request_is_sent(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    with fake_supervisor() as received:
        assert run(monkeypatch, received.url, 1, token="") == REFUSED
    assert received.bodies == []
    assert "SUPERVISOR_TOKEN" in log.text
