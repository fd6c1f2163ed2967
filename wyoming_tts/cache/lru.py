"""The order of use, with sizes, for the tiers of the cache."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class LruMap(Generic[T]):
    """Values with their sizes by name, the least recently used first."""

    def __init__(self) -> None:
        self.size = 0
        """Of all values together."""
        self._entries: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def get(self, name: str) -> T | None:
        """Return the value; that is no use of it."""
        entry = self._entries.get(name)
        return entry[0] if entry else None

    def use(self, name: str) -> T | None:
        """Return the value, which is the most recently used now."""
        if name in self._entries:
            self._entries.move_to_end(name)
        return self.get(name)

    def add(self, name: str, value: T, size: int) -> None:
        """Put it in as the most recently used, in place of what has its name."""
        self.discard(name)
        self._entries[name] = value, size
        self.size += size

    def discard(self, name: str) -> None:
        """Forget the value, if it is there."""
        if name in self._entries:
            self.size -= self._entries.pop(name)[1]

    def oldest(self) -> tuple[str, T]:
        """Return name and value of the least recently used; there has to be one."""
        name, (value, _) = next(iter(self._entries.items()))
        return name, value

    def shrink(self, bound: int) -> list[str]:
        """Forget the least recently used until the rest is within `bound`; return their names."""
        gone = []
        while self._entries and self.size > bound:
            gone.append(self.oldest()[0])
            self.discard(gone[-1])
        return gone
