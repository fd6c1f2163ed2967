"""Scenes of who is sent where: sound passes, voices stay, a cache is shared, a busy server is spared."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from functools import partial
from statistics import median
from typing import Any

import httpx

from bench.failover.cluster import (
    COSTLY_VOICE,
    PATIENCE,
    VOICES,
    Cluster,
    DemonstrationFailed,
    Replica,
    wait_until,
)
from bench.failover.listeners import RequestRecord, request_speech, speak_over_wyoming
from bench.failover.report import Report

_ROUNDS = 5
_ADDED_SECONDS = 0.1
"""Most that HAProxy may add to the first audio: half of what Linux holds back of a corked connection."""
_BUSY_WEIGHT = 8
"""A weight of 100 is that of an idle server."""
_FILLING = 24
"""Streams that keep a server busy."""
_NEWCOMERS = 20


async def show_passing(cluster: Cluster, report: Report) -> None:
    """Compare the first audio with that of a server that is asked directly."""
    report.scene("Sound passes while it is made")
    text = "Number {}: " + "a sentence that is long enough to be made in more than one piece, " * 6
    long_text = " ".join(
        f"Sentence {number} of a text that is longer than a server runs ahead." for number in range(12)
    )
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(_ROUNDS):
        for way, port in (
            ("directly", cluster.replicas[0].http_port),
            ("through HAProxy", cluster.balancer.http_port),
        ):
            record = await request_speech(port, text.format(f"{number} {way}"), voice=VOICES[0])
            if record.failure:
                raise DemonstrationFailed(f"Nothing was spoken {way}: {record.failure}")
            seconds[way].append(record.waited)
    direct, passed = (min(seconds[way]) for way in ("directly", "through HAProxy"))
    report.measured(
        f"first audio over HTTP, best and median of {_ROUNDS}: "
        + ", ".join(
            f"{way} {1000 * min(all_):.0f}, {1000 * median(all_):.0f} ms" for way, all_ in seconds.items()
        )
    )
    whole = await request_speech(cluster.balancer.http_port, long_text, voice=VOICES[0])
    report.measured(
        f"of a long text the first audio is here after {1000 * whole.waited:.0f} ms, "
        f"the last after {_lasted(whole):.1f} s"
    )
    report.check(
        passed - direct < _ADDED_SECONDS,
        f"HAProxy adds less than {1000 * _ADDED_SECONDS:.0f} ms",
        f"it adds {1000 * (passed - direct):.0f} ms",
    )


async def show_affinity(cluster: Cluster, report: Report) -> None:
    """Ask for each voice several times; HAProxy's log says who spoke."""
    report.scene(f"A voice stays where it is: {len(VOICES)} voices, each asked for {_ROUNDS} times over HTTP")
    servers: dict[str, Counter[str]] = defaultdict(Counter)
    for number in range(_ROUNDS):
        for voice in VOICES:
            record = await request_speech(cluster.balancer.http_port, f"Request {number} of it.", voice=voice)
            servers[voice][await _server_of(cluster, record)] += 1
    homes = Counter(counted.most_common(1)[0][0] for counted in servers.values())
    loaded = {replica.name: len((await replica.status())["models"]) for replica in cluster.replicas}
    report.measured(
        ", ".join(
            f"{name} speaks {homes[name]} of them and has {count} models in memory"
            for name, count in loaded.items()
        )
    )
    moved = {voice: dict(counted) for voice, counted in servers.items() if len(counted) > 1}
    report.check(not moved, "each voice is spoken by one server", str(moved))
    report.check(
        sum(loaded.values()) <= len(VOICES) + 2 * len(cluster.replicas),
        f"the servers together hold few more models than there are voices ({sum(loaded.values())})",
        f"they hold {sum(loaded.values())}, without a voice's own server it would be "
        f"{len(VOICES) * len(cluster.replicas)}",
    )


async def show_shared_cache(cluster: Cluster, report: Report) -> None:
    """Say a text at one server, and the same at the others."""
    report.scene("The cache is shared: said once at one server, asked for at the others")
    if not cluster.has_cache:
        report.measured("left out: redis-server is not installed")
        return
    first, *others = cluster.replicas
    for replica in cluster.replicas:
        await wait_until(partial(_uses_cache, replica), f"{replica.name} does not use the cache.")
    text = "The kettle sings while rain walks over the roof. Somebody reads aloud from a long letter."
    before = [await _shared(replica) for replica in cluster.replicas]
    made = await request_speech(first.http_port, text, voice=VOICES[0])

    async def is_written() -> bool:
        return bool((await _shared(first))["writes"] > before[0]["writes"])

    await wait_until(is_written, "Nothing was written into the cache.")
    heard = [await request_speech(each.http_port, text, voice=VOICES[0]) for each in others]
    after = [await _shared(replica) for replica in others]
    hits = [now["hits"] - then["hits"] for now, then in zip(after, before[1:], strict=True)]
    misses = [now["misses"] - then["misses"] for now, then in zip(after, before[1:], strict=True)]
    for replica, record, found, missed in zip(others, heard, hits, misses, strict=True):
        report.measured(
            f"{replica.name}: {found} segments found, {missed} not; the whole after "
            f"{1000 * _lasted(record):.0f} ms (where it was made {1000 * _lasted(made):.0f} ms)"
        )
    report.check(
        all(hits) and not any(misses),
        "what one server made the others need not make again",
        f"{hits}, {misses}",
    )
    sizes = {record.audio_bytes for record in (made, *heard)}
    report.check(len(sizes) == 1 and made.audio_bytes, "all of them say the same", f"{sizes} bytes")


