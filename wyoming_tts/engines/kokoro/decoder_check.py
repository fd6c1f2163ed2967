"""Comparison of a decoder in parts with the graph that it replaces, before a voice speaks with it.

One short utterance is decoded in all ways: by the generator as it was, by the one written anew on all of it,
and by that one in chunks with the statistics that the whole had; and the samples of the inverse transform are
compared with those of the graph. What is left of a difference comes from sums in another order.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from wyoming_tts.engines.kokoro.spectrum import InverseTransform

LEAST_DECIBELS: Final = 90.0
"""Least power of values over that of their difference from the original: 16-bit samples have 96 dB. Known
models have 110 or more."""
LEAST_DECIBELS_OF_CHUNKS: Final = 80.0
LEAST_DECIBELS_OF_TRANSFORM: Final = 60.0
"""A window whose weights have 16 bits has 73, another window less than 30."""

Values = npt.NDArray[np.float32]


class NotTheSame(Exception):
    """A part computes something else; the message says what, and follows a colon."""


def compare(what: str, got: Values, expected: Values, least: float = LEAST_DECIBELS) -> None:
    """Compare values with those of the original.

    Raises:
        NotTheSame: they differ by more than is allowed.
    """
    if got.shape != expected.shape:
        raise NotTheSame(f"its {what} has the shape {got.shape}, expected {expected.shape}")
    power, error = (float(np.square(each, dtype=np.float64).sum()) for each in (expected, expected - got))
    if error > power / 10 ** (least / 10):
        raise NotTheSame(f"its {what} is another by {error / max(power, 1e-30):.1e} of its power")


def transform_scale(spectrum: Values, samples: Values, bins: int) -> float:
    """By what the samples of an inverse transform have to be multiplied to be those of the graph.

    Args:
        spectrum: shape (bins + 2, columns).
        samples: what the graph makes of it, shape (n,).
        bins: length of the transform.

    Raises:
        NotTheSame: they are others, and not only louder.
    """
    transform = InverseTransform(bins)
    made = np.concatenate([transform.add(spectrum), transform.finish()])
    if made.shape != samples.shape:
        raise NotTheSame(f"its transform makes {len(samples)} samples, expected {len(made)}")
    # Exports divide the first samples, where columns are missing, in different ways.
    made, samples = made[bins:], samples[bins:]
    scale = float(np.dot(made, samples) / max(float(np.dot(made, made)), 1e-30))
    compare("inverse transform", made * np.float32(scale), samples, LEAST_DECIBELS_OF_TRANSFORM)
    return scale
