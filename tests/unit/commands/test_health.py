"""`wyoming-tts health`, beside servers that are healthy, unhealthy, and missing."""

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

WELL = b'{"type": "info", "version": "1.0", "data_length": 2}\n{}'


async def asked(*flags: str) -> int:
    """Run the command as a thread of this process: what it asks may be served here."""
    return await asyncio.to_thread(cli.main, ["health", *flags])


@asynccontextmanager
async def answering(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]], path: Path | None = None
) -> AsyncIterator[str]:
    """A server that reads one line and then does what `answer` does; its URI without the scheme."""

    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        await reader.readline()
        await answer(writer)
        writer.close()

    if path is not None:
        server: asyncio.Server = await asyncio.start_unix_server(serve, path)
        where = str(path)
    else:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield where
    await asyncio.gather(*filter(None, served))


def saying(data: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return answer


@pytest.mark.slow
async def test_a_real_server_is_well_by_wyoming_and_by_http(
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
        assert await asked() == 0
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"tcp://0.0.0.0:{server.port} answered after ")
        assert f"http://0.0.0.0:{http_port} answered after " in line


async def test_a_file_of_settings_tells_where_to_ask(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    async with answering(saying(WELL)) as where:
        file.write_text(f"uri: tcp://{where}\nhttp: false\n")
        assert await asked("--config", str(file)) == 0
    assert capsys.readouterr().out.startswith(f"tcp://{where} answered after ")


async def test_a_unix_socket_is_asked(tmp_path: Path) -> None:
    async with answering(saying(WELL), tmp_path / "socket") as path:
        assert await asked("--uri", f"unix://{path}") == 0


async def test_an_answer_that_comes_in_pieces_is_one(tmp_path: Path) -> None:
    async def in_pieces(writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(WELL), 9):
            await saying(WELL[start : start + 9])(writer)
            await asyncio.sleep(0)

    async with answering(in_pieces) as where:
        assert await asked("--uri", f"tcp://{where}") == 0


async def test_nobody_at_the_port_is_unhealthy(capsys: pytest.CaptureFixture[str]) -> None:
    uri = f"tcp://127.0.0.1:{free_port()}"
    assert await asked("--uri", uri) == 1
    assert capsys.readouterr().err == f"wyoming-tts: {uri} cannot be reached: Connection refused.\n"


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
async def test_a_server_that_hangs_is_not_well_when_the_time_is_over(
    *, drips: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    is_over = asyncio.Event()

    async def hang(writer: asyncio.StreamWriter) -> None:
        while not is_over.is_set():
            if drips:
                writer.write(b" ")
            await asyncio.sleep(0.02)

    async with answering(hang) as where:
        assert await asked("--uri", f"tcp://{where}", "--timeout", "0.3") == 1
        is_over.set()
    assert capsys.readouterr().err == f"wyoming-tts: tcp://{where} did not answer within 0.3 s.\n"


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
async def test_another_answer_than_info_is_unhealthy(
    answer: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with answering(saying(answer)) as where:
        assert await asked("--uri", f"tcp://{where}") == 1
    line = capsys.readouterr().err
    assert line.startswith(f"wyoming-tts: tcp://{where} is unhealthy: ")
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
    async with answering(saying(answer)) as where:
        assert await asked("--ready", "--uri", f"http://{where}") == 1
    assert capsys.readouterr().err == f"wyoming-tts: http://{where} is unhealthy: {complaint}\n"


async def test_all_that_are_named_must_be_well() -> None:
    gone = f"tcp://127.0.0.1:{free_port()}"
    async with answering(saying(WELL)) as well, answering(saying(b"HTTP/1.1 200 OK\r\n\r\n")) as web:
        assert await asked("--uri", f"tcp://{well}", "--uri", f"http://{web}") == 0
        assert await asked("--uri", f"tcp://{well}", "--uri", gone) == 1


@pytest.mark.parametrize(
    "uri", ["10200", "ftp://127.0.0.1:21", "tcp://127.0.0.1", "tcp://host:port", "stdio://"]
)
async def test_what_cannot_be_asked_is_a_mistake(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asked("--uri", uri) == 2
    assert "expected tcp://HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("variables", [{"URI": "stdio://"}, {"PORT": "0"}, {"HTTP_PORT": "0"}])
async def test_settings_that_name_no_port_are_a_mistake(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"WYOMING_TTS_{name}", value)
    assert await asked() == 2
    assert "name the server with --uri" in capsys.readouterr().err


def test_it_imports_nothing_that_takes_long() -> None:
    script = "import sys; from wyoming_tts.commands import cli; cli.main(['health', '--uri', 'tcp://127.0.0.1:1']);"
    run = subprocess.run(
        [sys.executable, "-c", f"{script}print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "httpx", "wyoming", "rich", "fastapi", "wyoming_tts.server.app"}
    assert heavy & set(run.stdout.split()) == set()
