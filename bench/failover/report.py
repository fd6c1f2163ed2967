"""Report of a demonstration: what was measured, and each promise as `ok` or `BROKEN`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Report:
    """Prints as things happen, and counts the promises that are broken."""

    broken: int = 0
    _began: float = field(default_factory=time.monotonic)

    def scene(self, title: str) -> None:
        """Print the title of a scene, with the seconds since the beginning."""
        print(f"\n[{time.monotonic() - self._began:5.1f} s] {title}", flush=True)

    def measured(self, text: str) -> None:
        """Print what was measured."""
        print(f"   {text}", flush=True)

    def check(self, is_so: object, promise: str, instead: str = "") -> None:
        """Print a promise, and what is so instead if it is broken."""
        self.broken += not is_so
        print(f"ok {promise}" if is_so else f"BROKEN {promise}: {instead}", flush=True)
