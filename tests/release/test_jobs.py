"""script/jobs.bash: what a script has started ends with it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_STUBBORN = "trap '' TERM; echo started; while :; do sleep 60; done"
"""The one that ends leaves this behind, as the compiler of the page's scripts does."""


@pytest.fixture
def heeded(signal_: signal.Signals) -> Iterator[None]:
    """Have programs heed the signal although the tests may run in the background, or without a terminal."""
    before = signal.signal(signal_, signal.SIG_DFL)
    yield
    signal.signal(signal_, before)


@pytest.mark.usefixtures("heeded")
@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("way", ["start", "run"])
def test_a_signal_to_a_script_ends_what_it_has_started(signal_: signal.Signals, way: str) -> None:
    inner = 'bash -c "$STUBBORN" & wait'
    script = f"set -euo pipefail; source script/jobs.bash; {way} bash -c '{inner}'; wait"
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=ROOT,
        env={"STUBBORN": _STUBBORN, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal_)
        assert process.stdout.read() == ""  # nobody has it open any more
    assert process.returncode == 128 + signal_


def test_the_status_of_a_program_that_is_run_is_the_scripts() -> None:
    script = "set -euo pipefail; source script/jobs.bash; run bash -c 'exit 7'; echo not reached"
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (7, "")
