"""Failover demonstration of three servers behind HAProxy: `script/show-replicas [--model VOICE.onnx]`.

Under load one server is killed and restarted, and another one is stopped gracefully, first with listeners
over Wyoming and then over HTTP. `wyoming-tts bench` adds load, and the demonstration's own listeners are
checked: HAProxy's log says which server each of their requests went to, so every lost request is
checked against the promise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.failover.cluster import (
    LOOPBACK,
    Cluster,
    DemonstrationFailed,
    ProxySession,
    Replica,
    run_cluster,
    wait_until,
    wait_until_up,
)
from bench.failover.listeners import (
    LISTENERS,
    Listener,
    ListenerLoad,
    RequestRecord,
    run_listeners,
    speak_over_http,
    speak_over_wyoming,
)

_BENCH_LISTENERS = 2
_BENCH_ROUNDS = 4
_IN_FLIGHT = 2
"""Least number of utterances that a server is speaking when it is killed."""
_ENOUGH = 2 * LISTENERS
"""Number of finished requests after which an effect counts as observed."""


@dataclass(frozen=True, slots=True)
class DemonstratedProtocol:
    """A protocol of the listeners."""

    name: str
    scheme: str
    backend: str
    listener: Listener
    bench_scheme: str
    """Scheme for `wyoming-tts bench`, of a protocol with streamed text, which keeps requests in flight."""


PROTOCOLS = (
    DemonstratedProtocol("Wyoming", "tcp", "wyoming_servers", speak_over_wyoming, "tcp"),
    DemonstratedProtocol("HTTP", "http", "speech_servers", speak_over_http, "ws"),
)


@dataclass(frozen=True, slots=True)
class ServerKill:
    """A killed server; times by `time.monotonic`."""

    server: str
    at: float
    gone_at: float
    """When the process was gone: until then the kernel still accepts connections for it."""


class FailoverDemonstration:
    """Runs the demonstration over one protocol, and prints each promise as `ok` or as `BROKEN`."""

    def __init__(self, cluster: Cluster, protocol: DemonstratedProtocol, directory: Path) -> None:
        self._cluster = cluster
        self._protocol = protocol
        self._directory = directory
        balancer = cluster.balancer
        self._port = balancer.port if protocol.scheme == "tcp" else balancer.http_port
        self.broken = 0

    async def run(self) -> None:
        """Kill a server, restart it, and stop another one, under load."""
        first, second, _ = self._cluster.replicas
        print(
            f"\n{self._protocol.name}: {LISTENERS} listeners, and {_BENCH_LISTENERS} of `wyoming-tts bench`"
        )
        async with run_listeners(self._protocol.listener, self._port) as load:
            bench = await self._start_bench()
            try:
                await self._kill_server(load, first, bench)
            finally:
                if bench.returncode is None:
                    bench.kill()
                    await bench.wait()
            await self._restart_server(load, first)
            await self._stop_server(load, second)

    async def _kill_server(self, load: ListenerLoad, killed: Replica, bench: Process) -> None:
        connections, streams = await self._until_speaking(load, killed)
        killed_at = time.monotonic()
        await killed.end(signal.SIGKILL)
        kill = ServerKill(killed.name, killed_at, time.monotonic())
        print(
            f"   {killed.name} spoke {streams}, HAProxy had {connections} connections open to it: SIGKILL, "
            f"gone {kill.gone_at - killed_at:.3f} s later"
        )
        if bench.returncode is not None:
            raise DemonstrationFailed("The benchmark was over before a server was killed.")
        await load.wait_until(
            lambda: len(load.since(kill.gone_at)) >= _ENOUGH, "new utterances after the kill"
        )
        await bench.wait()
        await load.wait_until(lambda: _all_before(load, kill.gone_at), "the end of those before the kill")
        seen = load.finished
        await load.wait_until(lambda: all(map(self._session, seen)), "the connections in HAProxy's log")
        self._check_lost(load, kill)
        self._check_new(load, kill)
        self._check_bench(load, kill)

    def _check_lost(self, load: ListenerLoad, kill: ServerKill) -> None:
        before = [each for each in load.finished if each.began <= kill.gone_at]
        open_then = [each for each in before if each.ended is not None and each.ended > kill.at]
        on_killed = [each for each in open_then if self._server(each) == kill.server]
        lost = [each for each in before if each.failure]
        redispatched_ok = [each for each in open_then if self._is_redispatched(each) and not each.failure]
        dying = sum(each.began > kill.at for each in lost)
        print(
            f"   spoken {len(before) - len(lost)}; in flight {len(open_then)}, "
            f"on {kill.server} {len(on_killed)}; lost {len(lost)} ({dying} of them taken while it died); "
            f"spoken by another server instead {len(redispatched_ok)}"
        )
        elsewhere = [each for each in lost if each not in on_killed]
        self._check(
            not elsewhere, f"lost are only utterances in flight on {kill.server}", _failures(elsewhere)
        )
        self._check(on_killed or redispatched_ok, "there were some to lose", "none was in flight there")

    def _check_new(self, load: ListenerLoad, kill: ServerKill) -> None:
        new = load.since(kill.gone_at)
        failed = [each for each in new if each.failure]
        last = max((each.began - kill.gone_at for each in failed), default=0.0)
        slowest = max(each.waited for each in new)
        before = max(each.waited for each in load.finished if each.began <= kill.at and not each.failure)
        redispatched = sum(map(self._is_redispatched, new))
        print(
            f"   new after the kill: {len(new)}, failed {len(failed)}, "
            f"refused there and sent on {redispatched}; "
            f"the first began {new[0].began - kill.gone_at:.3f} s after it; "
            f"slowest first audio {slowest:.2f} s (before {before:.2f} s)"
        )
        self._check(
            not failed,
            "all new ones are served from then on",
            f"only after {last:.2f} s: {_failures(failed)}",
        )

    def _check_bench(self, load: ListenerLoad, kill: ServerKill) -> None:
        outcomes = self._bench_outcomes()
        ours = {each.port for each in load.requests}
        cut = sum(
            each.server == kill.server and each.began <= kill.gone_at and each.ended >= kill.at
            for each in self._cluster.balancer.sessions.values()
            if each.port not in ours
        )
        lost = sum(outcomes.values()) - outcomes["spoken"]
        print(f"   `wyoming-tts bench`: {dict(outcomes)}; it had {cut} in flight on {kill.server}")
        self._check(
            lost <= cut and outcomes["spoken"], "the benchmark lost no others either", f"{lost} > {cut}"
        )

    async def _restart_server(self, load: ListenerLoad, killed: Replica) -> None:
        started_at = time.monotonic()
        await killed.start()
        await wait_until_up(self._cluster.balancer, self._protocol.backend, killed.name)
        up_at = time.monotonic()
        await load.wait_until(
            lambda: self._spoken_by(load, killed, up_at) >= _IN_FLIGHT, f"{killed.name} being used"
        )
        used_after = time.monotonic() - up_at
        failed = [each for each in load.since(started_at) if each.failure]
        promise = (
            f"{killed.name} is back {up_at - started_at:.1f} s after its start, "
            f"and has spoken {_IN_FLIGHT} more {used_after:.1f} s later"
        )
        self._check(not failed, promise, _failures(failed))

    async def _stop_server(self, load: ListenerLoad, leaving: Replica) -> None:
        _, streams = await self._until_speaking(load, leaving)
        stopped_at = time.monotonic()
        code = await leaving.end(signal.SIGTERM)
        took = time.monotonic() - stopped_at
        await load.wait_until(lambda: len(load.since(stopped_at)) >= _ENOUGH, "new utterances after the stop")
        await load.wait_until(lambda: _all_before(load, stopped_at), "the end of those before the stop")
        failed = [each for each in load.finished if each.failure and (each.ended or 0) > stopped_at]
        self._check(
            not failed and code == 0,
            f"{leaving.name}, stopped by SIGTERM while it spoke {streams}, took {took:.1f} s; nothing lost",
            f"exit code {code}, {_failures(failed)}",
        )
        await leaving.start()
        await wait_until_up(self._cluster.balancer, self._protocol.backend, leaving.name)

    async def _until_speaking(self, load: ListenerLoad, replica: Replica) -> tuple[int, int]:
        """Wait until a server is busy; returns HAProxy's open connections to it, and its utterances."""
        await load.wait_until(lambda: len(load.finished) >= _IN_FLIGHT, "utterances")
        connections = streams = 0

        async def is_speaking() -> bool:
            nonlocal connections, streams
            connections = await self._cluster.balancer.open_sessions(self._protocol.backend, replica.name)
            streams = await replica.streams()
            return min(connections, streams) >= _IN_FLIGHT

        await wait_until(is_speaking, f"{replica.name} never spoke {_IN_FLIGHT} utterances at a time.")
        return connections, streams

    async def _start_bench(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "wyoming_tts",
                "bench",
                f"{self._protocol.bench_scheme}://{LOOPBACK}:{self._port}",
            ),
            *("--text", "paragraph", "--input", "stream", "--describe-every", "0"),
            *("--clients", str(_BENCH_LISTENERS), "--rounds", str(_BENCH_ROUNDS)),
            *("--json", str(self._bench_file)),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )

    @property
    def _bench_file(self) -> Path:
        return self._directory / f"bench-{self._protocol.scheme}.json"

    def _bench_outcomes(self) -> Counter[str]:
        measured = json.loads(self._bench_file.read_text("utf-8"))
        return sum((Counter(load["outcomes"]) for load in measured["loads"]), Counter())

    def _session(self, utterance: RequestRecord) -> ProxySession | None:
        return self._cluster.balancer.sessions.get(utterance.port)

    def _server(self, utterance: RequestRecord) -> str:
        session = self._session(utterance)
        return "" if session is None else session.server

    def _is_redispatched(self, utterance: RequestRecord) -> bool:
        session = self._session(utterance)
        return session is not None and session.is_redispatched

    def _spoken_by(self, load: ListenerLoad, replica: Replica, since: float) -> int:
        return sum(self._server(each) == replica.name and not each.failure for each in load.since(since))

    def _check(self, is_so: object, promise: str, instead: str = "") -> None:
        self.broken += not is_so
        print(f"ok {promise}" if is_so else f"BROKEN {promise}: {instead}", flush=True)


