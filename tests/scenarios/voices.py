"""What voices go through, with real servers and real files: scenarios that are tests and can be watched.

Each scenario tells what is done, what the server says of it in its log and what came of it, and fails
if that is not as it has to be. A hub on loopback stands in for the one that voices come from.
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

from tests.scenarios.blend_editors import MIXED, melee
from tests.scenarios.voice_stage import (
    REPOSITORY,
    TEXT,
    NarratedServer,
    Stage,
    Tell,
    advertised,
    answer,
    fill,
    heard,
    until,
)
from tests.support.hub import Behaviour, FakeHub, Request
from tests.support.tones import LETTERS
from tests.support.wyoming_client import WyomingTestClient

WITHIN = 2.0
"""Seconds after which a voice that was copied has to speak."""
_NAME = LETTERS.name
_MODEL = f"{_NAME}.onnx"
_FORGED, _BEHIND_PORTAL, _WANTED = "en_US-forged-low", "en_US-portal-low", "en_US-wanted-low"
_COPIED, _DELETED = "en_US-copied-low", "en_US-deleted-low"
SHARED = (_FORGED, _BEHIND_PORTAL, _WANTED)
"""Voices that the hub has to offer before a server starts that is to show several scenarios."""
_HUGE = 10**15
_BLOCK = 1024 * 1024
"""Bytes that are written to the disk in one go."""
_OF_EDITORS = re.compile(r"[pt]\d+_\d")

Scenario = Callable[[Stage], Awaitable[None]]


async def interrupted(stage: Stage) -> None:
    """A download that is cut at 40 % goes on from there."""
    model = stage.offer(_NAME)
    cut = len(model) * 2 // 5
    stage.hub.plan.extend([Behaviour(), Behaviour(cut_after=cut)])
    stage.did(f"the hub will cut the connection after {cut} of the model's {len(model)} bytes")
    async with stage.server() as server:
        await server.says("is installed and speaks")
        _, first, second = stage.tell_requests()
        stage.check("the first request asks for all of it", holds="range" not in first.headers)
        _check_goes_on(stage, second, cut)
        sent = stage.hub.body_bytes_sent
        stage.check("no byte was sent twice", holds=sent == sum(stage.files().values()), got=sent)
        await _check_speaks(stage, server)
    _check_installed(stage, model)


async def wrong_digest(stage: Stage) -> None:
    """A model with a wrong digest is refused, and the old file stays."""
    model, old = stage.offer(_FORGED), b"an older model, whose configuration was lost"
    (stage.directory / f"{_FORGED}.onnx").write_bytes(old)
    stage.hub.plan.extend([Behaviour(), Behaviour(body=model[:-1] + b"!")])
    stage.did("an older model is there; the hub will send one of the right size with another last byte")
    async with stage.talking_server() as server:
        await _check_another_speaks(stage, server, _FORGED)
        line = await server.says(f"{_FORGED} could not be fetched")
        stage.tell_requests()
        stage.check("the log says what was expected", holds="expected" in line and "thrown away" in line)
    stage.tell_files()
    kept = (stage.directory / f"{_FORGED}.onnx").read_bytes()
    stage.check("the older model is as it was", holds=kept == old, got=kept)
    stage.check("nothing is left of the wrong one", holds=f"{_FORGED}.onnx.part" not in stage.files())


async def web_page(stage: Stage) -> None:
    """The web page of a captive portal is refused in a model's place."""
    stage.offer(_BEHIND_PORTAL)
    page = b"<!DOCTYPE html><html><body>Please accept our terms.</body></html>"
    stage.hub.plan.extend([Behaviour(), Behaviour(body=page, headers={"Content-Type": "text/html"})])
    stage.did("a captive portal will answer the request for the model with its own page and status 200")
    async with stage.talking_server() as server:
        await _check_another_speaks(stage, server, _BEHIND_PORTAL)
        line = await server.says(f"{_BEHIND_PORTAL} could not be fetched")
        stage.tell_requests()
        stage.check("the log names the portal", holds="web page" in line and "captive portal" in line)
    stage.tell_files()
    ours = [name for name in stage.files() if name.startswith(f"{_BEHIND_PORTAL}.onnx")]
    stage.check("nothing of the page is on the disk", holds=ours == [f"{_BEHIND_PORTAL}.onnx.json.part"])


async def too_large(stage: Stage) -> None:
    """A voice for which there is no room is refused before anything of it is fetched."""
    stage.offer(_NAME, size=_HUGE)
    stage.did(f"the index says that the model has {_HUGE} bytes; the disk is asked what is free (statvfs)")
    async with stage.server() as server:
        line = await server.says("could not be fetched")
        stage.check("the log says how much is missing", holds="are free" in line and "Make room" in line)
        await _check_another_speaks(stage, server)
        asked = stage.tell_requests()
        stage.check("the hub was asked for nothing", holds=not asked)
    stage.check("nothing is on the disk", holds=not stage.files())


