"""Other servers as an engine: their voices are spoken with as if they were here.

What they have is read in the background (`watch`), so no start waits for them; a server that went away keeps
its voices, for another may have them too, and a request for one is worth an answer that says what is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from wyoming_tts import audio
from wyoming_tts.blocking import RunBlocking
from wyoming_tts.engines.base import EngineOptions, RemoteOptions
from wyoming_tts.engines.remote.lists import MARK, ListedVoice, named_in_settings, unlisted, with_languages
from wyoming_tts.engines.remote.pool import (
    Upstream,
    UpstreamFault,
    UpstreamFaultKind,
    UpstreamHealth,
    UpstreamPool,
    UpstreamRequest,
)
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.speech import Attribution, Prosody, Samples, Segment, Voice, VoiceSpec

_LOGGER = logging.getLogger(__name__)

MOST_HOPS = 3
"""Servers that a request may come through; more are a ring."""

_HTTP_RATE = 24_000
_LOOK_SECONDS = 10.0
"""For an answer to what voices there are."""


class RemoteEngine:
    """The voices of other servers, by HTTP or Wyoming. `aclose` closes its connections."""

    name = "remote"
    first_segment_max_words = 0

    def __init__(self, options: EngineOptions) -> None:
        """Take the addresses; nothing is connected. Certificates are read: made on a worker."""
        remote = options.remote or RemoteOptions(())
        self._named = named_in_settings(remote.voices)
        self._upstreams = UpstreamPool(
            [UpstreamHealth(_upstream(address, remote)) for address in remote.upstreams],
            patience=remote.first_byte_timeout,
            fallback=remote.fallback,
        )
        for standing in self._upstreams.standings:
            standing.voices = self._without_list(standing)
        self._voices = self._offered()
        self._unlooked = set(self._upstreams.standings)
        self._looked = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RemoteEngine {len(self._voices)} voices, {len(self._upstreams.standings)} servers>"

    def installed(self) -> Sequence[Voice]:
        """Return what the servers were last seen to have, and what the settings say they have."""
        return self._voices

    def load(self, voice: Voice) -> RemoteServerVoice:
        """Make ready to ask for `voice`; nothing is connected."""
        del voice  # every request names its own
        audio.Resampler(_HTTP_RATE, _HTTP_RATE // 2)  # its library is imported here, not on the event loop
        return RemoteServerVoice(self._upstreams)

    async def watch(self, on_change: Callable[[], Awaitable[None]], run_blocking: RunBlocking) -> None:
        """Look at every server now and then, more often while it is down; runs until it is cancelled.

        Args:
            on_change: Awaited when `installed` has changed.
            run_blocking: Reads long lists away from the event loop.
        """
        async with asyncio.TaskGroup() as tasks:
            for standing in self._upstreams.standings:
                tasks.create_task(self._watch(standing, on_change, run_blocking))

    async def look(self, run_blocking: RunBlocking) -> None:
        """Look at every server once; what does not answer in a few seconds is left out."""
        async with asyncio.TaskGroup() as tasks:
            for standing in self._upstreams.standings:
                tasks.create_task(self._look(standing, run_blocking))

    async def looked(self) -> None:
        """Wait until each server was looked at once, whether it answered or not."""
        if self._unlooked:
            await self._looked.wait()

    async def aclose(self) -> None:
        """Close what is kept open; nobody speaks any more."""
        for standing in self._upstreams.standings:
            await standing.upstream.aclose()

    async def _watch(
        self, standing: UpstreamHealth, on_change: Callable[[], Awaitable[None]], run_blocking: RunBlocking
    ) -> None:
        while True:
            if await self._look(standing, run_blocking):
                await on_change()
            self._tell_looked(standing)
            await _until_next_look(standing)

    def _tell_looked(self, standing: UpstreamHealth) -> None:
        self._unlooked.discard(standing)
        if not self._unlooked:
            self._looked.set()

    async def _look(self, standing: UpstreamHealth, run_blocking: RunBlocking) -> bool:
        """Look at a server; True if there are other voices now than before."""
        try:
            listed = await _listed(standing.upstream, run_blocking)
        except UpstreamFault as fault:
            if not standing.unseen:
                _LOGGER.warning("The remote server %s is down: %s.", standing.upstream.address, fault)
            standing.not_seen(time.monotonic())
            return False
        voices = self._without_list(standing) if listed is None else self._by_name(listed)
        if standing.unseen or voices != standing.voices:
            _LOGGER.info("The remote server %s has %d voices.", standing.upstream.address, len(voices))
        standing.voices = voices
        standing.seen()
        before, self._voices = self._voices, self._offered()
        return before != self._voices

    def _by_name(self, listed: Sequence[ListedVoice]) -> dict[str, ListedVoice]:
        return {voice.name: voice for voice in with_languages(listed, self._named)}

    def _without_list(self, standing: UpstreamHealth) -> dict[str, ListedVoice]:
        # Wyoming servers always have a list; there the settings would only make up voices.
        if standing.upstream.address.startswith("tcp:"):
            return {}
        return {name: unlisted(name, language) for name, language in self._named.items()}

    def _offered(self) -> tuple[Voice, ...]:
        """All voices, each as the first server that has it tells of it."""
        having: dict[str, list[UpstreamHealth]] = {}
        for standing in self._upstreams.standings:
            for name in standing.voices:
                having.setdefault(name, []).append(standing)
        return tuple(_voice(standings[0].voices[name], standings) for name, standings in having.items())


class RemoteServerVoice:
    """A voice that other servers speak with."""

    def __init__(self, upstreams: UpstreamPool) -> None:
        self._upstreams = upstreams

    async def stream(
        self, segment: Segment, spec: VoiceSpec, prosody: Prosody, *, hops: int = 0
    ) -> AsyncGenerator[Samples, None]:
        """As `RemoteVoice.stream`; of the prosody only `speed` is passed on, and by HTTP alone."""
        if hops >= MOST_HOPS:
            raise VoiceUnavailable(
                f"The request for {spec.voice.name} came through {hops} servers already.",
                hint="Servers ask each other in a ring: see the setting `remote` of each.",
            )
        order = UpstreamRequest(
            voice=spec.voice.name,
            text=segment.text,
            speaker=_speaker(spec),
            speed=prosody.speed,
            rate=spec.voice.sample_rate,
            hops=hops + 1,
        )
        async with contextlib.aclosing(self._upstreams.speak(order)) as pieces:
            async for samples in pieces:
                yield samples

    def close(self) -> None:
        """As `RemoteVoice.close`: connections are the engine's."""


