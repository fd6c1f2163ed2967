"""What holds for every test: a blocked event loop fails it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import settings

import wyoming_tts  # noqa: F401  # first of all: it keeps ONNX Runtime from reporting

settings.register_profile("fast", max_examples=15)


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    # The client writes its own files and pipes in a process that does nothing else.
    with blockbuster_ctx("wyoming_tts", excluded_modules=["wyoming_tts.client"]) as detector:
        yield detector
