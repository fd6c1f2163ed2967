"""`say --explain` with a named server: that server explains, over HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.http.conftest import serving
from tests.scenarios.ports import free_port
from tests.support.page_site import product
from tests.support.tones import LETTERS
from wyoming_tts.commands.cli import main


async def explain(*flags: str) -> int:
    """Run the command beside the event loop, as it has one of its own."""
    return await asyncio.to_thread(main, ["say", "--explain", *flags])


async def test_a_named_server_explains_with_its_own_lexicon_and_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lexicon.yaml").write_text("en:\n  Siobhan: shivawn\n")
    async with product(tmp_path, api_keys=["secret"]) as site:
        url, port = site.url, site.url.rpartition(":")[2].rstrip("/")
        assert await explain("--url", url, "Siobhan.") == 1
        assert "Set the same api_keys here" in capsys.readouterr().err

        monkeypatch.setenv("WYOMING_TTS_API_KEYS", "secret")
        assert await explain("--url", url, "--json", "Siobhan.") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["voice"], told["lexicon"][0]["said"]) == (LETTERS.name, "shivawn")

        monkeypatch.setenv("WYOMING_TTS_HTTP_PORT", port)
        ssml = "<speak>One.<break/> Two.</speak>"
        assert await explain("--host", "127.0.0.1", "--language", "de", "--ssml", ssml) == 0
        assert "voice:     de_DE-tones-low" in capsys.readouterr().out
        assert await explain("--host", "127.0.0.1", "Not UTF-8: \udcff.") == 0
        assert await explain("--host", "127.0.0.1", "--voice", "nobody", "Hello.") == 1
        assert "There is no voice 'nobody'" in capsys.readouterr().err


async def test_a_server_that_does_not_explain_or_does_not_answer_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving() as served:  # without a page
        host, port = served.address
        assert await explain("--url", f"http://{host}:{port}", "Hello.") == 1
    assert "does not explain. It may be another server" in capsys.readouterr().err
    assert await explain("--url", f"http://127.0.0.1:{free_port()}", "Hello.") == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://[::1", "http://\u202enas", "http://xn--", "ftp://nas"])
def test_what_is_no_address_is_told_without_a_traceback(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["say", "--explain", "--url", url, "Hello."]) == 1
    told = capsys.readouterr().err
    assert "cannot be reached: " in told
    assert ".." not in told


async def test_an_error_that_is_nested_without_end_is_that_of_another_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    nested = b"[" * 100_000

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(nested) + nested)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await explain("--url", f"http://127.0.0.1:{port}", "Hello.") == 1
    assert "does not explain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--explain", "--uri", "unix:///run/tts.sock"), "explains over HTTP: name it with --url"),
        (("--explain", "--host", "nas", "--speed", "2"), "--speed does not reach the server"),
        (("--url", "http://nas:8880"), "--url is of --explain alone"),
    ],
)
def test_flags_that_do_not_fit_together_are_told(
    flags: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["say", *flags, "Hello."]) == 2
    assert problem in capsys.readouterr().err
