"""Announcements on the loopback interface, a client that hears them, and a network that changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from zeroconf import (
    DNSQuestionType,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from wyoming_tts.transports import discovery
from wyoming_tts.transports.discovery import SERVICE_TYPE, DiscoveryEnvironment, ZeroconfAnnouncer
from wyoming_tts.transports.network_identity import MachineIdentity

LOOPBACK = ["127.0.0.1"]
KITCHEN = MachineIdentity("kitchen", "0123456789abcdef0123456789abcdef")
ENVIRONMENT = DiscoveryEnvironment(
    machine=lambda: KITCHEN, addresses=lambda: LOOPBACK, probe_timeout=0.1, poll_interval=0.05
)
PATIENCE = 10.0

ADDED = ServiceStateChange.Added
UPDATED = ServiceStateChange.Updated
REMOVED = ServiceStateChange.Removed


class ServiceListener:
    """A client that browses for servers and records the changes in order."""

    def __init__(self) -> None:
        self.zeroconf = AsyncZeroconf(interfaces=LOOPBACK)
        self._changes: asyncio.Queue[tuple[ServiceStateChange, str]] = asyncio.Queue()
        self._browser = AsyncServiceBrowser(self.zeroconf.zeroconf, SERVICE_TYPE, handlers=[self._on_change])

    def _on_change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        self._changes.put_nowait((state_change, name.removesuffix(f".{SERVICE_TYPE}")))

    async def wait_for(self, change: ServiceStateChange, name: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self._changes.get() != (change, name):
                pass

    async def resolve(self, name: str) -> AsyncServiceInfo:
        found = await self.zeroconf.async_get_service_info(SERVICE_TYPE, f"{name}.{SERVICE_TYPE}")
        assert found is not None
        return found

    async def close(self) -> None:
        await self._browser.async_cancel()
        await self.zeroconf.async_close()


@asynccontextmanager
async def announcing(*announcements: ZeroconfAnnouncer) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(announcement.run()) for announcement in announcements]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ended] == [asyncio.CancelledError] * len(tasks)


def announce_on_loopback(
    port: int, *, host: str = "127.0.0.1", name: str, environment: DiscoveryEnvironment = ENVIRONMENT
) -> ZeroconfAnnouncer:
    return ZeroconfAnnouncer(port, host=host, name=name, interfaces=LOOPBACK, environment=environment)


class FakeNetwork:
    """Interface addresses that a test changes, and a way to wait until they were polled."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self._polls: asyncio.Queue[None] = asyncio.Queue()

    def __call__(self) -> Sequence[str]:
        self._polls.put_nowait(None)
        return tuple(self.addresses)

    async def wait_until_polled(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE):
            for _ in range(self._polls.qsize() + times):
                await self._polls.get()


def log_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == discovery.__name__
    ]


@asynccontextmanager
async def fresh_zeroconf() -> AsyncIterator[AsyncZeroconf]:
    zc = AsyncZeroconf(interfaces=LOOPBACK)
    yield zc
    await zc.async_close()


async def resolve_fresh(zc: AsyncZeroconf, name: str | None) -> AsyncServiceInfo:
    info = AsyncServiceInfo(SERVICE_TYPE, f"{name}.{SERVICE_TYPE}")
    assert await info.async_request(zc.zeroconf, PATIENCE * 1000, question_type=DNSQuestionType.QM)
    return info
