"""A listener driven by a test: with a manual clock, and a transport that records writes and pauses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from wyoming_tts.bench.targets.listener import Listener, ListenerReport


@dataclass
class ManualClock:
    """Replaces the module `time` in the listener."""

    now: float = 100.0

    def perf_counter(self) -> float:
        return self.now


class RecordingTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.first_write = asyncio.Event()
        self.is_paused = False
        self.resumed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.first_write.set()

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self.resumed.set()

    def abort(self) -> None:
        pass


async def report_of(listener: Listener, clock: ManualClock, *replies: tuple[float, bytes]) -> ListenerReport:
    """Have a listener send its request and receive each reply at a time after it; the last one ends it."""
    transport = RecordingTransport()
    listener.connection_made(transport)
    listening = asyncio.create_task(listener.listen(60.0))
    await transport.first_write.wait()
    sent_at = clock.now
    for after, data in replies:
        clock.now = sent_at + after
        listener.data_received(data)
    return (await listening).report()
