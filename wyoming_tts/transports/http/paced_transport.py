"""A transport for uvicorn's protocols that hands them what a client sends in slices, at an `InputPace`.

asyncio reads 256 KiB at once, and a protocol handles all of it before anything else runs: chunks of one
byte or empty WebSocket frames, six bytes each, take a sixth of a second. Their parsers, in Python, see every
one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from wyoming_tts.transports.input_pace import InputPace

SLICE_BYTES = 4 * 1024
"""Handled in one turn: 3 ms of the smallest chunks or frames."""
BODY_SLICE_BYTES = 64 * 1024
"""Of a body of known length, which is only copied."""


def _ignore(_: bytes) -> None:
    pass


class PacedTransport:
    """Stands between a transport and its protocol; whatever is not about reading goes to the transport."""

    def __init__(
        self, transport: asyncio.Transport, handle: Callable[[bytes], None], *, pace: InputPace
    ) -> None:
        """Hand what `receive` is given to `handle`, in slices."""
        self.handle = handle
        """Takes a slice. Replaced when the connection changes its protocol."""
        self.is_body = False
        """What comes next is of a body of known length, such as an upload."""
        self._transport = transport
        self._pace = pace
        self._buffer = bytearray()
        self._wants_input = True
        """The protocol has not paused reading."""
        self._next: asyncio.TimerHandle | None = None
        """The next turn, while the transport is paused in between."""
        self._is_in_turn = False
        self._rested_at = 0.0
        """The loop's time before which there is no other turn, though the protocol may pause and resume."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def receive(self, data: bytes) -> None:
        """Take what the transport has received."""
        self._buffer += data
        if self._next is None and self._wants_input:
            self._take_turn()

    def pause_reading(self) -> None:
        """Hand over no more until `resume_reading`."""
        self._wants_input = False
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Continue, with what has been received already."""
        self._wants_input = True
        if self._next is None and not self._is_in_turn:
            self._continue()

    def discard_input(self) -> None:
        """Hand over nothing more: the connection is lost."""
        self.handle = _ignore  # in place of the protocol, which is freed without a search for cycles
        self._buffer.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _take_turn(self) -> None:
        self._next = None
        if not self._wants_input or not self._buffer:
            self._continue()
            return
        is_body = self.is_body
        size = BODY_SLICE_BYTES if is_body else SLICE_BYTES
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._pace.begin(len(taken))
        self._is_in_turn = True
        try:
            self.handle(taken)
        except Exception:
            self._transport.abort()
            raise
        finally:
            self._is_in_turn = False
        self._rested_at = asyncio.get_running_loop().time() + self._pace.end(is_bulk=is_body)
        self._continue()

    def _continue(self) -> None:
        if not self._wants_input:
            return
        loop = asyncio.get_running_loop()
        if (self._buffer or loop.time() < self._rested_at) and not self._transport.is_closing():
            self._transport.pause_reading()
            self._next = loop.call_at(self._rested_at, self._take_turn)
        else:
            self._transport.resume_reading()
