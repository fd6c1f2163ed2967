"""Description of the machine and of the package versions behind a benchmark."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

_OURS = ("wyoming-tts", "wyoming", "onnxruntime", "piper-tts", "kokoro-onnx", "numpy")
_PEERS = ("wyoming-piper", "wyoming", "onnxruntime", "piper-tts", "numpy")


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, system and load average, by name."""
    return {
        "Processor": _processor(),
        "Cores": str(len(os.sched_getaffinity(0))),
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "Load average before": f"{os.getloadavg()[0]:.2f}",
    }


def package_versions(peer_python: Path) -> dict[str, str]:
    """Versions of the packages on both sides."""
    program = f"from importlib.metadata import version\nfor name in {_PEERS!r}: print(name, version(name))"
    command = [str(peer_python), "-c", program]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- our own words
    return {
        "This server": ", ".join(f"{name} {version(name)}" for name in _OURS) + _commit(),
        "Beside it": ", ".join(listed.stdout.strip().splitlines()),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _commit() -> str:
    """The commit of the sources, where there is a repository."""
    git = ["git", "describe", "--always", "--dirty"]
    try:
        described = subprocess.run(git, check=True, capture_output=True, text=True)  # noqa: S603 -- the same
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {described.stdout.strip()}"
