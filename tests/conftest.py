"""What holds for every test: a blocked event loop fails it, and its setup of logging ends with it."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

import wyoming_tts  # noqa: F401  # first of all: it keeps ONNX Runtime from reporting

# Neither deadlines nor slow drawing: a busy machine is no mistake.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The hundred examples of each night find what forty after each change have missed.
settings.register_profile("whole", settings.get_profile("thorough"), max_examples=40)
settings.register_profile("fast", settings.get_profile("thorough"), max_examples=15)
settings.load_profile("whole")


def pytest_configure(config: pytest.Config) -> None:
    """Have servers that tests start write their state into a directory of the tests'."""
    # Not a fixture: settings are also made while tests are collected.
    patch, directory = pytest.MonkeyPatch(), TemporaryDirectory(prefix="tests-state-")
    patch.setenv("XDG_STATE_HOME", directory.name)
    config.add_cleanup(directory.cleanup)
    config.add_cleanup(patch.undo)


def pytest_collection_finish() -> None:
    """Have no garbage collection look through thousands of tests again, which stay until the end.

    Others come less often: what fixtures and libraries keep grows, and nearly nothing is garbage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 50)


@pytest.fixture(scope="session", autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    # For the session: replacing some sixty functions before each test takes longer than most tests do.
    # The client writes its own files and pipes in a process that does nothing else.
    with blockbuster_ctx("wyoming_tts", excluded_modules=["wyoming_tts.client"]) as detector:
        yield detector


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo what the command line configures when a test calls it.

    Its handler writes to that test's standard error; left behind, it would report in later tests that this is
    closed, and quote what they log.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
