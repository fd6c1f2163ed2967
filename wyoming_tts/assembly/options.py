"""Options of each part, from the settings: the one place that maps settings' names to their effects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from wyoming_tts import __version__
from wyoming_tts.admission import AdmissionOptions
from wyoming_tts.engines.base import EngineOptions, RemoteOptions, always
from wyoming_tts.settings import Settings, SettingsError
from wyoming_tts.speech import SPEED_RANGE, Prosody, Start, VoiceAlias
from wyoming_tts.synthesis import SynthesisOptions
from wyoming_tts.text.cleaning import CleanupOptions
from wyoming_tts.text.first_segment import FirstSegmentOptions
from wyoming_tts.text.scripts import ScriptMode
from wyoming_tts.text.segments import SegmentOptions
from wyoming_tts.transports.connection_limits import ConnectionLimits
from wyoming_tts.transports.http.access_rules import GuardOptions
from wyoming_tts.transports.tokens import secrets_by_id
from wyoming_tts.transports.wyoming.server import WyomingOptions
from wyoming_tts.voices.download.on_demand import MissingVoicePolicy, OnDemandOptions
from wyoming_tts.workers import Workers

MEGABYTE = 1_000_000
_STATISTICS_NAME = "kokoro_statistics"
_LOOPBACK = "127.0.0.1"
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a server is for other machines
_MAX_CORES_PER_STEP = 4
_RATED_VOICE = re.compile(r"(?P<voice>\S.*?)\s*@\s*(?P<rate>[0-9]{1,6}(?:\.[0-9]{1,6})?)")


def compute_threads(settings: Settings) -> int:
    """Number of steps that may run at the same time."""
    return settings.compute_threads or os.cpu_count() or 1


def intra_op_threads(settings: Settings) -> int:
    """Number of cores for a step that has the machine to itself."""
    # An operator's work is too small to be shared by more than four cores.
    return settings.intra_op_threads or min(_MAX_CORES_PER_STEP, os.cpu_count() or 1)


def admission_options(settings: Settings) -> AdmissionOptions:
    """Limits on streams and on the queue before them."""
    streams = settings.max_streams or max(16, 8 * (os.cpu_count() or 1))
    return AdmissionOptions(
        max_streams=streams,
        max_queue=2 * streams if settings.max_queue is None else settings.max_queue,
        max_wait=settings.max_wait,
        max_hold=settings.max_hold,
    )


def http_host(settings: Settings) -> str:
    """Address for HTTP: other machines get in only with access control, or without the page."""
    has_keys = settings.api_keys or settings.token_keys
    is_open = has_keys or settings.allow_networks or not settings.ui
    return settings.http_host or (_EVERYWHERE if is_open else _LOOPBACK)


def engine_options(settings: Settings, workers: Workers) -> EngineOptions:
    """Directories, threads and model files of the engines."""
    return EngineOptions(
        data_dirs=tuple(dict.fromkeys([*settings.data_dir, settings.download_dir])),
        download_dir=settings.download_dir,
        use_cuda=settings.use_cuda,
        cuda_device=settings.cuda_device,
        intra_op_threads=intra_op_threads(settings),
        has_cores=workers.has_cores if workers.scheduler.slots > 1 else always,
        interruptible=workers.interruptible,
        kokoro_model=settings.kokoro_model,
        kokoro_voices=settings.kokoro_voices,
        kokoro_chunked=settings.kokoro_decode == "chunked",
        statistics_dir=settings.state_dir / _STATISTICS_NAME,
        remote=remote_options(settings),
    )


def synthesis_options(settings: Settings) -> SynthesisOptions:
    """Text front end, prosody and loudness of the synthesizer."""
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
            line_silence=settings.line_silence,
            paragraph_silence=settings.paragraph_silence,
            cleanup=CleanupOptions(
                markdown=settings.markdown,
                code_blocks=settings.code_blocks,
                code_block_notice=settings.code_block_notice,
                emoji=settings.emoji,
            ),
            scripts=ScriptMode(settings.scripts),
            voice_tags=settings.voice_tags,
            max_segment_chars=settings.max_segment_chars,
            max_text_chars=settings.max_text_chars,
            first_segment=FirstSegmentOptions(
                boundaries=settings.first_segment_boundaries, min_words=settings.first_segment_min_words
            ),
        ),
        max_words=settings.max_utterance_words,
        first_segment_max_words=settings.first_segment_max_words,
        always_cuts_first="first_segment_boundaries" in settings.model_fields_set
        or bool(settings.first_segment_max_words),
        flush_idle=settings.flush_idle_ms / 1000 or None,
        leading_silence=settings.leading_silence,
        trailing_silence=settings.trailing_silence,
        patience=settings.patience,
        start=Start(settings.start),
        loudness=settings.loudness,
        renderer=__version__,
    )


def wyoming_options(settings: Settings) -> WyomingOptions:
    """Limits and timeouts of Wyoming connections."""
    return WyomingOptions(
        samples_per_chunk=settings.samples_per_chunk,
        streaming=settings.streaming,
        words=settings.wyoming_words,
        log_requests=settings.log_requests,
        send_timeout=settings.send_timeout,
        idle_timeout=settings.idle_timeout,
        connections=connection_limits(settings),
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Limits of the connections to each port, of every transport the same."""
    return ConnectionLimits(settings.max_connections, settings.max_connections_per_peer)


