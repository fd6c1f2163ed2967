"""Floods of forged mDNS on the loopback interface, at a server's announcement and at a search for servers."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.server_under_attack import MIB
from wyoming_tts.client import discover_servers
from wyoming_tts.client.server_discovery import MAX_INSTANCES

GROUP = ("224.0.0.251", 5353)
LOOPBACK = "127.0.0.1"
NAME = "victim"
SECONDS = 4.0
RECORDS = 110 * MIB
"""The library keeps the last 10,000 records of others, of 9 kB each in the worst case."""
SERVICE = (b"_wyoming", b"_tcp", b"local")
_PTR, _TXT, _SRV, _ANY = 12, 16, 33, 255
_UNIQUE = 0x8001
_HUGE_TXT = (b"\xff" + b"x" * 255) * 30


def dns_name(*labels: bytes) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(name: bytes, kind: int, data: bytes, *, seconds: int = 4500) -> bytes:
    return name + struct.pack("!HHIH", kind, _UNIQUE, seconds, len(data)) + data


def answer(*records: bytes) -> bytes:
    return struct.pack("!6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def server(instance: bytes, host: bytes = b"forged", *, seconds: int = 4500) -> tuple[bytes, bytes]:
    name = dns_name(instance, *SERVICE)
    place = struct.pack("!3H", 0, 0, 1) + dns_name(host, b"local")
    return record(dns_name(*SERVICE), _PTR, name, seconds=seconds), record(name, _SRV, place, seconds=seconds)


def _numbered(number: int) -> bytes:
    return f"{NAME}-{number % 99 + 1}".removesuffix("-1").encode()


def _text(number: int) -> bytes:
    return record(dns_name(b"t%d" % number, *SERVICE), _TXT, _HUGE_TXT)


FORGED: dict[str, Callable[[int], bytes]] = {
    "invented servers": lambda number: answer(*server(b"s%d" % number, b"h%d" % number)),
    "huge texts": lambda number: answer(_text(number)),
    "control characters": lambda number: answer(*server(b"\x1b[31m\0\r\n%d" % number)),
    "its own names": lambda number: answer(*server(_numbered(number), b"aaa")),
    "goodbyes": lambda _: answer(*server(NAME.encode(), seconds=0)),
    "questions": lambda _: (
        struct.pack("!6H", 0, 0, 50, 0, 0, 0)
        + 50 * (dns_name(NAME.encode(), *SERVICE) + struct.pack("!HH", _ANY, 1))
    ),
    "garbage": lambda number: os.urandom(number % 1400),
    "garbage after a header": lambda number: answer()[:4] + os.urandom(8 + number % 1400),
    "pointer to itself": lambda _: answer(b"\xc0\x0c" + struct.pack("!HHIH", _PTR, 1, 10, 2) + b"\xc0\x0c"),
    "over 9,000 bytes": lambda number: answer(*(_text(number),) * 2),
}
"""The packet of a number, for each kind of flood."""


@contextmanager
def multicast() -> Iterator[socket.socket]:
    """Open a socket that sends to mDNS on the loopback interface and from its port, or nobody listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            sock.setsockopt(socket.SOL_SOCKET, option, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(LOOPBACK))
        sock.bind(("", GROUP[1]))
        yield sock


async def send_forged(kind: str, *, seconds: float = SECONDS) -> int:
    """Send forged packets for some seconds; returns how many."""
    loop, sent = asyncio.get_running_loop(), 0
    end = loop.time() + seconds
    with multicast() as sock:
        while loop.time() < end:
            for _ in range(20):
                sock.sendto(FORGED[kind](sent), GROUP)
                sent += 1
            await asyncio.sleep(0.002)
    return sent


async def test_floods_of_forged_packets_beside_listeners(open_scene: OpenScene) -> None:
    async with open_scene("--zeroconf", NAME) as scene:
        announced = "Announced by zeroconf"
        await scene.server.until(lambda: announced in scene.server.log, seconds=20, what=announced)
        before, logged = await scene.quiet(), len(scene.server.log)
        for kind in FORGED:
            async with scene.phase(kind) as attack:
                await send_forged(kind)
            attack.hearing.check_served()
            assert attack.peak.pss < before.after.pss + RECORDS, kind
        of_floods = [line for line in scene.server.log[logged:].splitlines() if " chars=" not in line]
        assert sum(map(len, of_floods)) < 10_000
        await scene.recovers(before, memory=RECORDS)  # they stay for as long as they are valid


@pytest.mark.parametrize("kind", ["invented servers", "control characters", "huge texts"])
async def test_a_search_during_a_flood_ends_in_time_with_bounded_results(kind: str) -> None:
    flooding = asyncio.create_task(send_forged(kind))
    async with asyncio.timeout(30):
        assert len(await discover_servers(2.0, interfaces=[LOOPBACK])) <= MAX_INSTANCES
        await flooding
