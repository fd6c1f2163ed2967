"""Fixtures for the tests of the documents."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Disabled: commands run in this process have an event loop of their own and may block it."""
