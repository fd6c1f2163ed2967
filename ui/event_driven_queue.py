"""Gradio's event queue without polling: it starts events when they arrive or another one ends.

6.31.0's own queue looks a thousand times a second whether there is an event, and a hundred times whether
there is progress to show, from the first visit on: 5 % of a core for a page that nobody has open. This one
also bounds what it keeps for a browser that does not read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from gradio.queueing import Event, Queue
from gradio.utils import run_coro_in_background, set_task_name

MAX_UNREAD_MESSAGES = 100
"""Kept for a session that does not read them: 10 s of a stream test's frames. Then its events end."""


class EventDrivenQueue(Queue):
    """A queue that sleeps until there is something to start. It shows no progress bars (`gr.Progress`)."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._changed = asyncio.Event()

    async def push(self, *args: Any, **named: Any) -> Any:
        """Queue an event."""
        try:
            return await super().push(*args, **named)
        finally:
            self._changed.set()

    async def process_events(self, *args: Any, **named: Any) -> None:
        """Run events to their end, which makes room for others."""
        try:
            await super().process_events(*args, **named)
        finally:
            self._changed.set()

    def close(self) -> None:
        """End the processing."""
        super().close()  # type: ignore[no-untyped-call]
        self._changed.set()

    async def start_processing(self) -> None:
        """Start events as soon as their concurrency limits allow."""
        try:
            while not self.stopped:
                self._changed.clear()
                while self._start_next():
                    pass
                await self._changed.wait()
        finally:
            self.stopped = True
            self._cancel_asyncio_tasks()  # type: ignore[no-untyped-call]

    async def start_progress_updates(self) -> None:
        """Do nothing: no event of the page shows progress."""

    def _start_next(self) -> bool:
        """Start the next events, and return whether there were any."""
        found = self.get_events() if None in self.active_jobs else None
        if found is None:
            return False
        events, is_batch, concurrency_id = found
        function, started_at = events[0].fn, time.time()
        self.active_jobs[self.active_jobs.index(None)] = events
        queue = self.event_queue_per_concurrency_id[concurrency_id]
        queue.current_concurrency += 1
        queue.start_times_per_fn[function].add(started_at)
        task = run_coro_in_background(self.process_events, events, is_batch, started_at, function)
        set_task_name(task, events[0].session_hash, function._id, events[0]._id, is_batch)  # noqa: SLF001
        self._asyncio_tasks.add(task)
        task.add_done_callback(self._asyncio_tasks.discard)
        if self.live_updates:
            self.broadcast_estimations(concurrency_id)
        return True

    # -- Sessions ----------------------------------------------------------------------------------

    def send_message(self, event: Event, event_message: Any) -> None:
        """Send a message; the events of a session that reads none of many end at their next step."""
        unread = self.pending_messages_per_session.get(event.session_hash)
        if unread is None:  # the session was forgotten
            event.alive = False
            return
        super().send_message(event, event_message)
        if unread.qsize() >= MAX_UNREAD_MESSAGES:
            event.alive = False

    def is_read(self, session: str) -> bool:
        """Whether somebody reads a session's messages, as far as can be told."""
        unread = self.pending_messages_per_session.get(session)
        return unread is None or unread.qsize() < MAX_UNREAD_MESSAGES

    def pending_of(self, address: str) -> int:
        """Return how many events of an address wait or run."""
        return sum(
            event.request.client is not None and event.request.client.host == address
            for event in self._pending()
        )

    def forget(self, session: str) -> None:
        """End a session's events, and drop its messages."""
        for event in [event for event in self._pending() if event.session_hash == session]:
            event.alive = False
            waiting = self.event_queue_per_concurrency_id[event.concurrency_id].queue
            if event in waiting:
                waiting.remove(event)
                self.event_ids_to_events.pop(event._id, None)  # noqa: SLF001
        self.pending_messages_per_session.pop(session, None)
        self.pending_event_ids_session.pop(session, None)

    def _pending(self) -> Iterator[Event]:
        for events in self.active_jobs:
            yield from events or ()
        for queue in self.event_queue_per_concurrency_id.values():
            yield from queue.queue
