"""Where the Wyoming server listens: addresses, socket files, stdin and stdout."""

from __future__ import annotations

import asyncio
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping

from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread, speech_pcm
from tests.support.wyoming_client import WyomingTestClient, event_types, pcm_of
from tests.unit.transports.wyoming.conftest import (
    PLAIN_ANSWER,
    START,
    STREAM_ANSWER,
    describe,
    running_server,
    synthesize,
    text_chunk,
)
from wyoming_tts.transports.wyoming.server import ListenAddress, WyomingServer
from wyoming_tts.wyoming_framing import encode_event


class TestAddresses:
    @pytest.mark.parametrize(
        ("uri", "address"),
        [
            ("tcp://192.0.2.1:10200", ListenAddress("tcp", "192.0.2.1", 10200)),
            ("tcp://:10200", ListenAddress("tcp", "0.0.0.0", 10200)),
            ("tcp://[::1]:1", ListenAddress("tcp", "::1", 1)),
            ("unix:///run/tts.sock", ListenAddress("unix", path=Path("/run/tts.sock"))),
            ("stdio://", ListenAddress("stdio")),
        ],
    )
    def test_each_kind_of_listen_address_is_parsed(self, uri: str, address: ListenAddress) -> None:
        assert ListenAddress.parse(uri) == address

    @pytest.mark.parametrize(
        "uri",
        [
            "",
            "10200",
            "tcp://host",
            "tcp://host:port",
            "tcp://host:70000",
            "tcp://[::1:1",
            "tcp://h:1/x",
            "unix://",
            "unix://relative",
            "stdio://x",
            "udp://host:1",
            "host:10200",
        ],
    )
    def test_an_invalid_listen_address_is_named_in_the_error(self, uri: str) -> None:
        with pytest.raises(ValueError, match="Cannot listen on"):
            ListenAddress.parse(uri)

    async def test_a_port_in_use_raises_os_error(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake) as server:
            port = server.bound[0][1]
            with pytest.raises(OSError, match=f"{port}"):
                await server.start(f"tcp://127.0.0.1:{port}")

    @pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
    async def test_the_ipv6_wildcard_also_accepts_ipv4_clients(self, fake: FakeSynthesizer) -> None:
        async with running_server(fake, uri="tcp://[::]:0") as server:
            port = server.bound[0][1]
            for host in ("127.0.0.1", "::1"):
                async with WyomingTestClient.connect(host, port) as client:
                    await client.send(Describe().event())
                    assert (await client.receive()).type == "info"

    async def test_a_unix_socket_is_accessible_to_its_group_and_removed_on_shutdown(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        async with running_server(fake, uri=f"unix://{path}") as server:
            assert server.bound == []
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            reader, writer = await asyncio.open_unix_connection(path)
            client = WyomingTestClient(reader, writer)
            await client.send(synthesize("hello"))
            assert pcm_of(await client.until("audio-stop")) == speech_pcm("hello")
            writer.close()
            await writer.wait_closed()

        assert not path.exists()

    async def test_a_stale_socket_file_is_replaced(self, fake: FakeSynthesizer, tmp_path: Path) -> None:
        path = tmp_path / "tts.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        async with running_server(fake, uri=f"unix://{path}"):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
            await writer.wait_closed()

    async def test_a_socket_file_in_use_by_another_process_is_left_alone(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        with socket.socket(socket.AF_UNIX) as living:
            living.bind(str(path))
            living.listen()
            async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
                with pytest.raises(OSError, match="in use"):
                    await server.start(f"unix://{path}")
        assert path.exists()

    async def test_a_regular_file_is_not_replaced_by_a_socket(
        self, fake: FakeSynthesizer, tmp_path: Path
    ) -> None:
        path = tmp_path / "tts.sock"
        path.write_text("precious")
        async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread) as server:
            with pytest.raises(OSError, match="in use"):
                await server.start(f"unix://{path}")
        assert path.read_text() == "precious"


STDIO_SERVER = """
import asyncio
import os
import sys
from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread
from tests.unit.transports.wyoming.conftest import describe
from wyoming_tts.transports.wyoming.server import WyomingServer

async def main():
    async with WyomingServer(FakeSynthesizer(), describe=describe, run_blocking=run_in_thread) as server:
        await server.start("stdio://")
        await server.wait_finished()
        assert server.connections == 0
    print("done", os.get_blocking(1), file=sys.stderr)

asyncio.run(main())
"""
STDIO_COMMAND = [sys.executable, "-W", "error", "-W", "ignore:'audioop'", "-c", STDIO_SERVER]
ROOT = Path(__file__).parents[4]


def run_stdio(**streams: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        STDIO_COMMAND,
        cwd=ROOT,
        check=False,
        timeout=30,
        stderr=subprocess.PIPE,
        **streams,
    )


async def parse_events(data: bytes) -> list[Event]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await WyomingTestClient(reader, None).rest()  # type: ignore[arg-type]


class TestStdio:
    REQUEST = (
        b'{"type": "describe"}\n'
        + encode_event(synthesize("hello"))
        + encode_event(START)
        + encode_event(text_chunk("you"))
    )

    async def test_one_client_is_served_through_pipes_and_then_the_server_exits(self) -> None:
        ran = run_stdio(input=self.REQUEST, stdout=subprocess.PIPE)

        events = await parse_events(ran.stdout)
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert event_types(events) == ["info", *PLAIN_ANSWER, *STREAM_ANSWER]
        assert pcm_of(events) == speech_pcm("helloyou")

    async def test_stdin_and_stdout_may_be_files(self, tmp_path: Path) -> None:
        (tmp_path / "in").write_bytes(self.REQUEST)
        with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
            ran = run_stdio(stdin=stdin, stdout=stdout)

        written = (tmp_path / "out").read_bytes()
        assert (ran.returncode, ran.stderr) == (0, b"done True\n")
        assert pcm_of(await parse_events(written)) == speech_pcm("helloyou")

    def test_stdin_and_stdout_may_be_the_null_device(self) -> None:
        ran = run_stdio(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

        assert (ran.returncode, ran.stderr) == (0, b"done True\n")

    def test_the_server_exits_when_its_reader_closes_although_the_writer_stays_open(self) -> None:
        with subprocess.Popen(
            STDIO_COMMAND,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.write(encode_event(Ping().event()))
            process.stdin.flush()
            process.stdout.readline()
            process.stdout.close()
            assert process.wait(timeout=20) == 0
            assert process.stderr.read() == b"done True\n"
