"""Clients outside the allowed networks get an error and are disconnected at once."""

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


class FakeAccessCheck:
    """An access check that a test opens and closes; it records the addresses it was asked about."""

    def __init__(self) -> None:
        self.allows_all = False
        self.checked_addresses: list[str] = []

    def __call__(self, address: str) -> bool:
        self.checked_addresses.append(address)
        return self.allows_all


async def test_a_client_outside_the_allowed_networks_gets_an_error_and_is_disconnected() -> None:
    fake, access = FakeSynthesizer(), FakeAccessCheck()
    async with WyomingServer(fake, describe=describe, run_blocking=run_in_thread, allow=access) as server:
        await server.start("tcp://127.0.0.1:0")
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            await client.send(Synthesize("Let me in.").event())
            (error,) = await client.rest()
    assert error.type == "error"
    assert error.data["code"] == "bad_request"
    assert "127.0.0.1 is not allowed to connect" in error.data["text"]
    assert access.checked_addresses == ["127.0.0.1"]
    assert not fake.utterances


async def test_access_is_checked_for_each_connection() -> None:
    access = FakeAccessCheck()
    async with WyomingServer(
        FakeSynthesizer(), describe=describe, run_blocking=run_in_thread, allow=access
    ) as server:
        await server.start("tcp://127.0.0.1:0")
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            assert event_types(await client.rest()) == ["error"]
        access.allows_all = True
        async with WyomingTestClient.connect(*server.bound[0]) as client:
            await client.send(Describe().event())
            assert (await client.receive()).type == "info"


async def test_loopback_is_always_allowed_and_a_unix_socket_is_not_checked(tmp_path: Path) -> None:
    networks = AllowedNetworks(["203.0.113.0/24"])
    access = FakeAccessCheck()
    for uri, allow in (("tcp://127.0.0.1:0", networks.allows), (f"unix://{tmp_path}/tts.sock", access)):
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
    assert not access.checked_addresses
