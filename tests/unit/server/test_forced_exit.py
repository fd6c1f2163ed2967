"""Forced exit: a process of its own ends whatever its threads and its event loop do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each test starts a process

_HEAD = """
import asyncio, subprocess, sys, threading, time
from wyoming_tts.server.forced_exit import ForcedExit, end_process
threading.Thread(target=time.sleep, args=(600,)).start()  # no daemon: the interpreter would wait for it
"""
_CHILD = (
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True).pid"
)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _HEAD + code], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_thread_without_end_does_not_keep_the_process() -> None:
    ended = run(
        """
async def main():
    ForcedExit().arm(0.05)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    )
    assert ended.returncode == 0
    assert "Stopping took too long" in ended.stderr


def test_an_event_loop_that_is_busy_does_not_keep_the_process() -> None:
    ended = run(
        """
async def main():
    ForcedExit().arm(0.05)
    time.sleep(600)

asyncio.run(main())
"""
    )
    assert ended.returncode == 0
    assert "Stopping took too long" in ended.stderr


def test_an_interpreter_that_hangs_does_not_keep_the_process() -> None:
    ended = run(
        """
import ctypes
import wyoming_tts.server.forced_exit as forced_exit
forced_exit._WATCHDOG_SECONDS = 0.05
ForcedExit().arm(0.05)
ctypes.PyDLL(None).sleep(600)  # keeps the interpreter
"""
    )
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr


def test_a_later_exit_does_not_put_an_earlier_one_off() -> None:
    ended = run(
        """
forced = ForcedExit()
forced.arm(0.05)
forced.arm(600)
time.sleep(600)
"""
    )
    assert ended.returncode == 0


def test_an_exit_that_was_disarmed_does_not_happen() -> None:
    ended = run(
        """
async def main():
    forced = ForcedExit()
    forced.arm(0.05)
    forced.disarm()
    await asyncio.sleep(0.2)

asyncio.run(main())
end_process(7)
"""
    )
    assert ended.returncode == 7


@pytest.mark.parametrize(
    ("ending", "code"), [("end_process(3)", 3), ("ForcedExit().arm(0.05); time.sleep(600)", 0)]
)
def test_a_log_that_is_locked_does_not_keep_the_process(ending: str, code: int) -> None:
    ended = run(
        f"""
import logging
logging.basicConfig()
threading.Thread(target=lambda: (logging.getLogger().handlers[0].acquire(), time.sleep(600))).start()
{ending}
"""
    )
    assert ended.returncode == code


@pytest.mark.parametrize("command", ["serve", "health"])
def test_only_a_server_leaves_without_tidying_up(command: str) -> None:
    """It takes the interpreter seconds on a busy machine, and the watchdog would end it with a failure."""
    ended = subprocess.run(
        [sys.executable, "-c", _LEAVING, command], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 5
    assert ended.stdout.split() == ["done"] + ["tidied"] * (command != "serve")


_LEAVING = """
import atexit, importlib, sys
from wyoming_tts.commands import cli

def main():
    if sys.argv[1] == "serve":
        importlib.import_module("wyoming_tts.server.app")
    print("done")
    return 5

atexit.register(print, "tidied")
cli.main = main
cli.run()
"""


def test_child_processes_end_with_it() -> None:
    ended = run(f"print({_CHILD}, flush=True); end_process(0)")
    deadline = time.monotonic() + 10
    while _is_running(int(ended.stdout)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
