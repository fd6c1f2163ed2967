"""Node.js for the tests of the page's JavaScript."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js."""
    found = shutil.which(os.environ.get("NODE") or "node")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Node.js.")
        pytest.skip("There is no Node.js: script/node installs it, or set NODE to where it is.")
    return found
