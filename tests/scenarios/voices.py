"""Voice scenarios with real servers and files: interrupted downloads, full disks, kills, copies, deletions.

Each scenario prints its steps, the server's log and its checks, and fails if a check does not hold. Tests run
them, and `script/show-voices` in a terminal. A hub on loopback replaces the real one.
"""

from __future__ import annotations

import asyncio
import re
import resource
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from wyoming.event import Event
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeVoice

from tests.scenarios.concurrent_blend_edits import MIXED, run_concurrent_edits
from tests.scenarios.environment import (
    REPOSITORY,
    TEXT,
    LoggedServer,
    PrintLine,
    ScenarioEnvironment,
    decode_speech,
    fetch_installed_voices,
    fill_file_system,
    request_speech,
    wait_until,
)
from tests.support.fake_hub import Behaviour, FakeHub, Request
from tests.support.tones import LETTERS
from tests.support.wyoming_client import WyomingTestClient

MAX_SECONDS = 2.0
"""Seconds within which a copied voice has to speak."""
_NAME = LETTERS.name
_MODEL = f"{_NAME}.onnx"
_FORGED, _BEHIND_PORTAL, _WANTED = "en_US-forged-low", "en_US-portal-low", "en_US-wanted-low"
_COPIED, _DELETED, _KEPT = "en_US-copied-low", "en_US-deleted-low", "en_US-kept-low"
SHARED = (_FORGED, _BEHIND_PORTAL, _WANTED)
"""Voices to publish before starting a server that several scenarios share."""
_HUGE = 10**15
_BLOCK = 1024 * 1024
"""Bytes of one write to the disk."""
_EDITED_BLEND = re.compile(r"[pt]\d+_\d")

Scenario = Callable[[ScenarioEnvironment], Awaitable[None]]


async def interrupted(env: ScenarioEnvironment) -> None:
    """A download interrupted at 40 % is resumed from there."""
    model = env.publish_voice(_NAME)
    cut = len(model) * 2 // 5
    env.hub.plan.extend([Behaviour(), Behaviour(cut_after=cut)])
    env.log_step(f"the hub will cut the connection after {cut} of the model's {len(model)} bytes")
    async with env.server() as server:
        await server.wait_for_log("is installed and speaks")
        _, first, second = env.log_requests()
        env.check("the first request asks for the whole file", holds="range" not in first.headers)
        _check_resumes(env, second, cut)
        sent = env.hub.body_bytes_sent
        env.check("no byte was sent twice", holds=sent == sum(env.files().values()), got=sent)
        await _check_speaks(env, server)
    _check_installed(env, model)


async def wrong_digest(env: ScenarioEnvironment) -> None:
    """A model with a wrong digest is refused, and the old file stays."""
    model, old = env.publish_voice(_FORGED), b"an older model, whose configuration was lost"
    (env.directory / f"{_FORGED}.onnx").write_bytes(old)
    env.hub.plan.extend([Behaviour(), Behaviour(body=model[:-1] + b"!")])
    env.log_step(
        "an older model is there; the hub will send one of the right size with a different last byte"
    )
    async with env.shared_server() as server:
        await server.request_speech(voice=_FORGED)
        line = await server.wait_for_log(f"{_FORGED} could not be downloaded")
        await _check_gave_way(env, server, _FORGED)
        env.log_requests()
        env.check("the log says what was expected", holds="expected" in line and "discarded" in line)
    env.log_files()
    kept = (env.directory / f"{_FORGED}.onnx").read_bytes()
    env.check("the older model is unchanged", holds=kept == old, got=kept)
    env.check("nothing of the wrong model is left", holds=f"{_FORGED}.onnx.part" not in env.files())


