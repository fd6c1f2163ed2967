"""Scenes in which a server goes while it speaks: killed, and stopped politely.

HAProxy's log says which server each request went to, so every lost request is checked against the promise.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench.failover.cluster import VOICES, Cluster, ProxySession, Replica, wait_until, wait_until_up
from bench.failover.listeners import (
    Listener,
    ListenerLoad,
    RequestRecord,
    run_listeners,
    speak_long_over_http,
    speak_over_wyoming,
)
from bench.failover.report import Report

_LISTENERS = 4
"""Of each protocol; each sends its next request once the last one has ended."""
_IN_FLIGHT = 2
"""Least number of utterances that a server is speaking when it goes."""
_ENOUGH = 2 * _LISTENERS
"""Number of finished requests after which an effect counts as observed."""
_SPEAKING = ("wyoming_servers", "speech_servers")


@dataclass(frozen=True, slots=True)
class ServerKill:
    """A killed server; times by `time.monotonic`."""

    server: str
    at: float
    gone_at: float
    """When the process was gone: until then the kernel still accepts connections for it."""


async def show_losses(cluster: Cluster, report: Report) -> None:
    """Kill a server that speaks, start it again, and stop another one."""
    balancer = cluster.balancer
    listeners: list[Listener] = [partial(speak_over_wyoming, balancer.port) for _ in range(_LISTENERS)]
    listeners += [
        partial(speak_long_over_http, balancer.http_port, voice) for voice in VOICES[1 : 1 + _LISTENERS]
    ]
    async with run_listeners(listeners) as load:
        scenes = _GoingServers(cluster, report, load)
        report.scene(f"kill -9 in mid-speech: {_LISTENERS} listeners over Wyoming and {_LISTENERS} over HTTP")
        killed = await scenes.kill()
        await scenes.restart(killed)
        report.scene("Drain: SIGTERM in mid-speech, the same listeners")
        await scenes.stop()


class _GoingServers:
    """The scenes, under one load."""

    def __init__(self, cluster: Cluster, report: Report, load: ListenerLoad) -> None:
        self._cluster = cluster
        self._report = report
        self._load = load

    async def kill(self) -> Replica:
        """Kill the server that speaks most."""
        killed, speaking = await self._until_speaking()
        killed_at = time.monotonic()
        await killed.end(signal.SIGKILL)
        kill = ServerKill(killed.name, killed_at, time.monotonic())
        self._report.measured(
            f"{killed.name} had {speaking} open connections that speak: SIGKILL, "
            f"gone {1000 * (kill.gone_at - killed_at):.0f} ms later"
        )
        await self._load.wait_until(
            lambda: len(self._load.since(kill.gone_at)) >= _ENOUGH, "new utterances after the kill"
        )
        await self._load.wait_until(partial(self._all_before, kill.gone_at), "the end of those before")
        seen = self._load.finished
        await self._load.wait_until(lambda: all(map(self._session, seen)), "the connections in HAProxy's log")
        self._check_lost(kill)
        self._check_new(kill)
        return killed

    async def restart(self, killed: Replica) -> None:
        """Start it again."""
        started_at = time.monotonic()
        await killed.start()
        await wait_until_up(self._cluster.balancer, killed.name)
        up_at = time.monotonic()
        await self._load.wait_until(
            lambda: self._spoken_by(killed, up_at) >= _IN_FLIGHT, f"{killed.name} being used"
        )
        used_after = time.monotonic() - up_at
        failed = [each for each in self._load.since(started_at) if each.failure]
        promise = (
            f"{killed.name} is back {up_at - started_at:.1f} s after its start, "
            f"and has spoken {_IN_FLIGHT} more {used_after:.1f} s later"
        )
        self._report.check(not failed, promise, _failures(failed))

    async def stop(self) -> None:
        """Stop the server that speaks most."""
        leaving, speaking = await self._until_speaking()
        stopped_at = time.monotonic()
        code = await leaving.end(signal.SIGTERM)
        left_at = time.monotonic()
        await self._load.wait_until(
            lambda: len(self._load.since(stopped_at)) >= _ENOUGH, "new utterances after the stop"
        )
        await self._load.wait_until(partial(self._all_before, stopped_at), "the end of those before")
        affected = [each for each in self._load.finished if (each.ended or 0) > stopped_at]
        failed = [each for each in affected if each.failure]
        self._report.measured(
            f"{leaving.name} had {speaking} open connections that speak: SIGTERM, "
            f"it ended them and left {left_at - stopped_at:.1f} s later; "
            f"{len(affected)} utterances from then on, {len(failed)} failed"
        )
        self._report.check(
            not failed and code == 0,
            "nothing is lost when a server is stopped",
            f"exit code {code}, {_failures(failed)}",
        )

    def _check_lost(self, kill: ServerKill) -> None:
        before = [each for each in self._load.finished if each.began <= kill.gone_at]
        open_then = [each for each in before if each.ended is not None and each.ended > kill.at]
        on_killed = [each for each in open_then if self._server(each) == kill.server]
        lost = [each for each in before if each.failure]
        redispatched_ok = [each for each in open_then if self._is_redispatched(each) and not each.failure]
        self._report.measured(
            f"in flight {len(open_then)}, of them on {kill.server} {len(on_killed)}; lost {len(lost)}; "
            f"spoken by another server instead {len(redispatched_ok)}; "
            f"before that {len(before) - len(open_then)} spoken"
        )
        elsewhere = [each for each in lost if each not in on_killed]
        self._report.check(
            not elsewhere, f"lost are only utterances in flight on {kill.server}", _failures(elsewhere)
        )
        self._report.check(
            on_killed or redispatched_ok, "there were some to lose", "none was in flight there"
        )

    def _check_new(self, kill: ServerKill) -> None:
        new = self._load.since(kill.gone_at)
        failed = [each for each in new if each.failure]
        last = max((each.began - kill.gone_at for each in failed), default=0.0)
        slowest = max(each.waited for each in new)
        earlier = [each for each in self._load.finished if each.began <= kill.at and not each.failure]
        before = max((each.waited for each in earlier), default=0.0)
        redispatched = sum(map(self._is_redispatched, new))
        self._report.measured(
            f"new after the kill {len(new)}, failed {len(failed)}, refused there and sent on {redispatched}; "
            f"the first began {1000 * (new[0].began - kill.gone_at):.0f} ms after it; "
            f"slowest first audio {slowest:.2f} s (before {before:.2f} s)"
        )
        self._report.check(
            not failed,
            "all new ones are served from then on",
            f"only after {last:.2f} s: {_failures(failed)}",
        )

    async def _until_speaking(self) -> tuple[Replica, int]:
        """Wait until a server is busy; returns the one that speaks most, and its open connections."""
        await self._load.wait_until(lambda: len(self._load.finished) >= _IN_FLIGHT, "utterances")
        busiest, most = self._cluster.replicas[0], 0

        async def is_speaking() -> bool:
            nonlocal busiest, most
            counts = {replica.name: await self._connections(replica) for replica in self._cluster.replicas}
            busiest = max(self._cluster.replicas, key=lambda replica: counts[replica.name])
            most = counts[busiest.name]
            return min(most, await busiest.streams()) >= _IN_FLIGHT

        await wait_until(is_speaking, f"No server spoke {_IN_FLIGHT} utterances at a time.")
        return busiest, most

    async def _connections(self, replica: Replica) -> int:
        balancer = self._cluster.balancer
        return sum([await balancer.open_sessions(backend, replica.name) for backend in _SPEAKING])

    def _all_before(self, moment: float) -> bool:
        return all(each.ended is not None for each in self._load.requests if each.began <= moment)

    def _session(self, utterance: RequestRecord) -> ProxySession | None:
        return self._cluster.balancer.sessions.get(utterance.port)

    def _server(self, utterance: RequestRecord) -> str:
        session = self._session(utterance)
        return "" if session is None else session.server

    def _is_redispatched(self, utterance: RequestRecord) -> bool:
        session = self._session(utterance)
        return session is not None and session.is_redispatched

    def _spoken_by(self, replica: Replica, since: float) -> int:
        finished = self._load.since(since)
        return sum(self._server(each) == replica.name and not each.failure for each in finished)


def _failures(utterances: Sequence[RequestRecord]) -> str:
    return f"{len(utterances)} failed: {sorted({each.failure for each in utterances})}"
