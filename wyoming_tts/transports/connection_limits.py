"""Connection limits of a port, in all and per address; at a limit the longest idle connection makes room.

Idle is a connection on which nothing is asked and nothing is being answered. So whoever connects and says
nothing, however often, takes no place from those who speak. No clock and no I/O: times are arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from wyoming_tts.errors import Busy
from wyoming_tts.messages import Message
from wyoming_tts.transports.access import subscriber

MIN_IDLE = 0.5
"""Seconds for which a connection does not count as idle: its client has just connected, or its next request
may be on its way."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections one port accepts."""

    connections: int = 512
    """In all."""
    per_peer: int = 128
    """From one address; an IPv6 network of 64 bits counts as one."""


class ConnectionSlot:
    """A connection's place within the limits of its port, held from accepting it to closing its socket."""

    def __init__(self, peer: str | None, now: float, abort: Callable[[], None]) -> None:
        self.peer = peer
        """The address; None without one, as on a Unix socket."""
        self.idle_since: Callable[[], float | None] = lambda: now
        """Returns the loop's time since which it is idle, or None; replaced once a protocol serves it."""
        self.abort = abort
        """Closes it at once; replaced likewise."""

    def forget_connection(self) -> None:
        """Refer to the connection no longer: it would keep what it has received until the next collection."""
        self.idle_since = self.abort = _do_nothing


def _do_nothing() -> None:
    pass


class ConnectionSlots:
    """The open connections of one port."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: set[ConnectionSlot] = set()
        self._peers: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def take(self, peer: str | None, now: float, abort: Callable[[], None]) -> ConnectionSlot:
        """Take a place, at the loop's time `now`; at a limit the longest idle connection is aborted for it.

        Raises:
            Busy: a limit is reached, and none of the connections that count for it is idle.
        """
        slot = ConnectionSlot(None if peer is None else subscriber(peer), now, abort)
        limits = self._limits
        if slot.peer is not None and self._peers[slot.peer] >= limits.per_peer:
            own = [each for each in self._open if each.peer == slot.peer]
            if not self._close_idlest(own, now):
                raise _busy(
                    Message(
                        "most_from_peer",
                        "The server accepts at most {most} connections from {peer}.",
                        most=limits.per_peer,
                        peer=peer,
                    )
                )
        if len(self._open) >= limits.connections and not self._close_idlest(self._open, now):
            raise _busy(
                Message(
                    "most_connections",
                    "The server accepts at most {most} connections.",
                    most=limits.connections,
                )
            )
        self._open.add(slot)
        if slot.peer is not None:
            self._peers[slot.peer] += 1
        return slot

    def release(self, slot: ConnectionSlot) -> None:
        """Give a place back; does nothing if that was done before."""
        if slot not in self._open:
            return
        self._open.remove(slot)
        if slot.peer is not None:
            self._peers[slot.peer] -= 1
            if not self._peers[slot.peer]:
                del self._peers[slot.peer]

    def _close_idlest(self, slots: Iterable[ConnectionSlot], now: float) -> bool:
        """Close the longest idle connection, of the address that has most; False if none is idle."""
        idle = [(each, since) for each in slots if (since := each.idle_since()) is not None]
        idle = [(each, since) for each, since in idle if now - since >= MIN_IDLE]
        if not idle:
            return False
        idlest, _ = min(idle, key=lambda each: (-self._peers[each[0].peer or ""], each[1]))
        self.release(idlest)
        idlest.abort()
        return True


def _busy(message: str) -> Busy:
    return Busy(message, hint=Message("try_later", "Try again later."))
