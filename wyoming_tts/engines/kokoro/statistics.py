"""Statistics of a voice's generator, predicted for a sentence before it is decoded.

The generator's instance norms take the mean and the variance of each channel over the whole sentence. They
differ between voices by far more than between the sentences of a voice, and between these mostly with a few
properties that are known before decoding: how long it is, how much of it is voiced or quiet, how loud and
how lively. For each voice a linear regression (ridge) of all means and logarithms of variances on these is
learned from sentences that were decoded whole. It is updated with each further one (Welford, 1962).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ENOUGH: Final = 12
"""Sentences from which on a voice can be predicted: with 8 the error is a fifth larger than with 16."""
CALIBRATED: Final = 16
"""Sentences that a voice is calibrated with; what it speaks meanwhile counts among them."""

_FEATURES = 5
_VOICED_HZ = 10.0
_QUIET_BELOW = 4.0
"""How far below the loudest frames the energy, a logarithm, is in pauses."""
_LOUD_PERCENTILE = 95
_RIDGE = 1 / 48
"""Of the number of sentences: little, since five numbers hardly overfit sixteen sentences."""
_BEYOND = 0.5
"""How far a sentence's features may lie outside of those that were seen, in widths of their range."""
_MOST_CHANGE = 1.5
"""Of the logarithm of a variance by the features: what is predicted beyond was never seen."""
_LEAST_VARIANCE = 1e-12
_MOST_SENTENCES = 512
"""Sentences that count: later ones go on to refine it, as if it were of these."""
_LEAST_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class NormStatistics:
    """Means and variances of all channels of all norms, in their order, shape (channels,)."""

    means: Values
    variances: Values


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a sentence will be like."""

    statistics: NormStatistics
    loudest: float
    """Power of its loudest frame of 5 ms, of samples between -1 and 1."""


def sentence_features(pitch: Values, energy: Values) -> Doubles:
    """What is known of a sentence before it is decoded, shape (5,).

    Args:
        pitch: in Hz for each frame, 0 where it is unvoiced; shape (frames,).
        energy: as a logarithm for each frame, likewise.
    """
    loud = np.percentile(energy, _LOUD_PERCENTILE)
    features = [
        1 / len(pitch),
        np.mean(pitch > _VOICED_HZ),
        np.mean(energy),
        np.std(energy),
        np.mean(energy < loud - _QUIET_BELOW),
    ]
    return np.array(features, dtype=np.float64)


class VoiceStatistics:
    """What was learned of one voice."""

    def __init__(self, channels: int) -> None:
        """Begin without a sentence.

        Args:
            channels: of all norms.
        """
        self._channels = channels
        self.count = 0
        """Sentences that it was learned from."""
        self._features: Doubles = np.zeros(_FEATURES)
        self._values: Doubles = np.zeros(2 * channels)
        self._square: Doubles = np.zeros((_FEATURES, _FEATURES))
        self._product: Values = np.zeros((_FEATURES, 2 * channels), np.float32)
        self._loudest: Doubles = np.zeros(1)
        self._low: Doubles = np.full(_FEATURES, np.inf)
        self._high: Doubles = np.full(_FEATURES, -np.inf)

    def __repr__(self) -> str:
        return f"<VoiceStatistics of {self.count} sentences>"

    @property
    def is_enough(self) -> bool:
        """Whether it was learned from as many sentences as a prediction needs."""
        return self.count >= ENOUGH

    @property
    def is_calibrated(self) -> bool:
        """Whether it was learned from as many sentences as a calibration has."""
        return self.count >= CALIBRATED

    def learn(self, features: Doubles, statistics: NormStatistics, *, loudest: float) -> None:
        """Add a sentence that was decoded whole; `loudest` as in `Prediction`."""
        logarithms = np.log(np.maximum(statistics.variances, _LEAST_VARIANCE))
        values = np.concatenate([statistics.means, logarithms]).astype(np.float64)
        if self.count >= _MOST_SENTENCES:
            self._forget_one()
        self.count += 1
        self._loudest += (loudest - self._loudest) / self.count
        off = features - self._features
        self._features += off / self.count
        off_values = values - self._values
        self._values += off_values / self.count
        self._square += np.outer(off, features - self._features)
        self._product += np.outer(off, values - self._values).astype(np.float32)
        self._low, self._high = np.minimum(self._low, features), np.maximum(self._high, features)

    def predict(self, features: Doubles) -> Prediction | None:
        """Predict a sentence; None if it is unlike those that were seen, or they are too few."""
        if not self.is_enough or not self._has_seen(features):
            return None
        spread = np.sqrt(np.diag(self._square) / self.count) + _LEAST_SPREAD
        square = self._square / np.outer(spread, spread) + np.eye(_FEATURES) * _RIDGE * self.count
        weights = np.linalg.solve(square, (features - self._features) / spread)
        change = (weights / spread) @ self._product
        means, logarithms = np.split(self._values, 2)
        change_of_means, change_of_logarithms = np.split(change, 2)
        variances = np.exp(logarithms + np.clip(change_of_logarithms, -_MOST_CHANGE, _MOST_CHANGE))
        statistics = NormStatistics(
            (means + change_of_means).astype(np.float32), variances.astype(np.float32)
        )
        return Prediction(statistics, float(self._loudest[0]))

    def _has_seen(self, features: Doubles) -> bool:
        slack = _BEYOND * (self._high - self._low)
        return bool(np.all(features >= self._low - slack) and np.all(features <= self._high + slack))

    def _forget_one(self) -> None:
        kept = (self.count - 1) / self.count
        self._square *= kept
        self._product *= np.float32(kept)
        self.count -= 1

    def to_bytes(self) -> bytes:
        """Serialize it, as an npz archive."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, f"_{name}") for name in _ARRAYS}
        np.savez(buffer, count=np.array(self.count), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, channels: int) -> VoiceStatistics:
        """Parse what `to_bytes` made.

        Raises:
            ValueError: it is damaged, or of another model.
        """
        made = cls(channels)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in ("count", *_ARRAYS)}
        except Exception as error:
            raise ValueError(f"the archive cannot be read: {error}") from error
        for name in _ARRAYS:
            expected, got = getattr(made, f"_{name}"), arrays[name]
            if got.shape != expected.shape or got.dtype != expected.dtype or np.isnan(got).any():
                raise ValueError(f"its {name} have the shape {got.shape}, expected {expected.shape}")
            setattr(made, f"_{name}", got)
        made.count = int(arrays["count"])
        return made


_ARRAYS = ("features", "values", "square", "product", "loudest", "low", "high")
