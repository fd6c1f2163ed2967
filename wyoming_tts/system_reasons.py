"""Why the system refused a file or a connection: messages, which a page can say in its reader's language."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
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


def system_reason(error: OSError) -> str:
    """Return why, without the path or address that the error repeats; rare reasons in the system's words."""
    if isinstance(error, socket.gaierror):  # with numbers of its own
        return _NAME_UNDECIDED if error.errno == socket.EAI_AGAIN else _NAME_UNKNOWN
    if _is_tls(error):  # as above
        return error.strerror or str(error)
    number = error.errno or _BY_CLASS.get(type(error), 0)
    if number in _REASONS:
        return _REASONS[number]
    # asyncio's connection errors repeat the address, which the message has already.
    if number > 0:
        return os.strerror(number)
    return error.strerror or str(error)


def _is_tls(error: OSError) -> bool:
    return any(each.__module__ == "ssl" for each in type(error).__mro__)
