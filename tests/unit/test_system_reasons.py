"""System reasons: why a file or a connection failed, in words that a page can translate."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from wyoming_tts.messages import Message
from wyoming_tts.system_reasons import system_reason, underlying_reason


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
    assert system_reason(ssl.SSLError(1, "[SSL: ODD]")) == "TLS failed ([SSL: ODD])"


@pytest.mark.parametrize(
    ("code", "identity"),
    [
        (18, "certificate_untrusted"),
        (20, "certificate_untrusted"),
        (62, "certificate_of_another"),
        (10, "certificate_expired"),
        (9, "certificate_too_early"),
        (23, "certificate_refused"),
    ],
)
def test_why_a_certificate_is_refused_is_a_message(code: int, identity: str) -> None:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
    error.verify_code, error.verify_message = code, "certificate revoked"
    reason = system_reason(error)
    assert isinstance(reason, Message)
    assert reason.id == identity


def test_a_peer_that_answers_in_plain_text_is_told_not_to_speak_tls() -> None:
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    tls = ssl.create_default_context().wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="localhost")
    with pytest.raises(ssl.SSLError) as failure:
        tls.do_handshake()
    assert system_reason(failure.value) == "it does not speak TLS on this port"


def test_a_library_s_own_words_give_way_to_why_the_system_refused() -> None:
    refused = OSError("All connection attempts failed")
    refused.__cause__ = ExceptionGroup(
        "", [ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed")]
    )
    assert underlying_reason(refused) == os.strerror(errno.ECONNREFUSED)
    assert underlying_reason(ValueError("it is odd")) == "it is odd"
    assert underlying_reason(ValueError()) == "ValueError"
