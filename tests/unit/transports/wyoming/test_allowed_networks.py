"""Who is not served over Wyoming is told so, and gone at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wyoming.event import Event
from wyoming.info import Describe
from wyoming.tts import Synthesize

from tests.support.fake_synthesizer import FakeSynthesizer, run_in_thread
from tests.support.wyoming_client import WyomingTestClient, event_types
from wyoming_tts.transports.access import AllowedNetworks
from wyoming_tts.transports.wyoming.protocol import info_event
from wyoming_tts.transports.wyoming.server import WyomingServer
from wyoming_tts.wyoming_framing import encode_event


def describe() -> bytes:
    return encode_event(info_event([], version="1", supports_streaming=True))


class Door:
    """Lets in whom a test wants."""

    def __init__(self) -> None:
        self.is_open = False
        self.asked: list[str] = []

    def __call__(self, address: str) -> bool:
        self.asked.append(address)
        return self.is_open


async def test_a_machine_outside_the_networks_gets_an_error_and_is_disconnected() -> None:
    fake, door = FakeSynthesizer(), Door()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread, allow=door) as server:
        await server.start("tcp://127.0.0.1:0")
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            await client.send(Synthesize("Let me in.").event())
            (told,) = await client.rest()
    assert told.type == "error"
    assert told.data["code"] == "bad_request"
    assert "127.0.0.1 is not allowed to connect" in told.data["text"]
    assert door.asked == ["127.0.0.1"]
    assert not fake.utterances


async def test_it_is_asked_anew_for_each_connection() -> None:
    door = Door()
    async with WyomingServer(
        FakeSynthesizer(), describe=describe, run_blocking=run_in_thread, allow=door
    ) as server:
        await server.start("tcp://127.0.0.1:0")
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            assert event_types(await client.rest()) == ["error"]
        door.is_open = True
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            await client.send(Describe().event())
            assert (await client.receive()).type == "info"


async def test_this_machine_is_always_served_and_a_socket_file_has_no_address(tmp_path: Path) -> None:
    networks = AllowedNetworks(["203.0.113.0/24"])
    door = Door()
    for uri, allow in (("tcp://127.0.0.1:0", networks.allows), (f"unix://{tmp_path}/tts.sock", door)):
        async with WyomingServer(
            FakeSynthesizer(), describe=describe, run_blocking=run_in_thread, allow=allow
        ) as server:
            await server.start(uri)
            if server.bound:
                reader, writer = await asyncio.open_connection(*server.bound[0])
            else:
                reader, writer = await asyncio.open_unix_connection(tmp_path / "tts.sock")
            client = WyomingTestClient(reader, writer)
            await client.send(Event("describe"))
            assert (await client.receive()).type == "info"
            writer.close()
            await writer.wait_closed()
    assert not door.asked