def _all_before(load: ListenerLoad, moment: float) -> bool:
    return all(each.ended is not None for each in load.requests if each.began <= moment)


def _failures(utterances: Sequence[RequestRecord]) -> str:
    return f"{len(utterances)} failed: {sorted({each.failure for each in utterances})}"


async def demonstrate(model: Path | None, protocols: Sequence[DemonstratedProtocol]) -> int:
    """Demonstrate failover over each protocol; returns the number of broken promises."""
    broken = 0
    with tempfile.TemporaryDirectory(prefix="replicas-") as name:
        async with run_cluster(model, Path(name)) as cluster:
            voice = model.stem if model else "a test voice"
            print(f"ok {len(cluster.replicas)} servers run behind HAProxy; {voice} speaks")
            for protocol in protocols:
                turn = FailoverDemonstration(cluster, protocol, Path(name))
                await turn.run()
                broken += turn.broken
            print("\n" + "\n".join(f"   HAProxy: {line}" for line in cluster.balancer.news))
    return broken


def main() -> int:
    """Run the demonstration; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="script/show-replicas", description=__doc__)
    parser.add_argument(
        "--model", type=Path, help="a Piper voice (NAME.onnx) to speak with; else one of the tests'"
    )
    names = [protocol.scheme for protocol in PROTOCOLS]
    parser.add_argument("--only", choices=names, help="the listeners' protocol; both if left out")
    arguments = parser.parse_args()
    model = arguments.model.resolve() if arguments.model else None
    try:
        broken = asyncio.run(
            demonstrate(model, [each for each in PROTOCOLS if arguments.only in {None, each.scheme}])
        )
    except DemonstrationFailed as error:
        print(f"BROKEN {error}")
        return 1
    print(f"{broken} promises are broken." if broken else "Every promise holds.")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
