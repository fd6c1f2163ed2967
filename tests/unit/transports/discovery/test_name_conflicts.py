"""Servers that want the same name on the network."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from zeroconf import (  # type: ignore[attr-defined]  # a gap in __all__
    DNSService,
    RecordUpdate,
    RecordUpdateListener,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceInfo

from tests.unit.transports.discovery.announcing import (
    ADDED,
    ENVIRONMENT,
    PATIENCE,
    REMOVED,
    FakeNetwork,
    ServiceListener,
    announce_on_loopback,
    announcing,
    fresh_zeroconf,
    log_lines,
    resolve_fresh,
)
from wyoming_tts.transports.discovery import SERVICE_TYPE, ZeroconfAnnouncer


@pytest.mark.slow
async def test_a_taken_name_gets_a_number_and_both_servers_resolve_to_their_own_port(
    listener: ServiceListener, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = announce_on_loopback(7001, name=name)
    second = announce_on_loopback(
        7002, name=name.upper(), environment=replace(ENVIRONMENT, probe_timeout=1.5)
    )
    async with announcing(first):
        await listener.wait_for(ADDED, name)
        async with announcing(second):
            await listener.wait_for(ADDED, f"{name.upper()}-2")
            assert (await listener.resolve(name)).port == 7001
            renamed = await listener.resolve(f"{name.upper()}-2")
            assert renamed.port == 7002
            assert renamed.server != (await listener.resolve(name)).server
        await listener.wait_for(REMOVED, f"{name.upper()}-2")
        assert (await listener.resolve(name)).port == 7001
    assert [level for level, message in log_lines(caplog) if "is taken by 127.0.0.1:7001" in message] == [
        "WARNING"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ports", "together"),
    [((7001, 7002), True), ((7001, 7002), False), ((7002, 7001), False)],
    ids=["at the same moment", "the later one yields", "the earlier one yields"],
)
async def test_of_two_servers_that_claimed_one_name_concurrently_one_yields(
    listener: ServiceListener, name: str, *, ports: tuple[int, int], together: bool
) -> None:
    no_probing = replace(ENVIRONMENT, probe_timeout=0.001)  # too short for any answer
    one, other = (announce_on_loopback(port, name=name, environment=no_probing) for port in ports)
    async with announcing(*([one, other] if together else [one])):
        await listener.wait_for(ADDED, name)
        async with announcing(*([] if together else [other])):
            await listener.wait_for(ADDED, f"{name}-2")
            assert {one.name, other.name} == {name, f"{name}-2"}
            async with fresh_zeroconf() as newcomer:
                for server in (one, other):
                    assert (await resolve_fresh(newcomer, server.name)).port == server._port


class PortObserver(RecordUpdateListener):
    """Records the announced ports passively, without sending queries."""

    def __init__(self) -> None:
        self.ports: asyncio.Queue[int] = asyncio.Queue()

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            if isinstance(update.new, DNSService):
                self.ports.put_nowait(update.new.port)


@pytest.mark.slow
async def test_a_server_that_keeps_its_name_announces_it_to_its_rival(
    listener: ServiceListener, name: str
) -> None:
    rival = AsyncServiceInfo(
        SERVICE_TYPE, f"{name}.{SERVICE_TYPE}", port=7002, server="z.local.", addresses=[b"\x7f\0\0\1"]
    )
    network = FakeNetwork("127.0.0.1")
    async with announcing(
        announce_on_loopback(7001, name=name, environment=replace(ENVIRONMENT, addresses=network))
    ):
        await listener.wait_for(ADDED, name)
        await network.wait_until_polled(2)  # its own announcements are complete
        async with fresh_zeroconf() as zc:
            observer = PortObserver()
            zc.zeroconf.async_add_listener(observer, None)
            await (await zc.async_register_service(rival, cooperating_responders=True))
            async with asyncio.timeout(PATIENCE):
                while await observer.ports.get() != 7001:
                    pass


async def test_a_server_whose_names_were_all_claimed_is_announced_once_one_is_free_again(
    name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find_holder(_: object, __: object, own: AsyncServiceInfo) -> AsyncServiceInfo | None:
        asked.append(own.get_name())
        claimed = AsyncServiceInfo(SERVICE_TYPE, own.name, port=1, server="another.local.")
        return claimed if len(asked) <= 2 * 99 else None

    asked: list[str] = []
    monkeypatch.setattr(ZeroconfAnnouncer, "_find_holder", find_holder)
    announcement = announce_on_loopback(10200, name=name)
    async with announcing(announcement), asyncio.timeout(PATIENCE):
        while announcement.name is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        assert announcement.name == name
    assert asked == 2 * [name, *(f"{name}-{number}" for number in range(2, 100))] + [name]
    warnings = [message for level, message in log_lines(caplog) if level == "WARNING"]
    assert len(warnings) == 2, "one of the names, one of all of them"
