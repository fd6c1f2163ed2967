"""What holds for every test: a blocked event loop fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx

import wyoming_tts  # noqa: F401  # first of all: it keeps ONNX Runtime from reporting


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    # The client writes its own files and pipes in a process that does nothing else.
    with blockbuster_ctx("wyoming_tts", excluded_modules=["wyoming_tts.client"]) as detector:
        yield detector