def _upstream(address: str, options: RemoteOptions) -> Upstream:
    # Only where there are other servers: the libraries take a while to import.
    if address.startswith("tcp:"):
        from wyoming_tts.engines.remote.wyoming import WyomingUpstream  # noqa: PLC0415

        return WyomingUpstream(address, options)
    from wyoming_tts.engines.remote.http import HttpUpstream  # noqa: PLC0415

    return HttpUpstream(address, options)


async def _listed(upstream: Upstream, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            return await upstream.listed(run_blocking)
    except TimeoutError:
        raise UpstreamFault(UpstreamFaultKind.DOWN, f"it did not answer within {_LOOK_SECONDS:g} s") from None
    except UpstreamFault:
        raise
    except Exception as error:  # what another server sends must not take this one with it
        _LOGGER.exception("The voices of %s cannot be read.", upstream.address)
        raise UpstreamFault(UpstreamFaultKind.FAILED, f"its list made a {type(error).__name__}") from None


async def _until_next_look(standing: UpstreamHealth) -> None:
    if standing.unseen:  # it is known to be down: those who find it so again say nothing new
        await asyncio.sleep(standing.look_again_in)
        return
    standing.stirred.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(standing.look_again_in):
            await standing.stirred.wait()


def _voice(listed: ListedVoice, standings: Sequence[UpstreamHealth]) -> Voice:
    addresses = [standing.upstream.address for standing in standings]
    rate = listed.rate or _HTTP_RATE
    return Voice(
        name=listed.name,
        engine=RemoteEngine.name,
        language=listed.language,
        description=listed.description,
        sample_rate=rate,
        model=f"remote-{_identity(listed, addresses, rate)}",
        attribution=Attribution(f"{MARK}{urlsplit(addresses[0]).netloc}", addresses[0]),
        speakers=MappingProxyType({speaker: number for number, speaker in enumerate(listed.speakers)}),
        version=listed.version,
    )


def _identity(listed: ListedVoice, addresses: Sequence[str], rate: int) -> str:
    """Tells one sound from the next, as far as can be known: what is cached under it is said again."""
    told = repr((listed.name, listed.version, listed.description, listed.speakers, rate, sorted(addresses)))
    return hashlib.blake2b(told.encode(), digest_size=8).hexdigest()


def _speaker(spec: VoiceSpec) -> str | None:
    return next((name for name, number in spec.voice.speakers.items() if number == spec.speaker), None)
