"""Whether a server answers: for health checks, which start a process each time and so must be light.

Sockets and nothing else: the client proper would import ten times what this needs.
"""

from __future__ import annotations

import argparse
import json
import socket
import ssl
import time
from urllib.parse import SplitResult, urlsplit

from wyoming_tts.commands.console import CommandFailed
from wyoming_tts.settings import Settings, SettingsError

_PATIENCE = 3.0
_LONGEST_LINE = 65536
_THIS_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on, as one calls it
_DEFAULT_PORTS = {"http": 80, "https": 443}


def add_health_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of `check_health`."""
    parser.add_argument("--config", metavar="FILE", help="YAML or JSON file with the server's settings")
    parser.add_argument(
        "--uri",
        dest="servers",
        metavar="URI",
        action="append",
        help="what to ask: tcp://HOST:PORT, unix:///PATH or http(s)://HOST:PORT; may be given several times. "
        "What the settings say if left out",
    )
    parser.add_argument(
        "--timeout", type=float, default=_PATIENCE, metavar="SECONDS", help="how long all answers may take"
    )
    parser.add_argument(
        "--ready", action="store_true", help="ask over HTTP whether the default voice is warm, too"
    )


def check_health(arguments: argparse.Namespace, settings: Settings) -> int:
    """Ask, and say in one line what came back.

    Raises:
        CommandFailed: A server did not answer, or is not well.
        SettingsError: The settings name nothing that could be asked.
    """
    deadline = time.monotonic() + arguments.timeout
    answers = [
        _answer_of(uri, deadline, patience=arguments.timeout, ready=arguments.ready)
        for uri in arguments.servers or _of_settings(settings)
    ]
    print(", ".join(answers))
    return 0


def _of_settings(settings: Settings) -> list[str]:
    parts = urlsplit(settings.uri)
    if parts.scheme == "stdio" or parts.port == 0 or (settings.http and settings.http_port == 0):
        raise SettingsError("The settings name no port that could be asked: name the server with --uri.")
    servers = [settings.uri]
    if settings.http:
        scheme = "http" if settings.http_certificate is None else "https"
        host = settings.http_host or "127.0.0.1"
        servers.append(f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.http_port}")
    return servers


def _answer_of(uri: str, deadline: float, *, patience: float, ready: bool) -> str:
    started = time.monotonic()
    parts = urlsplit(uri)
    try:
        with _connected(parts, deadline) as connection:
            if parts.scheme in _DEFAULT_PORTS:
                _ask_http(connection, parts, deadline, path="/readyz" if ready else "/livez")
            else:
                _ask_wyoming(connection, deadline)
    except TimeoutError:
        raise CommandFailed(f"{uri} did not answer within {patience:g} s.") from None
    except OSError as error:
        raise CommandFailed(f"{uri} cannot be reached: {error.strerror or error}.") from error
    except ValueError as error:
        raise CommandFailed(f"{uri} is not well: {error}.") from error
    return f"{uri} answered after {(time.monotonic() - started) * 1000:.0f} ms"


def _connected(parts: SplitResult, deadline: float) -> socket.socket:
    if parts.scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_left(deadline))
        connection.connect(parts.path)
        return connection
    connection = socket.create_connection(_host_and_port(parts), timeout=_left(deadline))
    if parts.scheme != "https":
        return connection
    # Nothing is told to it but the question, and a certificate seldom names the loopback address.
    unverified = ssl._create_unverified_context()  # noqa: S323, SLF001
    return unverified.wrap_socket(connection, server_hostname=parts.hostname)


def _host_and_port(parts: SplitResult) -> tuple[str, int]:
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:  # it is no number
        port = None
    if parts.scheme not in {"tcp", *_DEFAULT_PORTS} or not parts.hostname or not port:
        raise SettingsError(
            f"Cannot ask {parts.geturl()!r}: expected tcp://HOST:PORT, unix:///PATH or http(s)://HOST:PORT."
        )
    return _THIS_MACHINE.get(parts.hostname, parts.hostname), port


def _ask_wyoming(connection: socket.socket, deadline: float) -> None:
    connection.sendall(b'{"type":"describe"}\n')
    header = json.loads(_line(connection, deadline))
    kind = header.get("type") if isinstance(header, dict) else None
    if kind != "info":
        raise ValueError(f"it said {kind!r} where `info` was expected")


def _ask_http(connection: socket.socket, parts: SplitResult, deadline: float, *, path: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode())
    status = _line(connection, deadline).decode("latin-1").strip().split(maxsplit=2)
    if len(status) < 2 or not status[0].startswith("HTTP/"):  # noqa: PLR2004 - a version and a number
        raise ValueError("it does not speak HTTP")
    if status[1] != "200":
        raise ValueError(f"{path} is {' '.join(status[1:])}")


def _line(connection: socket.socket, deadline: float) -> bytes:
    read = b""
    while b"\n" not in read:
        connection.settimeout(_left(deadline))
        piece = connection.recv(4096)
        if not piece or len(read) > _LONGEST_LINE:
            raise ValueError("it hung up without an answer" if not piece else "its answer has no end")
        read += piece
    return read.partition(b"\n")[0]


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