async def write_fails(stage: Stage) -> None:
    """A write that fails half-way is told, and once there is room it goes on from there.

    The kernel refuses what lies beyond a limit that is set on the running server (RLIMIT_FSIZE).
    """
    model = stage.offer(_NAME)
    room = len(model) // 2
    held = Behaviour(hold_after=1000)
    stage.hub.plan.extend([Behaviour(), held])
    async with stage.server() as server:
        await held.held.wait()
        stage.did(f"while the model is coming, no file may become larger than {room} bytes (RLIMIT_FSIZE)")
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (room, hard))
        held.released.set()
        line = await server.says("could not be fetched")
        stage.tell_requests()
        stage.check("the log names the directory", holds=str(stage.directory) in line)
        await _check_another_speaks(stage, server)
    await _check_repaired(stage, model)


async def disk_full(stage: Stage) -> None:
    """A file system that fills up half-way is told, and once there is room the download goes on."""
    model = stage.offer(_NAME)
    held = Behaviour(hold_after=len(model) // 2)
    stage.hub.plan.extend([Behaviour(), held])
    filler = stage.directory / "filler"
    async with stage.server() as server:
        await stage.until_part_has(_MODEL, _BLOCK)
        stage.did("somebody fills the file system up to its last byte")
        fill(filler)
        held.released.set()
        line = await server.says("could not be fetched")
        stage.check("the log says that the disk is full", holds="is full. Make room" in line)
        stage.tell_requests()
        await _check_another_speaks(stage, server)
    filler.unlink()
    stage.did("the filler is deleted")
    await _check_repaired(stage, model)


async def killed(stage: Stage) -> None:
    """A server that is killed half-way goes on at its next start, and the voice speaks."""
    model = stage.offer(_NAME)
    stage.hub.plan.extend([Behaviour(), Behaviour(hold_after=len(model) * 17 // 20)])
    async with stage.server() as server:
        await stage.until_part_has(_MODEL, 2 * _BLOCK)
        stage.did(f"kill -9 {server.pid}")
        await server.kill()
    stage.tell_requests()
    await _check_repaired(stage, model)


async def two_clients(stage: Stage) -> None:
    """Two clients that ask for one missing voice cause one download, and both hear that voice."""
    stage.offer(_WANTED)
    held = Behaviour(hold_after=1_000_000)
    stage.hub.plan.extend([Behaviour(), held])
    async with (
        stage.talking_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as first,
        WyomingTestClient.connect("127.0.0.1", server.port) as second,
    ):
        stage.did(f"two clients ask for {_WANTED} at the same moment")
        answers = [
            asyncio.create_task(answer(client, text, voice=_WANTED))
            for client, text in ((first, "I am the first."), (second, "I am the second."))
        ]
        await held.held.wait()
        both_asked = await asyncio.wait(answers, timeout=0.2)
        stage.check("neither is answered while it comes", holds=not both_asked[0])
        held.released.set()
        words = await asyncio.gather(*answers)
        await server.says(f"{_WANTED} is installed and speaks")
        asked = [request.path.removeprefix(REPOSITORY) for request in stage.tell_requests()]
    stage.check(
        "each file was asked for once", holds=sorted(asked) == [f"{_WANTED}.onnx", f"{_WANTED}.onnx.json"]
    )
    stage.check("both hear that voice", holds=words == ["I am the first.", "I am the second."], got=words)


async def copied(stage: Stage) -> None:
    """A voice that is copied into the data directory while a client is connected soon speaks by its name."""
    async with (
        stage.talking_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as client,
    ):
        before = await advertised(client)
        stage.check(f"{_COPIED} is not known", holds=_COPIED not in before, got=f"{len(before)} voices are")
        stage.copy_in(_COPIED)
        copied_at = time.monotonic()
        stage.did("its two files are copied into the data directory")
        known_after = await until(lambda: _is_advertised(client, _COPIED))
        words = await answer(client, voice=_COPIED)
        spoken_after = time.monotonic() - copied_at
    stage.check("it speaks on the same connection", holds=words == TEXT, got=words)
    stage.did(f"it was advertised after {known_after:.2f} s")
    stage.check_time("it has spoken to the end", spoken_after, at_most=WITHIN)


async def deleted(stage: Stage) -> None:
    """A voice that is deleted while it speaks speaks to the end and is not advertised any more."""
    stage.copy_in(_DELETED)
    sentences = ["The voice is here.", "Its files are deleted now.", "It speaks on to the end."]
    async with (
        stage.talking_server() as server,
        WyomingTestClient.connect("127.0.0.1", server.port) as speaking,
        WyomingTestClient.connect("127.0.0.1", server.port) as asking,
    ):
        await until(lambda: _is_advertised(asking, _DELETED))
        stage.did("it is there and advertised")
        start = SynthesizeStart(voice=SynthesizeVoice(name=_DELETED)).event()
        await speaking.send(start, SynthesizeChunk(f"{sentences[0]} Its files ").event())
        events: list[Event] = await speaking.until("audio-chunk")
        for path in stage.directory.glob(f"{_DELETED}*"):
            path.unlink()
        stage.did("the first sound is heard, and both files are deleted")
        gone_after = await until(lambda: _is_gone(asking, _DELETED))
        stage.did(f"it is not advertised any more after {gone_after:.2f} s")
        await speaking.send(SynthesizeChunk("are deleted now. It speaks on to the end.").event())
        await speaking.send(SynthesizeStop().event())
        words = heard(events + await speaking.until("synthesize-stopped"))
        stage.check("every word was said by that voice", holds=words == " ".join(sentences), got=words)
        refused = await answer(asking, voice=_DELETED)
        stage.check("who asks for it now is told so", holds=refused.startswith("error"), got=refused)


def blends(seconds: float) -> Scenario:
    """Nothing acknowledged is lost while 20 threads and 4 processes edit, of which one is killed."""

    async def scenario(stage: Stage) -> None:
        stage.copy_in_kokoro(*MIXED)
        async with stage.server("--offline", voice=MIXED[0]) as server:
            await server.says("Ready: ")
            stage.did(f"20 threads and 4 processes edit for {seconds} s; in the middle kill -9 of a process")
            came = await asyncio.to_thread(melee, stage.directory, seconds)
            least, most = min(came.edits_each), max(came.edits_each)
            stage.did(
                f"{came.edits} edits were acknowledged, {least} to {most} an editor, {came.edits_each[0]} of "
                f"them to the one that was killed; {len(came.blends)} blends remain"
            )
            stage.check("no editor failed", holds=not came.errors, got=came.errors)
            reads = f"{came.reads} reads, {len(came.malformed)} malformed"
            stage.check(
                "the file could always be read", holds=bool(came.reads) and not came.malformed, got=reads
            )
            stage.check("no acknowledged edit is lost", holds=not came.lost, got=f"{len(came.lost)} lost")
            took = await until(lambda: _tells_of(server, came.blends))
            stage.check_time("the server that ran beside advertises all of them", took, at_most=WITHIN)

    scenario.__doc__ = blends.__doc__
    return scenario


async def _is_advertised(client: WyomingTestClient, name: str) -> bool:
    return name in await advertised(client)


async def _is_gone(client: WyomingTestClient, name: str) -> bool:
    return name not in await advertised(client)


async def _tells_of(server: NarratedServer, blends_: Mapping[str, str]) -> bool:
    """Whether it advertises these blends of the editors, and none that was removed."""
    return {name for name in await server.voices() if _OF_EDITORS.fullmatch(name)} == blends_.keys()


def _check_goes_on(stage: Stage, request: Request, offset: int) -> None:
    asked = request.headers.get("range")
    stage.check("the next request asks for the rest", holds=asked == f"bytes={offset}-", got=asked)


async def _check_speaks(stage: Stage, server: NarratedServer) -> None:
    words = await server.answer()
    stage.check("the voice speaks", holds=words == TEXT, got=words)


async def _check_another_speaks(stage: Stage, server: NarratedServer, voice: str | None = None) -> None:
    words = await server.answer(voice=voice)
    stage.check("who asks for it hears a stand-in", holds=words.startswith("another voice"), got=words)


async def _check_repaired(stage: Stage, model: bytes) -> None:
    """What a failed download left is a part alone, and the next start makes a voice of it."""
    stage.tell_files()
    part = stage.directory / f"{_MODEL}.part"
    kept = part.read_bytes() if part.exists() else b""
    stage.check("a part was kept", holds=bool(kept) and model.startswith(kept), got=f"{len(kept)} bytes")
    stage.check("no model was put in place", holds=_MODEL not in stage.files())
    stage.did("the server is started again")
    async with stage.server() as server:
        await server.says("is installed and speaks")
        (request,) = stage.tell_requests()
        _check_goes_on(stage, request, len(kept))
        await _check_speaks(stage, server)
    _check_installed(stage, model)


def _check_installed(stage: Stage, model: bytes) -> None:
    stage.tell_files()
    stage.check("the model is whole", holds=(stage.directory / _MODEL).read_bytes() == model)
    stage.check("no part is left", holds=not [name for name in stage.files() if name.endswith(".part")])


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
async def staged(directory: Path, tell: Tell, *, times_count: bool = False) -> AsyncIterator[Stage]:
    """A stage in this directory, with a hub of its own; where times count, what is late has failed."""
    async with FakeHub() as hub:
        yield Stage(directory, hub, tell, times_count=times_count)
