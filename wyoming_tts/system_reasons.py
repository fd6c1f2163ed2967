"""Why the system refused a file or a connection: messages, which a page can say in its reader's language."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from wyoming_tts.messages import Message

_REASONS: Final[Mapping[int, Message]] = MappingProxyType(
    {
        errno.EACCES: Message("permission_denied", "Permission denied"),
        errno.EPERM: Message("not_permitted", "Operation not permitted"),
        errno.EROFS: Message("read_only", "Read-only file system"),
        errno.ENOSPC: Message("no_space", "No space left on device"),
        errno.EDQUOT: Message("quota_exceeded", "Disk quota exceeded"),
        errno.EFBIG: Message("too_large_for_disk", "File too large"),
        errno.ENOENT: Message("not_found", "No such file or directory"),
        errno.ENOTDIR: Message("not_a_directory", "Not a directory"),
        errno.EISDIR: Message("is_a_directory", "Is a directory"),
        errno.ENOTEMPTY: Message("not_empty", "Directory not empty"),
        errno.EEXIST: Message("exists_already", "File exists"),
        errno.ENAMETOOLONG: Message("file_name_too_long", "File name too long"),
        errno.ELOOP: Message("link_loop", "Too many levels of symbolic links"),
        errno.EBUSY: Message("in_use", "Device or resource busy"),
        errno.EIO: Message("disk_error", "Input/output error"),
        errno.ESTALE: Message("share_gone", "Stale file handle"),
        errno.ENODEV: Message("no_device", "No such device"),
        errno.EMFILE: Message("too_many_files", "Too many open files"),
        errno.ENFILE: Message("too_many_files_in_system", "Too many open files in system"),
        errno.ENOMEM: Message("no_memory", "Cannot allocate memory"),
        errno.ECONNREFUSED: Message("connection_refused", "Connection refused"),
        errno.ECONNRESET: Message("connection_reset", "Connection reset by peer"),
        errno.ECONNABORTED: Message("connection_aborted", "Software caused connection abort"),
        errno.EPIPE: Message("broken_pipe", "Broken pipe"),
        errno.ENOTCONN: Message("not_connected", "Transport endpoint is not connected"),
        errno.EHOSTUNREACH: Message("no_route", "No route to host"),
        errno.EHOSTDOWN: Message("host_down", "Host is down"),
        errno.ENETUNREACH: Message("network_unreachable", "Network is unreachable"),
        errno.ENETDOWN: Message("network_down", "Network is down"),
        errno.ETIMEDOUT: Message("timed_out", "Connection timed out"),
        errno.EADDRNOTAVAIL: Message("address_not_available", "Cannot assign requested address"),
    }
)
_BY_CLASS: Final[Mapping[type[OSError], int]] = MappingProxyType(
    {
        ConnectionRefusedError: errno.ECONNREFUSED,
        ConnectionResetError: errno.ECONNRESET,
        BrokenPipeError: errno.EPIPE,
        TimeoutError: errno.ETIMEDOUT,
    }
)
"""For those without a number, as asyncio raises some."""
_NAME_UNKNOWN = Message("name_unknown", "Name or service not known")
_NAME_UNDECIDED = Message("name_undecided", "Temporary failure in name resolution")
_UNTRUSTED = Message("certificate_untrusted", "its certificate is of nobody whom this system trusts")
_OTHER_HOST = Message("certificate_of_another", "its certificate is for another name")
_CERTIFICATE_REASONS: Final[Mapping[int, Message]] = MappingProxyType(
    {
        9: Message("certificate_too_early", "its certificate is not valid yet: is the clock right?"),
        10: Message("certificate_expired", "its certificate has expired"),
        **dict.fromkeys((2, 18, 19, 20, 21), _UNTRUSTED),
        **dict.fromkeys((62, 64), _OTHER_HOST),
    }
)
"""By the code of OpenSSL (X509_V_ERR_…)."""
_NOT_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"}
)
"""What OpenSSL says of a peer that sends something else, most often HTTP."""


def system_reason(error: OSError) -> str:
    """Return why, without the path or address that the error repeats; rare reasons in the system's words."""
    if isinstance(error, socket.gaierror):  # with numbers of its own
        return _NAME_UNDECIDED if error.errno == socket.EAI_AGAIN else _NAME_UNKNOWN
    if isinstance(error, ssl.SSLError):  # as above
        return _tls_reason(error)
    number = _number_of(error)
    if number in _REASONS:
        return _REASONS[number]
    # asyncio's connection errors repeat the address, which the message has already.
    if number > 0:
        return os.strerror(number)
    return error.strerror or str(error)


def reason_of(error: Exception) -> str:
    """Return why something could not be done: why the system refused it, or what the exception says."""
    return system_reason(error) if isinstance(error, OSError) else str(error)


def underlying_reason(error: BaseException) -> str:
    """Return why the system refused what a library tells in words of its own; those, if it did not."""
    for cause in causes(error):
        if isinstance(cause, OSError) and (_number_of(cause) or isinstance(cause, ssl.SSLError)):
            return system_reason(cause)
    return str(error) or type(error).__name__


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that it translates; of a group, the first."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or error.__context__


def _number_of(error: OSError) -> int:
    return error.errno or _BY_CLASS.get(type(error), 0)


def _tls_reason(error: ssl.SSLError) -> Message:
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = getattr(error, "verify_message", "") or "?"
        refused = Message("certificate_refused", "its certificate is refused ({detail})", detail=detail)
        return _CERTIFICATE_REASONS.get(getattr(error, "verify_code", 0), refused)
    reason = getattr(error, "reason", None)  # which OpenSSL gives, and a program may not
    if reason in _NOT_TLS:
        return Message("no_tls", "it does not speak TLS on this port")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Message("tls_closed", "it closed the connection while TLS was agreed on")
    detail = reason or error.strerror or str(error)
    return Message("tls_failed", "TLS failed ({detail})", detail=detail)
