"""Statistics of a voice's generator, predicted for a sentence before it is decoded, by Gaussian processes.

The generator's instance norms take the mean and the variance of each channel over the whole sentence. They
differ between voices by far more than between the sentences of a voice, and between these mostly with what is
known before they are decoded: how long a sentence is, how much of it is voiced or quiet, how loud and how
lively, and the means and spreads of the channels that the decoder blocks make. For each voice the means and
the logarithms of the variances are predicted from sentences that were decoded whole. There are few of them
and many features, so it is regression with a kernel (a linear one), which also tells how far a sentence is
from those: where it is unlike all of them, nothing is predicted.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

ENOUGH: Final = 12
"""Sentences from which on a voice can be predicted: with 8 the error is a fifth larger than with 16, and
with 12 by a tenth."""
CALIBRATED: Final = 16
"""Sentences that a voice is calibrated with. Twice as many would make the error a seventh smaller."""

_SCALARS = 5
"""Features that are no channels'; they weigh as much as all channels together."""
_VOICED_HZ = 10.0
_QUIET_BELOW = 4.0
"""How far below the loudest frames the energy, a logarithm, is in pauses."""
_LOUD_PERCENTILE = 95
_NOISE = 0.1
"""What sentences with the same features differ by, relative to the variance of the features, of which there
are two kinds. From a third to three times of it are as good."""
_MOST_DOUBT = 1.0
"""Largest variance of a prediction, where that of an average sentence, knowing nothing, is two. The error
grows with it (correlation 0.95): below 0.6 in sentences over five seconds, up to 1.5 in some of 2.5 seconds,
20 in single words. Spectra were 2.5 dB from the whole decode below 1.0, 3.0 between that and 1.5."""
_MOST_CHANGE = 1.5
"""Of the logarithm of a variance by the features: what is predicted beyond was never seen."""
_LEAST_VARIANCE = 1e-12
_MOST_HEARD = 8
"""Sentences that are kept beside those of the calibration: few enough that they never outweigh these."""
_LEAST_SPREAD = 1e-6
"""Of a feature, relative to its size; others are constant and tell nothing."""


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


