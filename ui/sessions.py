"""Session limits: how many browser sessions Gradio keeps, in all and for one address, and for how long.

A session is *heard* while its browser holds a connection to it (the heartbeat of an open page, or the stream
of its events), and only then worth its memory. Times are arguments; what happens to a session that is dropped
is the caller's business.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


class TooManySessions(Exception):
    """Every session that could make room is open in a browser."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of sessions; one takes 20 to 40 kB."""

    total: int = 256
    per_address: int = 64
    """Open pages behind one address: of a proxy, or of Home Assistant, which has one for all its users."""
    unheard: float = 600.0
    """Seconds that a session is kept after its browser has gone, which may come back from a sleep."""


@dataclass(slots=True)
class _Session:
    address: str
    connections: int = 0
    unheard_since: float = 0.0


class Sessions:
    """The sessions that exist, those unheard longest first."""

    def __init__(self, limits: SessionLimits | None = None) -> None:
        self._limits = limits or SessionLimits()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def use(self, session: str, address: str, now: float) -> list[str]:
        """Note that a session is used, and return those to drop for it.

        Raises:
            TooManySessions: there is no room for another one.
        """
        dropped: list[str] = []
        known = self._sessions.get(session)
        if known is None:
            dropped = self._make_room(address)
            known = self._sessions[session] = _Session(address)
        known.unheard_since = now
        self._sessions.move_to_end(session)
        return dropped

    def connect(self, session: str, address: str, now: float) -> list[str]:
        """Note that a browser hears a session from now on; otherwise like `use`."""
        dropped = self.use(session, address, now)
        self._sessions[session].connections += 1
        return dropped

    def disconnect(self, session: str, now: float) -> None:
        """Note the end of a connection."""
        ended = self._sessions[session]  # which is never dropped while it is heard
        ended.connections -= 1
        ended.unheard_since = now
        self._sessions.move_to_end(session)

    def expire(self, now: float) -> list[str]:
        """Drop the sessions that were unheard for too long, and return them."""
        oldest = now - self._limits.unheard
        return self._drop(
            [
                name
                for name, each in self._sessions.items()
                if not each.connections and each.unheard_since <= oldest
            ]
        )

    def next_expiry(self) -> float | None:
        """Return when `expire` has to be called next; None if every session is heard."""
        since = [each.unheard_since for each in self._sessions.values() if not each.connections]
        return min(since) + self._limits.unheard if since else None

    def _make_room(self, address: str) -> list[str]:
        of_address = [name for name, each in self._sessions.items() if each.address == address]
        if len(of_address) >= self._limits.per_address:
            return self._drop_one(of_address)
        if len(self._sessions) >= self._limits.total:
            return self._drop_one(list(self._sessions))
        return []

    def _drop_one(self, names: list[str]) -> list[str]:
        unheard = next((name for name in names if not self._sessions[name].connections), None)
        if unheard is None:
            raise TooManySessions
        return self._drop([unheard])

    def _drop(self, names: list[str]) -> list[str]:
        for name in names:
            del self._sessions[name]
        return names