def missing_voice_options(settings: Settings, engines: Iterable[str]) -> OnDemandOptions:
    """Policy for requests for voices that are not installed."""
    return OnDemandOptions(
        MissingVoicePolicy(settings.on_missing_voice),
        settings.download_wait,
        settings.offline,
        frozenset(engines if settings.engine == "auto" else [settings.engine]),
    )


def guard_options(settings: Settings, host_names: tuple[str, ...]) -> GuardOptions:
    """Access rules and rate limit of the HTTP API."""
    return GuardOptions(
        api_keys=settings.api_keys,
        token_keys=secrets_by_id(settings.token_keys),
        token_lifetime=settings.token_lifetime,
        allow_networks=settings.allow_networks,
        cors_origins=settings.cors_origins,
        host_names=host_names,
        ingress_peer=settings.ingress_peer,
        requests_per_minute=settings.requests_per_minute,
        max_body_bytes=settings.max_body_kb * 1000,
    )


def remote_options(settings: Settings) -> RemoteOptions | None:
    """Other servers to synthesize with; None if none is configured."""
    if not settings.remote:
        return None
    return RemoteOptions(
        upstreams=settings.remote,
        key=settings.remote_key,
        model=settings.remote_model,
        path=settings.remote_path,
        body=settings.remote_body,
        pcm_rate=settings.remote_pcm_rate,
        pcm_format=settings.remote_pcm_format,
        voices=settings.remote_voices,
        connect_timeout=settings.remote_connect_timeout,
        first_byte_timeout=settings.remote_first_byte_timeout,
        fallback=settings.remote_fallback,
    )


def voice_map(settings: Settings) -> dict[str, VoiceAlias]:
    """Aliases of voices, from the setting `voice_map`.

    Raises:
        SettingsError: an entry is not of the form NAME=VOICE or NAME=VOICE@RATE.
    """
    found = {}
    for entry in settings.voice_map:
        name, sign, voice = (part.strip() for part in entry.partition("="))
        if not (name and sign and voice):
            raise SettingsError(f"voice_map: got {entry!r}, expected NAME=VOICE or NAME=VOICE@RATE")
        found[name] = _alias(voice, entry)
    return found


def _alias(voice: str, entry: str) -> VoiceAlias:
    """Parse `VOICE` or `VOICE@RATE`; an `@` before anything but a number is part of the name."""
    match = _RATED_VOICE.fullmatch(voice)
    if match is None:
        return VoiceAlias(voice)
    rate, (lowest, highest) = float(match["rate"]), SPEED_RANGE
    if not lowest <= rate <= highest:
        raise SettingsError(
            f"voice_map: got the rate {match['rate']} in {entry!r}, expected {lowest:g} to {highest:g}"
        )
    return VoiceAlias(match["voice"], rate)
