"""`wyoming-tts health` with healthy, unhealthy and missing servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.scenarios.ports import free_port
from tests.support.server_process import server_process
from wyoming_tts.commands import cli

INFO_REPLY = b'{"type": "info", "version": "1.0", "data_length": 2}\n{}'


async def run_health(*flags: str) -> int:
    """Run the command in a thread of this process, so that the loop can serve what it connects to."""
    return await asyncio.to_thread(cli.main, ["health", *flags])


@asynccontextmanager
async def health_server(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], path: Path | None = None
) -> AsyncIterator[str]:
    """A server that reads one line and then runs `answer`; yields its address without the scheme."""

    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        await reader.readline()
        await answer(writer)
        writer.close()

    if path is not None:
        server: asyncio.Server = await asyncio.start_unix_server(serve, path)
        address = str(path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield address
    await asyncio.gather(*filter(None, served))


def answer_with(data: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


@pytest.mark.slow
async def test_a_real_server_is_healthy_over_wyoming_and_http(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    http_port = free_port()
    flags = ("--offline", "--data-dir", str(tmp_path), "--http", "--http-port", str(http_port), "--no-ui")
    async with server_process(*flags) as server:
        await server.read_until("The HTTP API listens")
        monkeypatch.setenv("WYOMING_TTS_HOST", "0.0.0.0")
        monkeypatch.setenv("WYOMING_TTS_PORT", str(server.port))
        monkeypatch.setenv("WYOMING_TTS_HTTP_HOST", "0.0.0.0")
        monkeypatch.setenv("WYOMING_TTS_HTTP_PORT", str(http_port))
        assert await run_health() == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"tcp://0.0.0.0:{server.port} answered after ")
        assert f"http://0.0.0.0:{http_port} answered after " in line


async def test_the_address_is_read_from_the_settings_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    async with health_server(answer_with(INFO_REPLY)) as address:
        file.write_text(f"uri: tcp://{address}\nhttp: false\n")
        assert await run_health("--config", str(file)) == 0
    assert capsys.readouterr().out.startswith(f"tcp://{address} answered after ")


async def test_a_unix_socket_is_checked(tmp_path: Path) -> None:
    async with health_server(answer_with(INFO_REPLY), tmp_path / "socket") as path:
        assert await run_health("--uri", f"unix://{path}") == 0


async def test_a_fragmented_answer_is_reassembled(tmp_path: Path) -> None:
    async def answer_in_pieces(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(INFO_REPLY), 9):
            await answer_with(INFO_REPLY[start : start + 9])(writer)
            await asyncio.sleep(0)

    async with health_server(answer_in_pieces) as address:
        assert await run_health("--uri", f"tcp://{address}") == 0


async def test_a_refused_connection_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"tcp://127.0.0.1:{free_port()}"
    assert await run_health("--uri", uri) == 1
    assert capsys.readouterr().err == f"wyoming-tts: {uri} cannot be reached: Connection refused.\n"


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
async def test_a_hanging_server_is_unhealthy_after_the_timeout(
    *, drips: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    timed_out = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        while not timed_out.is_set():
            if drips:
                writer.write(b" ")
            await asyncio.sleep(0.02)

    async with health_server(hang) as address:
        assert await run_health("--uri", f"tcp://{address}", "--timeout", "0.3") == 1
        timed_out.set()
    assert capsys.readouterr().err == f"wyoming-tts: tcp://{address} did not answer within 0.3 s.\n"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b'{"type": "error"}\n', "it sent 'error', expected `info`"),
        (b"[]\n", "it sent None, expected `info`"),
        (b"SSH-2.0-OpenSSH_10.0\n", "Expecting value"),
        (b"\xff\xff\n", "can't decode"),
        (b"", "it closed the connection without an answer"),
        (b"x" * 100_000, "its answer is too long"),
    ],
)
async def test_any_answer_other_than_info_is_unhealthy(
    answer: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with health_server(answer_with(answer)) as address:
        assert await run_health("--uri", f"tcp://{address}") == 1
    line = capsys.readouterr().err
    assert line.startswith(f"wyoming-tts: tcp://{address} is unhealthy: ")
    assert complaint in line


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "/readyz is 503 Service Unavailable."),
        (b'{"type": "info"}\n', "it does not speak HTTP."),
    ],
)
async def test_http_that_is_not_ready_is_unhealthy(
    answer: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with health_server(answer_with(answer)) as address:
        assert await run_health("--ready", "--uri", f"http://{address}") == 1
    assert capsys.readouterr().err == f"wyoming-tts: http://{address} is unhealthy: {complaint}\n"


async def test_every_named_server_must_be_healthy() -> None:
    gone = f"tcp://127.0.0.1:{free_port()}"
    async with (
        health_server(answer_with(INFO_REPLY)) as healthy,
        health_server(answer_with(b"HTTP/1.1 200 OK\r\n\r\n")) as web,
    ):
        assert await run_health("--uri", f"tcp://{healthy}", "--uri", f"http://{web}") == 0
        assert await run_health("--uri", f"tcp://{healthy}", "--uri", gone) == 1


@pytest.mark.parametrize(
    "uri", ["10200", "ftp://127.0.0.1:21", "tcp://127.0.0.1", "tcp://host:port", "stdio://"]
)
async def test_an_uncheckable_address_is_a_usage_error(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run_health("--uri", uri) == 2
    assert "expected tcp://HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("variables", [{"URI": "stdio://"}, {"PORT": "0"}, {"HTTP_PORT": "0"}])
async def test_settings_without_a_port_are_a_usage_error(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"WYOMING_TTS_{name}", value)
    assert await run_health() == 2
    assert "name the server with --uri" in capsys.readouterr().err


def test_health_imports_no_heavy_package() -> None:
    script = "import sys; from wyoming_tts.commands import cli; cli.main(['health', '--uri', 'tcp://127.0.0.1:1']);"
    run = subprocess.run(
        [sys.executable, "-c", f"{script}print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "httpx", "wyoming", "rich", "fastapi", "wyoming_tts.server.app"}
    assert heavy & set(run.stdout.split()) == set()