async def web_page(env: ScenarioEnvironment) -> None:
    """The web page of a captive portal is not accepted as a model."""
    env.publish_voice(_BEHIND_PORTAL)
    page = b"<!DOCTYPE html><html><body>Please accept our terms.</body></html>"
    env.hub.plan.extend([Behaviour(), Behaviour(body=page, headers={"Content-Type": "text/html"})])
    env.log_step("a captive portal will answer the request for the model with its own page and status 200")
    async with env.shared_server() as server:
        await server.request_speech(voice=_BEHIND_PORTAL)
        line = await server.wait_for_log(f"{_BEHIND_PORTAL} could not be downloaded")
        await _check_gave_way(env, server, _BEHIND_PORTAL)
        env.log_requests()
        env.check("the log names the portal", holds="web page" in line and "captive portal" in line)
    env.log_files()
    ours = [name for name in env.files() if name.startswith(f"{_BEHIND_PORTAL}.onnx")]
    env.check("nothing of the page is on the disk", holds=ours == [f"{_BEHIND_PORTAL}.onnx.json.part"])


async def too_large(env: ScenarioEnvironment) -> None:
    """A voice without enough free space is refused before anything is downloaded."""
    env.publish_voice(_NAME, size=_HUGE)
    env.log_step(f"the index says that the model has {_HUGE} bytes; free space is read by statvfs")
    async with env.server() as server:
        line = await server.wait_for_log("could not be downloaded")
        env.check("the log says how much is missing", holds="are free" in line and "Free some space" in line)
        await _check_another_speaks(env, server)
        asked = env.log_requests()
        env.check("the hub received no request", holds=not asked)
    env.check("nothing is on the disk", holds=not env.files())


async def write_fails(env: ScenarioEnvironment) -> None:
    """A write that fails half-way is reported, and the download is resumed once there is space.

    The kernel refuses writes beyond a limit that is set on the running server (RLIMIT_FSIZE).
    """
    model = env.publish_voice(_NAME)
    room = len(model) // 2
    blocked = Behaviour(hold_after=1000)
    env.hub.plan.extend([Behaviour(), blocked])
    async with env.server() as server:
        await blocked.held.wait()
        env.log_step(
            f"during the model's download no file may become larger than {room} bytes (RLIMIT_FSIZE)"
        )
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, hard))
        blocked.released.set()
        line = await server.wait_for_log("could not be downloaded")
        env.log_requests()
        env.check("the log names the directory", holds=str(env.directory) in line)
        await _check_another_speaks(env, server)
    await _check_repaired(env, model)