def sentence_features(pitch: Values, energy: Values, frames: Values) -> Values:
    """What is known of a sentence before the generator runs, shape (5 + 2 * channels,).

    Args:
        pitch: in Hz for each frame, 0 where it is unvoiced; shape (frames,).
        energy: as a logarithm for each frame, likewise.
        frames: what the decoder blocks make of it, shape (channels, frames).
    """
    with np.errstate(all="ignore"):  # a style from anywhere may make them infinite: then it is not predicted
        loud = np.percentile(energy, _LOUD_PERCENTILE)
        scalars = [
            1 / len(pitch),
            np.mean(pitch > _VOICED_HZ),
            np.mean(energy),
            np.std(energy),
            np.mean(energy < loud - _QUIET_BELOW),
        ]
        spreads = np.log(np.maximum(frames.std(axis=1), _LEAST_SPREAD))
        return np.concatenate([scalars, frames.mean(axis=1), spreads]).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A sentence that was decoded whole."""

    features: Values
    values: Values
    """The means, then the logarithms of the variances."""
    loudest: float
    is_of_calibration: bool


class VoiceStatistics:
    """What was learned of one voice."""

    def __init__(self, channels: int) -> None:
        """Begin without a sentence.

        Args:
            channels: of all norms.
        """
        self._channels = channels
        self._seen: list[_Seen] = []
        self.calibrated = 0
        """Sentences of its calibration that are done, whether they could be learned from or not."""

    def __repr__(self) -> str:
        return f"<VoiceStatistics of {len(self._seen)} sentences, calibrated with {self.calibrated}>"

    @property
    def is_enough(self) -> bool:
        """Whether it was learned from as many sentences as a prediction needs."""
        return len(self._seen) >= ENOUGH

    @property
    def is_calibrated(self) -> bool:
        """Whether all sentences of a calibration are done."""
        return self.calibrated >= CALIBRATED

    def learn(
        self, features: Values, statistics: NormStatistics, *, loudest: float, calibrating: bool = False
    ) -> None:
        """Add a sentence that was decoded whole, unless it is nothing new, or not finite.

        Args:
            features: as `sentence_features`.
            statistics: that its norms took.
            loudest: as in `Prediction`.
            calibrating: whether it is a sentence of the voice's calibration. Of others the last few count.
        """
        with np.errstate(invalid="ignore"):
            logarithms = np.log(np.maximum(statistics.variances, _LEAST_VARIANCE))
        values = np.concatenate([statistics.means, logarithms]).astype(np.float32)
        is_finite = all(np.isfinite(each).all() for each in (features, values, loudest))
        if is_finite and not any(np.array_equal(features, seen.features) for seen in self._seen):
            self._seen.append(_Seen(features, values, loudest, calibrating))
            self._forget_heard()

    def _forget_heard(self) -> None:
        heard = [number for number, seen in enumerate(self._seen) if not seen.is_of_calibration]
        if len(heard) > _MOST_HEARD:
            del self._seen[heard[0]]

    def predict(self, features: Values) -> Prediction | None:
        """Predict a sentence; None if it is unlike those that were seen, or they are too few."""
        if not self.is_enough:
            return None
        weights, doubt = _weigh(features, np.stack([seen.features for seen in self._seen]))
        if not doubt <= _MOST_DOUBT:
            return None
        values = np.stack([seen.values for seen in self._seen])
        means, logarithms = np.split(values.mean(axis=0), 2)
        change_of_means, change_of_logarithms = np.split(weights @ values, 2)
        variances = np.exp(logarithms + np.clip(change_of_logarithms, -_MOST_CHANGE, _MOST_CHANGE))
        loudest = float(np.mean([seen.loudest for seen in self._seen]))
        return Prediction(NormStatistics(means + change_of_means, variances), loudest)

    def to_bytes(self) -> bytes:
        """Serialize it, as an npz archive."""
        buffer = io.BytesIO()
        sentences = [*self._seen]  # another thread may add one
        arrays: dict[str, Any] = {
            name: np.array([getattr(seen, name) for seen in sentences], dtype)
            for name, dtype in _TYPES.items()
        }
        np.savez(buffer, calibrated=np.array(self.calibrated), **arrays)
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
                columns = {name: archive[name] for name in _TYPES}
                made.calibrated = int(archive["calibrated"])
        except Exception as error:
            raise ValueError(f"the archive cannot be read: {error}") from error
        _check_columns(columns, channels)
        made._seen = [
            _Seen(features, values, float(loudest), bool(is_of_calibration))
            for features, values, loudest, is_of_calibration in zip(*columns.values(), strict=True)
        ]
        return made


_TYPES: Final[Mapping[str, type]] = {
    "features": np.float32,
    "values": np.float32,
    "loudest": np.float64,
    "is_of_calibration": np.bool_,
}


def _check_columns(columns: Mapping[str, npt.NDArray[Any]], channels: int) -> None:
    counts = {len(column) if column.ndim else -1 for column in columns.values()}
    expected = (*counts, 2 * channels)
    if columns["features"].ndim != 2 or columns["values"].shape != expected:  # noqa: PLR2004  # a table
        raise ValueError(f"its values have the shape {columns['values'].shape}, expected {expected}")
    for name, column in columns.items():
        if column.dtype != _TYPES[name] or not np.isfinite(column).all():
            raise ValueError(f"its {name} are no finite numbers of the expected type")


def _weigh(features: Values, seen: Values) -> tuple[Values, float]:
    """How much of each sentence another one has beside their mean, and the variance of such a prediction.

    Args:
        features: of the other.
        seen: of the sentences, shape (n, features).
    """
    known = seen.astype(np.float64)
    mean, spread = known.mean(axis=0), known.std(axis=0)
    tells = spread > _LEAST_SPREAD * (1 + np.abs(mean))
    scale = tells / np.where(tells, spread, 1.0)
    scale[:_SCALARS] /= np.sqrt(_SCALARS)
    scale[_SCALARS:] /= np.sqrt(max(1, len(mean) - _SCALARS))
    points, point = (known - mean) * scale, (features - mean) * scale
    along = points @ point
    weights = np.linalg.solve(points @ points.T + _NOISE * np.eye(len(points)), along)
    doubt = float(point @ point - along @ weights)
    return (weights - weights.mean()).astype(np.float32), doubt
