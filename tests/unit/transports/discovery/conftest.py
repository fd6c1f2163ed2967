"""A client that browses, and a name of its own for the server."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import pytest

from tests.unit.transports.discovery.announcing import ServiceListener


@pytest.fixture
async def listener() -> AsyncIterator[ServiceListener]:
    listener = ServiceListener()
    yield listener
    await listener.close()


@pytest.fixture
def name() -> str:
    """A name that no other test on this loopback interface uses."""
    return f"kitchen {secrets.token_hex(4)}"
