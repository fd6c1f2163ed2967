"""System reasons: why a file or a connection failed, in words that a page can translate."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason


@pytest.mark.parametrize(
    ("error", "identity"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/voice.onnx"), "no_space"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), "permission_denied"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('::1', 1)"), "connection_refused"),
        (ConnectionResetError("Connection lost"), "connection_reset"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "name_unknown"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "name_undecided"),
    ],
)
def test_a_usual_reason_is_a_message_without_path_and_address(error: OSError, identity: str) -> None:
    reason = system_reason(error)
    assert isinstance(reason, Message)
    assert reason.id == identity
    assert "/" not in str.replace(reason, "Input/output", "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ECONNREFUSED])
def test_in_english_a_reason_is_in_the_system_s_own_words(number: int) -> None:
    assert system_reason(OSError(number, "")) == os.strerror(number)


def test_a_rare_reason_is_in_the_system_s_words() -> None:
    assert system_reason(OSError(errno.EXDEV, "whatever")) == os.strerror(errno.EXDEV)
    assert system_reason(OSError("it is no regular file")) == "it is no regular file"


def test_numbers_of_tls_errors_are_not_taken_for_the_system_s() -> None:
    assert system_reason(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")) == "[SSL: WRONG_VERSION_NUMBER]"
