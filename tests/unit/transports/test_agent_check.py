"""HAProxy's agent-check: the weight by load, and the line that is sent."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.transports.agent_check import AgentCheckServer, agent_weight

AMOUNTS = st.floats(0, allow_nan=False)


@pytest.mark.parametrize(
    ("share", "wait", "weight"),
    [
        (0.0, 0.0, 100),
        (0.0, -0.3, 100),  # its listener's own text takes longer than the others do
        (0.25, 0.0, 75),
        (0.0, 0.25, 50),
        (0.5, 0.25, 25),
        (1.0, 0.0, 1),
        (3.0, 8.0, 1),
        (0.0, float("inf"), 1),
    ],
)
def test_the_weight_falls_with_the_share_and_the_wait(share: float, wait: float, weight: int) -> None:
    assert agent_weight(share, wait) == weight


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_more_load_never_weighs_more_and_never_nothing(share: float, wait: float, more: float) -> None:
    weight = agent_weight(share, wait)
    assert 1 <= agent_weight(share + more, wait) <= weight <= 100
    assert 1 <= agent_weight(share, wait + more) <= weight


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_each_client_is_sent_the_line_of_that_moment_and_the_end() -> None:
    lines = ["ready 80%", "drain"]
    agent = AgentCheckServer(lambda: lines.pop(0), run_blocking=run_in_thread, allow=lambda _: True)
    await agent.start("127.0.0.1", 0)
    try:
        async with asyncio.timeout(10):
            port = agent.bound[0][1]
            assert [await ask(port), await ask(port)] == [b"ready 80%\n", b"drain\n"]
    finally:
        await agent.close()


async def test_other_networks_are_told_nothing() -> None:
    agent = AgentCheckServer(lambda: "ready 100%", run_blocking=run_in_thread, allow=lambda _: False)
    await agent.start("127.0.0.1", 0)
    try:
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionResetError):
                assert await ask(agent.bound[0][1])
    finally:
        await agent.close()


async def test_an_address_in_use_leaves_the_server_without_it(caplog: pytest.LogCaptureFixture) -> None:
    first, second = (
        AgentCheckServer(lambda: "drain", run_blocking=run_in_thread, allow=lambda _: True) for _ in range(2)
    )
    await first.start("127.0.0.1", 0)
    try:
        await second.serve("127.0.0.1", first.bound[0][1])
    finally:
        await first.close()
    assert "agent cannot listen" in caplog.text
