"""Settings, as each part takes them: the one place where a setting's name meets what it does."""

from __future__ import annotations

import os
from collections.abc import Iterable

from wyoming_tts import __version__
from wyoming_tts.admission import AdmissionOptions
from wyoming_tts.engines.base import EngineOptions, RemoteOptions, always
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.speech import Prosody
from wyoming_tts.synthesis import SynthesisOptions
from wyoming_tts.text.cleaning import CleanupOptions
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.segments import SegmentOptions
from wyoming_tts.transports.http.guard import GuardOptions
from wyoming_tts.transports.wyoming.server import WyomingOptions
from wyoming_tts.voices.download.on_demand import MissingVoicePolicy, OnDemandOptions
from wyoming_tts.workers import Workers

MEGABYTE = 1_000_000
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a server is for others, once it says who they are
_CORES_OF_A_STEP = 4


def compute_threads(settings: Settings) -> int:
    """How many steps may run at the same time."""
    return settings.compute_threads or os.cpu_count() or 1


def intra_op_threads(settings: Settings) -> int:
    """On how many cores a step runs that has the machine to itself."""
    # An operator's work is too small to be shared by more than four cores.
    return settings.intra_op_threads or min(_CORES_OF_A_STEP, os.cpu_count() or 1)


def admission_options(settings: Settings) -> AdmissionOptions:
    """Who is let in."""
    streams = settings.max_streams or max(16, 8 * (os.cpu_count() or 1))
    return AdmissionOptions(
        max_streams=streams,
        max_queue=2 * streams if settings.max_queue is None else settings.max_queue,
        max_wait=settings.max_wait,
    )


def http_host(settings: Settings) -> str:
    """Where HTTP listens: for others only where it was said who they are, or nobody can change a thing."""
    is_open = settings.api_keys or settings.allow_networks or not settings.ui
    return settings.http_host or (_EVERYWHERE if is_open else _LOOPBACK)


def engine_options(settings: Settings, workers: Workers) -> EngineOptions:
    """What engines are made with."""
    return EngineOptions(
        data_dirs=tuple(dict.fromkeys([*settings.data_dir, settings.download_dir])),
        download_dir=settings.download_dir,
        use_cuda=settings.use_cuda,
        intra_op_threads=intra_op_threads(settings),
        has_cores=workers.has_cores if workers.scheduler.slots > 1 else always,
        kokoro_model=settings.kokoro_model,
        kokoro_voices=settings.kokoro_voices,
        remote=remote_options(settings),
    )


def synthesis_options(settings: Settings) -> SynthesisOptions:
    """How texts are read and spoken."""
    return SynthesisOptions(
        prosody=Prosody(
            speed=settings.speed,
            volume=settings.volume,
            length_scale=settings.length_scale,
            noise_scale=settings.noise_scale,
            noise_w_scale=settings.noise_w_scale,
        ),
        segments=SegmentOptions(
            auto_punctuation=settings.auto_punctuation,
            sentence_silence=settings.sentence_silence,
            paragraph_silence=settings.paragraph_silence,
            cleanup=CleanupOptions(
                markdown=settings.markdown,
                code_blocks=settings.code_blocks,
                code_block_notice=settings.code_block_notice,
                emoji=settings.emoji,
            ),
            voice_tags=settings.voice_tags,
            max_segment_chars=settings.max_segment_chars,
            max_text_chars=settings.max_text_chars,
            first_segment=FirstSegmentOptions(
                boundaries=settings.first_segment_boundaries, min_words=settings.first_segment_min_words
            ),
        ),
        first_segment_max_words=settings.first_segment_max_words,
        flush_idle=settings.flush_idle_ms / 1000 or None,
        trailing_silence=settings.trailing_silence,
        loudness=settings.loudness,
        renderer=__version__,
    )


def wyoming_options(settings: Settings) -> WyomingOptions:
    """How Wyoming's connections are served."""
    return WyomingOptions(
        samples_per_chunk=settings.samples_per_chunk,
        streaming=settings.streaming,
        send_timeout=settings.send_timeout,
        idle_timeout=settings.idle_timeout,
        connections=settings.max_connections,
        connections_per_peer=settings.max_connections_per_peer,
    )


def missing_voice_options(settings: Settings, engines: Iterable[str]) -> OnDemandOptions:
    """How requests for voices that are not here are answered."""
    return OnDemandOptions(
        MissingVoicePolicy(settings.on_missing_voice),
        settings.download_wait,
        settings.offline,
        frozenset(engines if settings.engine == "auto" else [settings.engine]),
    )


def guard_options(settings: Settings, host_names: tuple[str, ...]) -> GuardOptions:
    """Who may come in over HTTP."""
    return GuardOptions(
        api_keys=settings.api_keys,
        allow_networks=settings.allow_networks,
        cors_origins=settings.cors_origins,
        host_names=host_names,
        ingress_peer=settings.ingress_peer,
        requests_per_minute=settings.requests_per_minute,
        max_body_bytes=settings.max_body_kb * 1000,
    )


def remote_options(settings: Settings) -> RemoteOptions | None:
    """Which other servers there are to speak with; None without any."""
    if not settings.remote:
        return None
    return RemoteOptions(
        upstreams=settings.remote,
        key=settings.remote_key,
        model=settings.remote_model,
        voices=settings.remote_voices,
        connect_timeout=settings.remote_connect_timeout,
        first_byte_timeout=settings.remote_first_byte_timeout,
        fallback=settings.remote_fallback,
    )


def voice_map(settings: Settings) -> dict[str, str]:
    """What names of the user's own mean.

    Raises:
        SettingsError: an entry is not of the form NAME=VOICE.
    """
    found = {}
    for entry in settings.voice_map:
        name, sign, voice = (part.strip() for part in entry.partition("="))
        if not (name and sign and voice):
            raise SettingsError(f"voice_map: got {entry!r}, expected NAME=VOICE")
        found[name] = voice
    return found
