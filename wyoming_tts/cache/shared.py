"""The shared tier of the cache: a server that many machines ask, and that may be lost at any time.

Nobody waits for it: what is not answered within GET_SECONDS is a miss, and after a few failures in a row
nothing is asked any more (a circuit breaker) until a task in the background has had an answer. Entries are
written in the background as well; those that the server does not take in time are dropped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from wyoming_tts.backoff import Backoff
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.cache.entries import CachedSegment
from wyoming_tts.cache.entry_format import BrokenEntry, decode, encode, entry_bytes

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

GET_SECONDS: Final = 0.02
"""How long a listener waits for an answer; one of a server in the same network takes about a millisecond."""
LARGEST_BYTES: Final = 1024 * 1024
"""Of an entry, about 20 s of speech: a network of 1 Gbit/s brings it in half of GET_SECONDS."""
_FAILURES_IN_A_ROW = 3
"""After which nothing is asked: each has cost a listener GET_SECONDS at most."""
_BACKOFF = Backoff(first_delay=1.0, max_delay=30.0)
"""Between two tries to have an answer again."""
_CONNECT_SECONDS = 2.0
_WRITE_SECONDS = 2.0
_PENDING_BYTES = 8 * 1024 * 1024
"""Entries that may wait to be written, three minutes of speech."""
_REFUSED_SECONDS = 30.0
"""How long nothing is written to a server that said that it takes nothing, as it is full or read-only."""
_CLOSE_SECONDS = 1.0
_LOG_SECONDS = 60.0
"""Between two log lines about failures."""
KEY_PREFIX: Final = "wyoming-tts:segment:"
"""Of every key: the server may hold other things, too."""
_PROBED = "wyoming-tts:probe"
"""A key that nobody sets."""


class StoreFailed(Exception):
    """The server did not answer, or not as it should."""


class StoreRefused(StoreFailed):
    """The server answered that it does not do this: it is full or read-only, or forbids it."""


class Store(Protocol):
    """A client of the server. Every method may raise StoreFailed."""

    def look_up(self) -> None:
        """Look the server's name up. Blocks, for as long as a name server takes."""
        ...

    async def get(self, key: str) -> bytes | None:
        """Return the value of a key, None if it has none."""
        ...

    async def set(self, key: str, value: bytes) -> None:
        """Give a key a value."""
        ...

    async def reset(self) -> None:
        """Close the connections that are not in use, which may be dead."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


@dataclass(frozen=True, slots=True)
class SharedStatistics:
    """What became of questions and writes since the start."""

    server: str
    """Its address, without a password."""
    is_usable: bool
    """Whether it is asked: false from a few failures in a row until it answers again."""
    hits: int
    misses: int
    """Segments that it did not have."""
    errors: int
    """Answers that were late, wrong or none."""
    writes: int
    writes_dropped: int
    """Entries that it did not get, because it was too slow, full or away."""


class SharedTier:
    """Entries on a server that other machines use as well, between `open` and `close`."""

    def __init__(
        self,
        make_store: Callable[[], Store],
        server: str,
        *,
        run_blocking: RunBlocking,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Do nothing yet.

        Args:
            make_store: Makes the client of the server. May block, as for reading certificates; connects to
                nothing; may raise StoreFailed.
            server: How to name the server, without its password.
            run_blocking: Runs `make_store`.
            clock: Monotonic time in seconds.
        """
        self._make_store = make_store
        self._server = server
        self._run_blocking = run_blocking
        self._clock = clock
        self._store: Store | None = None
        self._unusable = asyncio.Event()
        """Set while nothing is asked: before the first answer, and after failures in a row."""
        self._unusable.set()
        self._failures = 0
        """In a row."""
        self._answered = self._misses = self._hits = self._errors = self._writes = self._dropped = 0
        self._pending: asyncio.Queue[tuple[str, CachedSegment]] = asyncio.Queue()
        self._pending_bytes = 0
        self._refuses_until: float | None = None
        self._told_at: float | None = None
        self._is_told = False
        """Whether the last that the log says of the server is that it cannot be used."""
        self._tasks: list[asyncio.Task[None]] = []
        self._asking: set[asyncio.Future[Any]] = set()

    @property
    def is_usable(self) -> bool:
        """Whether it is asked."""
        return not self._unusable.is_set()

    def open(self) -> None:
        """Begin to connect and to write, in the background."""
        self._tasks = [
            asyncio.create_task(self._stay_usable(), name="shared cache"),
            asyncio.create_task(self._write_behind(), name="writing to the shared cache"),
        ]

    async def close(self) -> None:
        """Write what is pending, for a second at most, and close the connections."""
        tasks, self._tasks = self._tasks, []
        if not tasks:
            return
        if self.is_usable:
            pending = asyncio.create_task(self._pending.join())
            tasks.append(pending)
            await asyncio.wait([pending], timeout=_CLOSE_SECONDS)
        self._unusable.set()
        for task in (*tasks, *self._asking):
            task.cancel()
        await asyncio.wait([*tasks, *self._asking], timeout=_CLOSE_SECONDS)
        if self._store is not None:
            await asyncio.wait([asyncio.create_task(self._close_store(self._store))], timeout=_CLOSE_SECONDS)

    async def flush(self) -> None:
        """Wait until everything pending is written or dropped."""
        if self._tasks:
            await self._pending.join()

    async def read(self, name: str) -> CachedSegment | None:
        """Return the entry; None if there is none, it is broken, or there is no answer in time."""
        if self._store is None or not self.is_usable:
            return None
        try:
            content = await self._answer(self._store.get(KEY_PREFIX + name), GET_SECONDS)
        except StoreFailed as error:
            self._on_failure(error)
            return None
        self._failures = 0
        self._answered += 1
        if content is None:
            self._misses += 1
            return None
        try:
            segment = decode(name, content)
        except BrokenEntry as error:  # it is replaced when the segment is computed
            self._errors += 1
            self._tell("The shared cache at %s has a broken entry, %s: %s.", self._server, name, error)
            return None
        self._hits += 1
        return segment

    def write_later(self, name: str, segment: CachedSegment) -> None:
        """Queue the entry to be written; it is dropped if the queue is full or the server cannot be used."""
        size = entry_bytes(segment)
        if size > LARGEST_BYTES or not self._tasks:
            return
        if not self._takes_entries() or self._pending_bytes + size > _PENDING_BYTES:
            self._dropped += 1
            return
        self._pending_bytes += size
        self._pending.put_nowait((name, segment))

    def statistics(self) -> SharedStatistics:
        """Return the counters."""
        return SharedStatistics(
            server=self._server,
            is_usable=self.is_usable,
            hits=self._hits,
            misses=self._misses,
            errors=self._errors,
            writes=self._writes,
            writes_dropped=self._dropped,
        )

    async def _stay_usable(self) -> None:
        """Ask until there is an answer; then let listeners ask until they have none. For ever."""
        failures = 0
        while True:
            try:
                await self._connect()
            except StoreFailed as error:
                failures += 1
                self._errors += 1
                self._tell_unusable(error)
            else:
                answered = self._answered
                self._use()
                await self._unusable.wait()
                failures = failures + 1 if self._answered == answered else 1
            await asyncio.sleep(_BACKOFF.delay(failures))

    async def _connect(self) -> None:
        if self._store is None:
            try:
                self._store = await self._run_blocking(self._make_store)
            except Exception as error:  # whatever it is, the cache continues without
                raise StoreFailed(str(error)) from error
        # Not on the loop's own threads, which are awaited when the process ends.
        await self._answer(self._run_blocking(self._store.look_up), _CONNECT_SECONDS)
        await self._answer(self._store.reset(), _CONNECT_SECONDS)
        await self._answer(self._store.get(_PROBED), _CONNECT_SECONDS)
        await self._answer(self._store.get(_PROBED), GET_SECONDS)  # a server that is slower is of no use

    def _use(self) -> None:
        self._failures = 0
        self._unusable.clear()
        if self._is_told:
            self._is_told = False
            _LOGGER.info("The shared cache at %s is used again.", self._server)

    def _on_failure(self, error: StoreFailed) -> None:
        self._errors += 1
        self._failures += 1
        if self._failures >= _FAILURES_IN_A_ROW and self.is_usable:
            self._unusable.set()
            self._tell_unusable(error)

    async def _answer(self, asking: Awaitable[T], seconds: float) -> T:
        """Return the answer.

        Raises:
            StoreFailed: it took too long, or is none.
        """
        task = asyncio.ensure_future(asking)
        self._asking.add(task)
        task.add_done_callback(self._on_answer)
        try:
            await asyncio.wait([task], timeout=seconds)
        finally:
            is_late = not task.done()
            task.cancel()  # and not awaited: a client may take its time to close a connection
        if is_late:
            raise StoreFailed(f"no answer within {seconds * 1000:.0f} ms")
        return task.result()

    def _on_answer(self, task: asyncio.Future[Any]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it

    def _takes_entries(self) -> bool:
        if self._refuses_until is not None and self._clock() >= self._refuses_until:
            self._refuses_until = None
        return self.is_usable and self._refuses_until is None

    async def _write_behind(self) -> None:
        while True:
            name, segment = await self._pending.get()
            try:
                await self._write(name, segment)
            finally:
                self._pending_bytes -= entry_bytes(segment)
                self._pending.task_done()

    async def _write(self, name: str, segment: CachedSegment) -> None:
        if self._store is None or not self._takes_entries():
            self._dropped += 1
            return
        try:
            content = b"".join(encode(name, segment))
            await self._answer(self._store.set(KEY_PREFIX + name, content), _WRITE_SECONDS)
        except StoreRefused as error:
            self._dropped += 1
            self._errors += 1
            self._refuses_until = self._clock() + _REFUSED_SECONDS
            self._tell("The shared cache at %s takes no entries: %s.", self._server, error)
        except StoreFailed as error:
            self._dropped += 1
            self._on_failure(error)
        else:
            self._writes += 1

    def _tell_unusable(self, error: StoreFailed) -> None:
        message = "The shared cache at %s cannot be used: %s. Nobody waits for it; it is tried again."
        self._is_told |= self._tell(message, self._server, error)

    def _tell(self, message: str, *values: object) -> bool:
        """Log a line, unless there was one a short while ago; return whether it did."""
        now = self._clock()
        if self._is_told or (self._told_at is not None and now - self._told_at < _LOG_SECONDS):
            return False
        self._told_at = now
        _LOGGER.warning(message, *values)
        return True

    async def _close_store(self, store: Store) -> None:
        try:
            await store.aclose()
        except StoreFailed as error:
            _LOGGER.debug("Closing the shared cache: %s.", error)
