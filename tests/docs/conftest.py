"""What holds for the tests of the documents."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def blockbuster() -> None:
    """Nothing here has a loop that serves anybody: commands run in this process may block their own."""
