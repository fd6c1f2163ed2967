"""Health check of a server, from outside: raw sockets only, because every check starts a process.

The Wyoming client would import ten times as much as this needs.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import time
from urllib.parse import SplitResult, urlsplit

from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.commands.own_server import CONNECT_HOSTS
from wyoming_tts.settings import Settings, SettingsError

_TIMEOUT = 3.0
_MAX_LINE_BYTES = 65536
_DEFAULT_PORTS = {"http": 80, "https": 443}


def add_health_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `check_health`."""
    parser.add_argument("--config", metavar="FILE", help="YAML or JSON file with the server's settings")
    parser.add_argument(
        "--uri",
        dest="servers",
        metavar="URI",
        action="append",
        help="server to check: tcp://HOST:PORT, unix:///PATH or http(s)://HOST:PORT; may be given several "
        "times. Default: the ports in the settings",
    )
    parser.add_argument(
        "--timeout", type=float, default=_TIMEOUT, metavar="SECONDS", help="time limit for all answers"
    )
    parser.add_argument(
        "--ready", action="store_true", help="also check over HTTP that the default voice is warm"
    )


def check_health(arguments: argparse.Namespace, settings: Settings) -> int:
    """Check all servers and print the results in one line; returns the exit code.

    Raises:
        CommandFailed: a server did not answer, or is unhealthy.
        SettingsError: the settings name no port that could be checked.
    """
    deadline = time.monotonic() + arguments.timeout
    answers = [
        _check_server(uri, deadline, timeout=arguments.timeout, ready=arguments.ready)
        for uri in arguments.servers or _servers_in_settings(settings)
    ]
    print(", ".join(answers))
    return 0


def _servers_in_settings(settings: Settings) -> list[str]:
    parts = urlsplit(settings.uri)
    if parts.scheme == "stdio" or parts.port == 0 or (settings.http and settings.http_port == 0):
        raise SettingsError("The settings name no port to check: name the server with --uri.")
    servers = [settings.uri]
    if settings.http:
        scheme = "http" if settings.http_certificate is None else "https"
        host = settings.http_host or "127.0.0.1"
        servers.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}")
    return servers


def _check_server(uri: str, deadline: float, *, timeout: float, ready: bool) -> str:
    started = time.monotonic()
    parts = urlsplit(uri)
    try:
        with _connected(parts, deadline) as connection:
            if parts.scheme in _DEFAULT_PORTS:
                _check_http(connection, parts, deadline, path="/readyz" if ready else "/livez")
            else:
                _check_wyoming(connection, deadline)
    except TimeoutError:
        raise CommandFailed(f"{uri} did not answer within {timeout:g} s.") from None
    except OSError as error:
        raise CommandFailed(f"{uri} cannot be reached: {error.strerror or error}.") from error
    except ValueError as error:
        raise CommandFailed(f"{uri} is unhealthy: {error}.") from error
    return f"{uri} answered after {(time.monotonic() - started) * 1000:.0f} ms"


def _connected(parts: SplitResult, deadline: float) -> socket.socket:
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_time_left(deadline))
        connection.connect(parts.path)
        return connection
    connection = socket.create_connection(_host_and_port(parts), timeout=_time_left(deadline))
    if parts.scheme != "https":
        return connection
    # The request holds nothing secret, and a certificate seldom names the loopback address.
    unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
    return unverified.wrap_socket(connection, server_hostname=parts.hostname)


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # the port is not a number
        port = None
    if parts.scheme not in {"tcp", *_DEFAULT_PORTS} or not parts.hostname or not port:
        raise SettingsError(
            f"Cannot check {parts.geturl()!r}: expected tcp://HOST:PORT, unix:///PATH or http(s)://HOST:PORT."
        )
    return CONNECT_HOSTS.get(parts.hostname, parts.hostname), port


def _check_wyoming(connection: socket.socket, deadline: float) -> None:
    connection.sendall(b'{"type":"describe"}\n')
    header = json.loads(_read_line(connection, deadline))
    kind = header.get("type") if isinstance(header, dict) else None
    if kind != "info":
        raise ValueError(f"it sent {kind!r}, expected `info`")


def _check_http(connection: socket.socket, parts: SplitResult, deadline: float, *, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode())
    status = _read_line(connection, deadline).decode("latin-1").strip().split(maxsplit=2)
    if len(status) < 2 or not status[0].startswith("HTTP/"):  # noqa: PLR2004 - a version and a number
        raise ValueError("it does not speak HTTP")
    if status[1] != "200":
        raise ValueError(f"{path} is {' '.join(status[1:])}")


def _read_line(connection: socket.socket, deadline: float) -> bytes:
    read = b""
    while b"\n" not in read:
        connection.settimeout(_time_left(deadline))
        piece = connection.recv(4096)
        if not piece or len(read) > _MAX_LINE_BYTES:
            raise ValueError(
                "it closed the connection without an answer" if not piece else "its answer is too long"
            )
        read += piece
    return read.partition(b"\n")[0]


def _time_left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
