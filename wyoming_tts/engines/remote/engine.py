"""Remote engine: voices of other servers, used as if they were installed here.

Their lists are read in the background (`watch`), so that no start waits for them. A server that goes down
keeps its voices: another may have them too, and a request for one then gets an error that says what is
wrong.
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
from wyoming_tts.engines.base import (
    REMOTE_ENGINE,
    EngineOptions,
    FirstCut,
    RemoteOptions,
    Rendered,
    Seam,
)
from wyoming_tts.engines.remote.lists import (
    ATTRIBUTION_PREFIX,
    ListedVoice,
    make_unlisted_voice,
    override_languages,
    parse_voice_settings,
)
from wyoming_tts.engines.remote.pool import UpstreamHealth, UpstreamPool
from wyoming_tts.engines.remote.upstream import Upstream, UpstreamFault, UpstreamFaultKind, UpstreamRequest
from wyoming_tts.errors import VoiceUnavailable
from wyoming_tts.http_paths import SPEECH_PATH
from wyoming_tts.messages import Message
from wyoming_tts.speech import Attribution, Prosody, Segment, Voice, VoiceSpec

_LOGGER = logging.getLogger(__name__)

MAX_HOPS = 3
"""Most servers that a request may pass through; more would be a ring."""

_HTTP_RATE = 24_000
_PROBE_TIMEOUT = 10.0
"""Seconds that a server has to list its voices."""


class RemoteEngine:
    """The voices of other servers, over HTTP or Wyoming; `aclose` closes the connections."""

    name = REMOTE_ENGINE

    def __init__(self, options: EngineOptions) -> None:
        """Take the addresses; nothing is connected. It reads certificates: construct it on a worker."""
        remote = options.remote or RemoteOptions(())
        self._pcm_rate = remote.pcm_rate
        self._api = () if remote.body is None and remote.path == SPEECH_PATH else (remote.path, remote.body)
        self._configured = parse_voice_settings(remote.voices)
        self._pool = UpstreamPool(
            [UpstreamHealth(_upstream(address, remote)) for address in remote.upstreams],
            timeout=remote.first_byte_timeout,
            fallback=remote.fallback,
        )
        for health in self._pool.upstreams:
            health.voices = self._unlisted_voices(health)
        self._voices = self._merge_voices()
        self._unprobed = set(self._pool.upstreams)
        self._all_probed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RemoteEngine {len(self._voices)} voices, {len(self._pool.upstreams)} servers>"

    def first_cut(self, voice: Voice, prosody: Prosody) -> FirstCut:
        """As `Engine.first_cut`: what other servers wait for is not known."""
        del voice, prosody
        return FirstCut.AFTER_CLAUSE

    def installed(self) -> Sequence[Voice]:
        """Return the voices that the servers last listed, and those that the settings name."""
        return self._voices

    def load(self, voice: Voice) -> RemoteServerVoice:
        """Return what speaks with `voice`; nothing is connected."""
        del voice  # each request names its voice
        audio.Resampler(_HTTP_RATE, _HTTP_RATE // 2)  # imports its library now, not on the event loop
        return RemoteServerVoice(self._pool)

    async def watch(self, on_change: Callable[[], Awaitable[None]], run_blocking: RunBlocking) -> None:
        """Probe every server periodically, with backoff while it is down; runs until it is cancelled.

        Args:
            on_change: Awaited when `installed` has changed.
            run_blocking: Parses long lists off the event loop.
        """
        async with asyncio.TaskGroup() as tasks:
            for health in self._pool.upstreams:
                tasks.create_task(self._watch(health, on_change, run_blocking))

    async def probe(self, run_blocking: RunBlocking) -> None:
        """Probe every server once; one that does not answer in a few seconds is left out."""
        async with asyncio.TaskGroup() as tasks:
            for health in self._pool.upstreams:
                tasks.create_task(self._probe(health, run_blocking))

    async def wait_probed(self) -> None:
        """Wait until each server was probed once, whether it answered or not."""
        if self._unprobed:
            await self._all_probed.wait()

    async def aclose(self) -> None:
        """Close all connections; no stream may be open any more."""
        for health in self._pool.upstreams:
            await health.upstream.aclose()

    async def _watch(
        self, health: UpstreamHealth, on_change: Callable[[], Awaitable[None]], run_blocking: RunBlocking
    ) -> None:
        while True:
            if await self._probe(health, run_blocking):
                await on_change()
            self._note_probed(health)
            await _wait_for_next_probe(health)

    def _note_probed(self, health: UpstreamHealth) -> None:
        self._unprobed.discard(health)
        if not self._unprobed:
            self._all_probed.set()

    async def _probe(self, health: UpstreamHealth, run_blocking: RunBlocking) -> bool:
        """Probe a server; True if that changed the voices."""
        try:
            listed = await _list_voices(health.upstream, run_blocking)
        except UpstreamFault as fault:
            if not health.failed_probes:
                _LOGGER.warning("The remote server %s is down: %s.", health.upstream.address, fault)
            health.probe_failed(time.monotonic())
            return False
        voices = self._unlisted_voices(health) if listed is None else self._by_name(listed)
        if health.failed_probes or voices != health.voices:
            _LOGGER.info("The remote server %s has %d voices.", health.upstream.address, len(voices))
        health.voices = voices
        health.probe_succeeded()
        before, self._voices = self._voices, self._merge_voices()
        return before != self._voices

    def _by_name(self, listed: Sequence[ListedVoice]) -> dict[str, ListedVoice]:
        return {voice.name: voice for voice in override_languages(listed, self._configured)}

    def _unlisted_voices(self, health: UpstreamHealth) -> dict[str, ListedVoice]:
        # Wyoming servers always have a list: with them the settings would only invent voices.
        if health.upstream.address.startswith("tcp:"):
            return {}
        return {name: make_unlisted_voice(name, language) for name, language in self._configured.items()}

    def _merge_voices(self) -> tuple[Voice, ...]:
        """All voices, each as the first server that has it describes it."""
        having: dict[str, list[UpstreamHealth]] = {}
        for health in self._pool.upstreams:
            for name in health.voices:
                having.setdefault(name, []).append(health)
        return tuple(self._voice(upstreams[0].voices[name], upstreams) for name, upstreams in having.items())

    def _voice(self, listed: ListedVoice, upstreams: Sequence[UpstreamHealth]) -> Voice:
        addresses = [health.upstream.address for health in upstreams]
        rate = listed.rate or self._pcm_rate
        return Voice(
            name=listed.name,
            engine=self.name,
            language=listed.language,
            description=listed.description,
            sample_rate=rate,
            model=f"remote-{_identity(listed, addresses, rate, self._api)}",
            attribution=Attribution(f"{ATTRIBUTION_PREFIX}{urlsplit(addresses[0]).netloc}", addresses[0]),
            speakers=MappingProxyType({speaker: number for number, speaker in enumerate(listed.speakers)}),
            version=listed.version,
        )


class RemoteServerVoice:
    """A voice of other servers, ready to speak."""

    def __init__(self, pool: UpstreamPool) -> None:
        self._pool = pool

    async def stream(
        self, segment: Segment, spec: VoiceSpec, prosody: Prosody, *, hops: int = 0
    ) -> AsyncGenerator[Rendered | Seam, None]:
        """As `RemoteVoice.stream`; of the prosody only `speed` is passed on, and over HTTP alone."""
        if hops >= MAX_HOPS:
            raise VoiceUnavailable(
                Message(
                    "too_many_hops",
                    "The request for {name} has already passed through {count} servers.",
                    name=spec.voice.name,
                    count=hops,
                ),
                hint=Message(
                    "remote_loop",
                    "The servers forward requests in a loop: check the setting `remote` of each.",
                ),
            )
        request = UpstreamRequest(
            voice=spec.voice.name,
            text=segment.text,
            speaker=_speaker(spec),
            speed=prosody.speed,
            rate=spec.voice.sample_rate,
            hops=hops + 1,
        )
        async with contextlib.aclosing(self._pool.speak(request)) as pieces:
            async for rendered in pieces:
                yield rendered

    def close(self) -> None:
        """As `RemoteVoice.close`; the connections belong to the engine."""


def _upstream(address: str, options: RemoteOptions) -> Upstream:
    # Imported only if there are other servers: the libraries take a while.
    if address.startswith("tcp:"):
        from wyoming_tts.engines.remote.wyoming import WyomingUpstream  # noqa: PLC0415

        return WyomingUpstream(address, options)
    from wyoming_tts.engines.remote.http import HttpUpstream  # noqa: PLC0415

    return HttpUpstream(address, options)


async def _list_voices(upstream: Upstream, run_blocking: RunBlocking) -> tuple[ListedVoice, ...] | None:
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT):
            return await upstream.list_voices(run_blocking)
    except TimeoutError:
        raise UpstreamFault(
            UpstreamFaultKind.DOWN,
            Message(
                "no_answer_from_it", "it did not answer within {seconds} s", seconds=f"{_PROBE_TIMEOUT:g}"
            ),
        ) from None
    except UpstreamFault:
        raise
    except Exception as error:  # whatever another server sends, this one goes on
        _LOGGER.exception("The voices of %s cannot be read.", upstream.address)
        raise UpstreamFault(
            UpstreamFaultKind.FAILED,
            Message("list_raised", "reading its list raised {kind}", kind=type(error).__name__),
        ) from None


async def _wait_for_next_probe(health: UpstreamHealth) -> None:
    if health.failed_probes:  # it is known to be down: requests that fail say nothing new
        await asyncio.sleep(health.next_probe_in)
        return
    health.probe_requested.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(health.next_probe_in):
            await health.probe_requested.wait()


def _identity(listed: ListedVoice, addresses: Sequence[str], rate: int, api: tuple[str | None, ...]) -> str:
    """A key that changes when the voice's sound may have changed: cached audio depends on it."""
    described = repr(
        (listed.name, listed.version, listed.description, listed.speakers, rate, sorted(addresses), *api)
    )
    return hashlib.blake2b(described.encode(), digest_size=8).hexdigest()


def _speaker(spec: VoiceSpec) -> str | None:
    return next((name for name, number in spec.voice.speakers.items() if number == spec.speaker), None)
