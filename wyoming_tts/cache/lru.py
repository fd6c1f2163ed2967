"""A map in LRU order with the total size of its values, for the tiers of the cache."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class LruMap(Generic[T]):
    """Values and their sizes by name, the least recently used first."""

    def __init__(self) -> None:
        self.size = 0
        """Sum of the values' sizes."""
        self._entries: OrderedDict[str, tuple[T, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def get(self, name: str) -> T | None:
        """Return the value or None, without counting that as a use."""
        entry = self._entries.get(name)
        return entry[0] if entry else None

    def use(self, name: str) -> T | None:
        """Return the value or None; it becomes the most recently used."""
        if name in self._entries:
            self._entries.move_to_end(name)
        return self.get(name)

    def add(self, name: str, value: T, size: int) -> None:
        """Add a value as the most recently used; it replaces one of the same name."""
        self.discard(name)
        self._entries[name] = value, size
        self.size += size

    def discard(self, name: str) -> None:
        """Remove the value, if it is there."""
        if name in self._entries:
            self.size -= self._entries.pop(name)[1]

    def oldest(self) -> tuple[str, T]:
        """Return name and value of the least recently used; the map must not be empty."""
        name, (value, _) = next(iter(self._entries.items()))
        return name, value

    def shrink(self, bound: int) -> list[str]:
        """Evict the least recently used until the size is within `bound`; return the evicted names."""
        evicted = []
        while self._entries and self.size > bound:
            evicted.append(self.oldest()[0])
            self.discard(evicted[-1])
        return evicted
