"""Options of the HTTP side, from the settings; apart from `options` because it imports FastAPI."""

from __future__ import annotations

from wyoming_tts.assembly.options import MEGABYTE, connection_limits, http_host
from wyoming_tts.encoders import EncoderOptions
from wyoming_tts.encoders.packet_encoder import opus_pre_skip
from wyoming_tts.settings import Settings
from wyoming_tts.transports.http.app import HttpOptions, HttpServerOptions
from wyoming_tts.transports.realtime.route import RealtimeOptions
from wyoming_tts.transports.realtime.session import OpusFormat, RealtimeLimits


def http_options(settings: Settings) -> HttpOptions:
    """Limits and encoders of the HTTP API."""
    return HttpOptions(
        max_text_chars=settings.max_text_chars,
        max_words=settings.max_utterance_words,
        send_timeout=settings.send_timeout,
        stream_prime_bytes=settings.stream_prime_bytes // 2 * 2,
        kept_audio_bytes=settings.kept_audio * MEGABYTE,
        allow_unload=settings.allow_unload,
        busy_status=int(settings.busy_status),
        log_requests=settings.log_requests,
        encoders=_encoder_options(settings),
    )


def server_options(settings: Settings) -> HttpServerOptions:
    """Address, certificate and limits of the HTTP server."""
    return HttpServerOptions(
        host=http_host(settings),
        port=settings.http_port,
        certificate=settings.http_certificate,
        key=settings.http_key,
        connections=connection_limits(settings),
    )


def realtime_options(settings: Settings) -> RealtimeOptions:
    """Limits, timeouts and encoders of the realtime WebSocket; not for an event loop."""
    encoders = _encoder_options(settings)
    pre_skip = opus_pre_skip(encoders)
    return RealtimeOptions(
        limits=RealtimeLimits(text_chars=settings.max_text_chars, text_words=settings.max_utterance_words),
        flush_idle=settings.realtime_flush_idle_ms / 1000,
        idle_timeout=settings.idle_timeout,
        send_timeout=settings.send_timeout,
        slow_send=settings.slow_send_log_ms / 1000,
        prime_bytes=settings.stream_prime_bytes // 2 * 2,
        encoders=encoders,
        opus=None if pre_skip is None else OpusFormat(pre_skip),
    )


def _encoder_options(settings: Settings) -> EncoderOptions:
    return EncoderOptions(
        mp3_bitrate=settings.mp3_bitrate,
        opus_bitrate=settings.opus_bitrate,
        opus_complexity=settings.opus_complexity,
        opus_application=settings.opus_application,
    )
