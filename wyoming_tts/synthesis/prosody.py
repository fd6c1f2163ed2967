"""Prosody merge: server settings, a client's request relative to them, and markup become what is rendered.

Speed, volume and pitch are factors and multiply; Piper's scales are absolute, so the client's replace the
server's. Each factor is within bounds by itself, their product need not be: it is clamped to the same bounds,
so a client's speed of 4.0 on a setting of 2.0 is 4.0.
"""

from __future__ import annotations

from wyoming_tts.speech import PITCH_RANGE, SPEED_RANGE, VOLUME_RANGE, Prosody, Segment


def merge_prosody(settings: Prosody, requested: Prosody, segment: Segment, *, rate: float = 1.0) -> Prosody:
    """Return the prosody that a segment is rendered with; `rate` is that of the voice, `VoiceSpec.rate`."""
    return Prosody(
        speed=_clamp(settings.speed * requested.speed * rate * segment.rate, SPEED_RANGE),
        pitch=_clamp(settings.pitch * requested.pitch * segment.pitch, PITCH_RANGE),
        volume=_clamp(settings.volume * requested.volume * segment.volume, VOLUME_RANGE),
        length_scale=_override(settings.length_scale, requested.length_scale),
        noise_scale=_override(settings.noise_scale, requested.noise_scale),
        noise_w_scale=_override(settings.noise_w_scale, requested.noise_w_scale),
    )


def _clamp(value: float, bounds: tuple[float, float]) -> float:
    lowest, highest = bounds
    return min(max(value, lowest), highest)


def _override(setting: float | None, requested: float | None) -> float | None:
    return setting if requested is None else requested
