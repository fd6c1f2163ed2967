"""Trimming of batches that were spoken apart, and the pauses between them.

The model puts silence around every pass, never twice the same. It is trimmed, and the pause that the
punctuation calls for takes its place. Sound is faded in from zero and out to zero: a jump from one sample
to the next is heard as a click.
"""

from __future__ import annotations

import numpy as np

from wyoming_tts.engines.kokoro.batches import CLAUSE_MARKS, STOPS
from wyoming_tts.speech import Samples

SAMPLE_RATE = 24000
"""Hz; every Kokoro model speaks at this rate."""

SENTENCE_PAUSE = 0.25
"""Seconds after a mark that ends a sentence, at the voice's own speed."""
CLAUSE_PAUSE = 0.1
"""Seconds after a mark within a sentence, at the voice's own speed."""

_FRAME = 120
_SILENCE = 1e-6
"""Power of a frame (5 ms) relative to the loudest frame; what is lower (-60 dB) is silence. A consonant at
the start of a word can be 45 dB below its vowels. Windows of 85 ms, common for trimming speech, find the
same sound but keep 45 ms of silence at each edge, heard as a halt where a cut is between words."""
_MARGIN = 240
"""Samples kept around the sound (10 ms): room for the fade."""
_FADE = 48
"""Samples (2 ms); shorter is still heard as a click, longer takes the attack off a plosive."""


def pause_after(mark: str, speed: float) -> float:
    """Seconds of silence after a punctuation mark (empty: none) at `speed`."""
    if not mark:
        return 0.0
    if mark in STOPS:
        return SENTENCE_PAUSE / speed
    return CLAUSE_PAUSE / speed if mark in CLAUSE_MARKS else 0.0


def trim(samples: Samples, pause: float) -> Samples:
    """Trim the silence around the sound of a batch, fade it in and out, and append a pause.

    Args:
        samples: one batch as the model made it, shape (n,); not changed.
        pause: seconds.

    Returns:
        Shape (m,), float32; the first and the last sample are zero. Nothing if all of it is silence.
    """
    start, end = _find_sound(samples)
    if start == end:
        return np.zeros(0, np.float32)
    padded: Samples = np.pad(samples[start:end], (0, round(pause * SAMPLE_RATE)))
    fade = min(_FADE, (end - start + 1) // 2)
    ramp = np.linspace(0.0, 1.0, fade, endpoint=False, dtype=np.float32)
    padded[:fade] *= ramp
    padded[end - start - fade : end - start] *= ramp[::-1]
    return padded


def _find_sound(samples: Samples) -> tuple[int, int]:
    """Where the sound starts and ends, with its margin; both the same if there is none."""
    whole = np.pad(samples, (0, -len(samples) % _FRAME)).reshape(-1, _FRAME)
    power = np.square(whole).mean(axis=1)
    loud = np.flatnonzero(power > power.max(initial=0.0) * _SILENCE)
    if not loud.size:
        return 0, 0
    start, end = int(loud[0]) * _FRAME, (int(loud[-1]) + 1) * _FRAME
    return max(0, start - _MARGIN), min(len(samples), end + _MARGIN)
