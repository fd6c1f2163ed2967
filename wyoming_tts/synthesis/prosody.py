"""Prosody merge: the settings, what a client asks relative to them, and markup, into what an engine is given.

Speed, volume and pitch are factors and multiply; Piper's scales are absolute, so the client's replace the
server's. Each of the factors is in bounds by itself, their product need not be: it is clamped to the same
bounds, so a client's 4.0 on a setting of 2.0 is 4.0.
"""

from __future__ import annotations

from wyoming_tts.speech import PITCHES, SPEEDS, VOLUMES, Prosody, Segment


def merge_prosody(settings: Prosody, asked: Prosody, segment: Segment) -> Prosody:
    """Return how a segment is rendered."""
    return Prosody(
        speed=_clamped(settings.speed * asked.speed * segment.rate, SPEEDS),
        pitch=_clamped(settings.pitch * asked.pitch * segment.pitch, PITCHES),
        volume=_clamped(settings.volume * asked.volume * segment.volume, VOLUMES),
        length_scale=_replaced(settings.length_scale, asked.length_scale),
        noise_scale=_replaced(settings.noise_scale, asked.noise_scale),
        noise_w_scale=_replaced(settings.noise_w_scale, asked.noise_w_scale),
    )


def _clamped(value: float, bounds: tuple[float, float]) -> float:
    least, most = bounds
    return min(max(value, least), most)


def _replaced(own: float | None, asked: float | None) -> float | None:
    return own if asked is None else asked
