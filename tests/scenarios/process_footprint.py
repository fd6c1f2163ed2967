"""Footprint of a process tree: memory, descriptors, threads, children and processor time, read from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MEMORY_FIELDS = ("Pss", "Rss", "Private_Clean", "Private_Dirty")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process and its descendants hold, summed; memory in bytes."""

    pss: int = 0
    """Proportional set size: pages shared by several processes are counted once in all."""
    rss: int = 0
    private: int = 0
    descriptors: int = 0
    threads: int = 0
    children: int = 0
    processor_seconds: float = 0.0

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(
            *(getattr(self, name) + getattr(other, name) for name in Footprint.__slots__),
        )


def footprint_of(pid: int) -> Footprint:
    """Measure a process and its descendants; those that end meanwhile count nothing."""
    pids = list(process_tree(pid))
    total = Footprint(children=max(len(pids) - 1, 0))
    for each in pids:
        with suppress(OSError):
            total += _footprint_of_one(each)
    return total


def process_tree(pid: int) -> Iterator[int]:
    """Yield the process id and those of all descendants."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # a thread that has just ended
            for child in task.read_text("ascii").split():
                yield from process_tree(int(child))


def _footprint_of_one(pid: int) -> Footprint:
    process = Path(f"/proc/{pid}")
    memory = _memory(process / "smaps_rollup")
    state = (process / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    user, system, threads = (int(state[place]) for place in (11, 12, 17))
    return Footprint(
        pss=memory["Pss"],
        rss=memory["Rss"],
        private=memory["Private_Clean"] + memory["Private_Dirty"],
        descriptors=sum(1 for _ in (process / "fd").iterdir()),
        threads=threads,
        processor_seconds=(user + system) / _TICKS_PER_SECOND,
    )


def _memory(rollup: Path) -> dict[str, int]:
    found = dict.fromkeys(_MEMORY_FIELDS, 0)
    for line in rollup.read_text("ascii").splitlines():
        name, _, rest = line.partition(":")
        if name in found:
            found[name] = int(rest.split()[0]) * 1024
    return found
