"""Tests with real voices, which `script/real-voices` fetches once into .venv; where it cannot, they skip.

They are few, because a real model takes seconds: what the tone voices can show is tested with those.
"""

from __future__ import annotations

import subprocess
import sys
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from script import real_voices

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DIRECTORY = ROOT / ".venv" / "real-voices"
"""Ignored by git, so in no package; script/setup makes `.venv` anew only when its Python goes."""
_TIMEOUT = 900
"""Seconds of a test, which may be the one that fetches the voices."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            for mark in (pytest.mark.real_voices, pytest.mark.slow, pytest.mark.timeout(_TIMEOUT)):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The data directory with the real voices; nothing may be written into it."""
    run = tmp_path_factory.getbasetemp()
    run = run if worker_id == "master" else run.parent  # that of all workers
    reason = run / "no-real-voices.txt"
    with (run / "real-voices.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # what cannot be had is tried once, not by every worker
        if not reason.exists():
            fetch = (sys.executable, str(ROOT / "script" / "real_voices.py"), str(DIRECTORY))
            done = subprocess.run(fetch, check=False, capture_output=True, text=True)
            if done.returncode == real_voices.NOT_AVAILABLE:
                reason.write_text(done.stderr, "utf-8")
            else:
                assert done.returncode == 0, done.stderr
    if reason.exists():
        pytest.skip(reason.read_text("utf-8").strip())
    return DIRECTORY