async def disk_full(env: ScenarioEnvironment) -> None:
    """A file system that fills up half-way is reported, and the download is resumed once there is space."""
    model = env.publish_voice(_NAME)
    blocked = Behaviour(hold_after=len(model) // 2)
    env.hub.plan.extend([Behaviour(), blocked])
    filler = env.directory / "filler"
    async with env.server() as server:
        await env.wait_for_part(_MODEL, _BLOCK)
        env.log_step("another program fills the file system to its last byte")
        fill_file_system(filler)
        blocked.released.set()
        line = await server.wait_for_log("could not be downloaded")
        env.check("the log says that the disk is full", holds="is full. Free some space" in line)
        env.log_requests()
        await _check_another_speaks(env, server)
    filler.unlink()
    env.log_step("the filler is deleted")
    await _check_repaired(env, model)


async def killed(env: ScenarioEnvironment) -> None:
    """A server killed half-way resumes the download at its next start, and the voice speaks."""
    model = env.publish_voice(_NAME)
    env.hub.plan.extend([Behaviour(), Behaviour(hold_after=len(model) * 17 // 20)])
    async with env.server() as server:
        await env.wait_for_part(_MODEL, 2 * _BLOCK)
        env.log_step(f"kill -9 {server.pid}")
        await server.kill()
    env.log_requests()
    await _check_repaired(env, model)


async def two_clients(env: ScenarioEnvironment) -> None:
    """Two clients that request one missing voice cause one download, and both get that voice."""
    env.publish_voice(_WANTED)
    blocked = Behaviour(hold_after=1_000_000)
    env.hub.plan.extend([Behaviour(), blocked])
    async with (
        env.shared_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as first,
        WyomingTestClient.connect("127.0.0.1", server.port) as second,
    ):
        env.log_step(f"two clients ask for {_WANTED} at the same moment")
        answers = [
            asyncio.create_task(request_speech(client, text, voice=_WANTED))
            for client, text in ((first, "I am the first."), (second, "I am the second."))
        ]
        await blocked.held.wait()
        both_asked = await asyncio.wait(answers, timeout=0.2)
        env.check("neither is answered during the download", holds=not both_asked[0])
        blocked.released.set()
        words = await asyncio.gather(*answers)
        await server.wait_for_log(f"{_WANTED} is installed and speaks")
        asked = [request.path.removeprefix(REPOSITORY) for request in env.log_requests()]
    env.check(
        "each file was requested once", holds=sorted(asked) == [f"{_WANTED}.onnx", f"{_WANTED}.onnx.json"]
    )
    env.check("both get that voice", holds=words == ["I am the first.", "I am the second."], got=words)


async def copied(env: ScenarioEnvironment) -> None:
    """A voice copied into the data directory is soon usable by name on an open connection."""
    async with (
        env.shared_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as client,
    ):
        before = await fetch_installed_voices(client)
        env.check(f"{_COPIED} is not known", holds=_COPIED not in before, got=f"{len(before)} voices are")
        env.copy_voice(_COPIED)
        copied_at = time.monotonic()
        env.log_step("its two files are copied into the data directory")
        advertised_after = await wait_until(lambda: _is_advertised(client, _COPIED))
        words = await request_speech(client, voice=_COPIED)
        spoken_after = time.monotonic() - copied_at
    env.check("it speaks on the same connection", holds=words == TEXT, got=words)
    env.log_step(f"it was advertised after {advertised_after:.2f} s")
    env.check_duration("it has finished speaking", spoken_after, at_most=MAX_SECONDS)


async def deleted(env: ScenarioEnvironment) -> None:
    """A voice deleted while it speaks finishes its utterance and is no longer advertised."""
    env.copy_voice(_DELETED)
    env.copy_voice(_KEPT)  # a directory that is empty all at once counts as a share that is away
    sentences = ["The voice is here.", "Its files are deleted now.", "It speaks on to the end."]
    async with (
        env.shared_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as speaking,
        WyomingTestClient.connect("127.0.0.1", server.port) as other,
    ):
        await wait_until(lambda: _is_advertised(other, _DELETED))
        env.log_step("it is installed and advertised")
        start = SynthesizeStart(voice=SynthesizeVoice(name=_DELETED)).event()
        await speaking.send(start, SynthesizeChunk(f"{sentences[0]} Its files ").event())
        events: list[Event] = await speaking.until("audio-chunk")
        for path in env.directory.glob(f"{_DELETED}*"):
            path.unlink()
        env.log_step("the first audio has arrived, and both files are deleted")
        gone_after = await wait_until(lambda: _is_gone(other, _DELETED))
        env.log_step(f"it is no longer advertised after {gone_after:.2f} s")
        await speaking.send(SynthesizeChunk("are deleted now. It speaks on to the end.").event())
        await speaking.send(SynthesizeStop().event())
        words = decode_speech(events + await speaking.until("synthesize-stopped"))
        env.check("every word was spoken by that voice", holds=words == " ".join(sentences), got=words)
        refused = await request_speech(other, voice=_DELETED)
        env.check("a new request for it is an error", holds=refused.startswith("error"), got=refused)


def blends(seconds: float) -> Scenario:
    """Nothing acknowledged is lost while 20 threads and 4 processes edit, one of which is killed."""

    async def scenario(env: ScenarioEnvironment) -> None:
        env.copy_kokoro_voices(*MIXED)
        async with env.server("--offline", voice=MIXED[0]) as server:
            await server.wait_for_log("Ready: ")
            env.log_step(
                f"20 threads and 4 processes edit for {seconds} s; in the middle kill -9 of a process"
            )
            result = await asyncio.to_thread(run_concurrent_edits, env.directory, seconds)
            least, most = min(result.edits_each), max(result.edits_each)
            env.log_step(
                f"{result.edits} edits were acknowledged, {least} to {most} by editor, "
                f"{result.edits_each[0]} of them of the killed one; "
                f"{len(result.blends)} blends remain"
            )
            env.check("no editor failed", holds=not result.errors, got=result.errors)
            reads = f"{result.reads} reads, {len(result.malformed)} malformed"
            env.check(
                "the file could always be read", holds=bool(result.reads) and not result.malformed, got=reads
            )
            env.check("no acknowledged edit is lost", holds=not result.lost, got=f"{len(result.lost)} lost")
            took = await wait_until(lambda: _advertises_exactly(server, result.blends))
            env.check_duration(
                "the server running at the same time advertises all of them", took, at_most=MAX_SECONDS
            )

    scenario.__doc__ = blends.__doc__
    return scenario


async def _is_advertised(client: WyomingTestClient, name: str) -> bool:
    return name in await fetch_installed_voices(client)


async def _is_gone(client: WyomingTestClient, name: str) -> bool:
    return name not in await fetch_installed_voices(client)


async def _advertises_exactly(server: LoggedServer, blends_: Mapping[str, str]) -> bool:
    """Whether the server advertises these blends of the editors, and none that was removed."""
    return {name for name in await server.fetch_voices() if _EDITED_BLEND.fullmatch(name)} == blends_.keys()


def _check_resumes(env: ScenarioEnvironment, request: Request, offset: int) -> None:
    asked = request.headers.get("range")
    env.check("the next request asks for the rest", holds=asked == f"bytes={offset}-", got=asked)


async def _check_speaks(env: ScenarioEnvironment, server: LoggedServer) -> None:
    words = await server.request_speech()
    env.check("the voice speaks", holds=words == TEXT, got=words)


async def _check_another_speaks(env: ScenarioEnvironment, server: LoggedServer) -> None:
    words = await server.request_speech()
    env.check("a client gets another voice", holds=words.startswith("another voice"), got=words)


async def _check_gave_way(env: ScenarioEnvironment, server: LoggedServer, voice: str) -> None:
    """Check which voice spoke by the record of the utterance: an installed one says the same words."""
    record = await server.wait_for_log(f"requested={voice} .*outcome=done")
    spoke = re.search(r" voice=(\S+)", record)
    env.check(
        "a client that requests it gets another voice",
        holds=spoke is not None and spoke[1] != voice and "reason=fallback" in record,
        got=record,
    )


async def _check_repaired(env: ScenarioEnvironment, model: bytes) -> None:
    """Check that a failed download left only a part, and that the next start completes it."""
    env.log_files()
    part = env.directory / f"{_MODEL}.part"
    kept = part.read_bytes() if part.exists() else b""
    env.check(
        "a partial file was kept", holds=bool(kept) and model.startswith(kept), got=f"{len(kept)} bytes"
    )
    env.check("no model was put in place", holds=_MODEL not in env.files())
    env.log_step("the server is started again")
    async with env.server() as server:
        await server.wait_for_log("is installed and speaks")
        (request,) = env.log_requests()
        _check_resumes(env, request, len(kept))
        await _check_speaks(env, server)
    _check_installed(env, model)


def _check_installed(env: ScenarioEnvironment, model: bytes) -> None:
    env.log_files()
    env.check("the model is complete", holds=(env.directory / _MODEL).read_bytes() == model)
    env.check("no partial file is left", holds=not [name for name in env.files() if name.endswith(".part")])


SCENARIOS: Mapping[str, Scenario] = {
    "interrupted": interrupted,
    "wrong-digest": wrong_digest,
    "web-page": web_page,
    "too-large": too_large,
    "write-fails": write_fails,
    "disk-full": disk_full,
    "killed": killed,
    "two-clients": two_clients,
    "copied": copied,
    "deleted": deleted,
    "blends": blends(10.0),
}
NEEDS_TMPFS = {"disk-full"}


@asynccontextmanager
async def open_environment(
    directory: Path, print_line: PrintLine, *, check_durations: bool = False
) -> AsyncIterator[ScenarioEnvironment]:
    """Make an environment in a directory, with a hub of its own; optionally checking durations."""
    async with FakeHub() as hub:
        yield ScenarioEnvironment(directory, hub, print_line, check_durations=check_durations)
