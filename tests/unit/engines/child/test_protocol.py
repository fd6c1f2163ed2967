from __future__ import annotations

import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.child.process import child_command
from wyoming_tts.engines.child.protocol import read_answer, read_greeting, write_request


def frames_of(module_source: str, requests: list[bytes]) -> io.BytesIO:
    """Output of a child that runs this source and receives these requests, then the end of its input."""
    sent = io.BytesIO()
    for request in requests:
        write_request(sent, request)
    command = child_command("unused")
    run = (
        *command[:4],
        f"import json, sys; sys.path += json.loads(sys.argv[2]); {module_source}",
        *command[5:],
    )
    completed = subprocess.run(run, input=sent.getvalue(), capture_output=True, check=True, timeout=20)
    return io.BytesIO(completed.stdout)


ECHO = (
    "from wyoming_tts.engines.child.protocol import ServerPipe; server = ServerPipe(); print('noise'); "
    "server.greet({'name': 'écho'}); [server.answer(each, status=len(each)) for each in server.requests()]"
)


def test_a_child_greets_then_responds_in_order_and_its_prints_stay_out_of_the_protocol() -> None:
    frames = frames_of(ECHO, [b"one", b"", bytes(range(256)) * 500])
    assert read_greeting(frames) == {"name": "écho"}
    assert read_answer(frames) == (3, b"one")
    assert read_answer(frames) == (0, b"")
    assert read_answer(frames) == (128_000, bytes(range(256)) * 500)
    assert frames.read() == b""


def test_a_child_exits_at_the_end_of_its_input() -> None:
    frames = frames_of(ECHO, [])
    read_greeting(frames)
    assert frames.read() == b""


@given(cut=st.integers(min_value=0, max_value=12))
def test_a_truncated_response_is_rejected(cut: int) -> None:
    whole = (0).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"hello"
    assert read_answer(io.BytesIO(whole)) == (0, b"hello")
    with pytest.raises(EOFError):
        read_answer(io.BytesIO(whole[:cut]))


def test_a_truncated_greeting_is_rejected() -> None:
    with pytest.raises(EOFError):
        read_greeting(io.BytesIO((5).to_bytes(4, "little") + b'{"a'))


def test_a_hanging_request_ends_the_child() -> None:
    hang = (
        "from wyoming_tts.engines.child import protocol; import signal; protocol.REQUEST_SECONDS = 1\n"
        "with protocol.time_limit(): signal.pause()"
    )
    command = child_command("unused")
    run = [*command[:4], f"import json, sys; sys.path += json.loads(sys.argv[2])\n{hang}", *command[5:]]
    assert subprocess.run(run, check=False, timeout=20).returncode < 0
    assert sys.platform == "linux"