async def show_busy_server(cluster: Cluster, report: Report) -> None:
    """Give one server much to do past HAProxy, and see who is sent there."""
    busy = cluster.replicas[-1]
    report.scene(f"A busy server attracts nobody: {busy.name} is asked for much past HAProxy")
    filling = [asyncio.create_task(_listen_long(busy, number)) for number in range(_FILLING)]
    try:
        weight = await _until_busy(cluster, busy)
        others = [
            await cluster.balancer.weight("wyoming_servers", each.name) for each in cluster.replicas[:-1]
        ]
        report.measured(
            f"{_FILLING} long streams of a voice that takes long: "
            f"its weight is {weight}, of the others {others}"
        )
        await _check_newcomers(cluster, report, busy)
        weight = await cluster.balancer.weight("wyoming_servers", busy.name)
        is_up = await cluster.balancer.is_up("wyoming_servers", busy.name)
        report.measured(
            f"then its weight is {weight}, and its health checks {'pass' if is_up else 'time out'}"
        )
    finally:
        for task in filling:
            task.cancel()
        await asyncio.gather(*filling, return_exceptions=True)


async def _until_busy(cluster: Cluster, busy: Replica) -> int:
    """Wait until HAProxy has heard that hardly anything of a server is free, or got no answer in time."""
    weight = 100

    async def is_busy() -> bool:
        nonlocal weight
        weight = await cluster.balancer.weight("wyoming_servers", busy.name)
        return weight <= _BUSY_WEIGHT or not await cluster.balancer.is_up("wyoming_servers", busy.name)

    await wait_until(is_busy, f"{busy.name} keeps its weight.")
    return weight


async def _listen_long(busy: Replica, listener: int) -> None:
    text = " ".join(
        f"Sentence {each} of {listener} goes on for a while and then ends." for each in range(150)
    )
    body = {"input": text, "voice": COSTLY_VOICE, "response_format": "pcm"}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client,
        client.stream("POST", f"{busy.url}/v1/audio/speech", json=body) as response,
    ):
        async for _ in response.aiter_raw():
            pass


async def _check_newcomers(cluster: Cluster, report: Report, busy: Replica) -> None:
    """Send requests one after the other, over Wyoming and with all voices over HTTP."""
    balancer = cluster.balancer
    counted: dict[str, Counter[str]] = {"Wyoming": Counter(), "HTTP": Counter()}
    records: list[RequestRecord] = []
    for number in range(_NEWCOMERS):
        record = RequestRecord(time.monotonic())
        await speak_over_wyoming(balancer.port, f"Newcomer {number}.", record)
        counted["Wyoming"][await _server_of(cluster, record)] += 1
        voice = VOICES[number % len(VOICES)]
        other = await request_speech(balancer.http_port, f"Newcomer {number}.", voice=voice)
        counted["HTTP"][await _server_of(cluster, other)] += 1
        records += [record, other]
    for protocol, servers in counted.items():
        report.measured(f"{_NEWCOMERS} newcomers over {protocol}: {dict(sorted(servers.items()))}")
    slowest = max(record.waited for record in records)
    refused = [record.failure for record in records if record.failure]
    report.measured(f"slowest first audio of a newcomer {1000 * slowest:.0f} ms")
    report.check(not refused, "no newcomer is refused", str(refused))
    there = sum(servers[busy.name] for servers in counted.values())
    report.check(
        there <= 2 * _NEWCOMERS // 10,
        f"of {2 * _NEWCOMERS} newcomers {there} were sent to it, by turns it would be {2 * _NEWCOMERS // 3}",
        f"{there} of {2 * _NEWCOMERS} were sent to {busy.name}",
    )


async def _server_of(cluster: Cluster, record: RequestRecord) -> str:
    """The server that HAProxy sent a request to, once that is in its log."""
    sessions = cluster.balancer.sessions

    async def is_logged() -> bool:
        return record.port in sessions

    await wait_until(is_logged, "A request is not in HAProxy's log.")
    return sessions[record.port].server


async def _uses_cache(replica: Replica) -> bool:
    """Whether it reads from the cache: a voice's files are read when it first speaks."""
    await request_speech(replica.http_port, f"Only {replica.name} says {time.monotonic()}.", voice=VOICES[0])
    return bool((await _shared(replica))["misses"])


async def _shared(replica: Replica) -> Any:
    return (await replica.status())["cache"]["shared"]


def _lasted(record: RequestRecord) -> float:
    return (record.ended or time.monotonic()) - record.began
