"""Fixtures for the tests of the documents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster


@pytest.fixture(scope="package", autouse=True)
def blockbuster(blockbuster: BlockBuster) -> Iterator[None]:
    """Disabled: commands run in this process have an event loop of their own and may block it."""
    blockbuster.deactivate()
    yield
    blockbuster.activate()
