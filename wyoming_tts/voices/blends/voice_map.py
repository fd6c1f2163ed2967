"""Voice map: where voices lie in the plane of their two principal components (PCA of the style vectors).

Mixing styles is linear, and so is the projection: a mix lies at the weighted mean of its voices' points.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from wyoming_tts.style_tables import StyleTable

_Vectors: TypeAlias = npt.NDArray[np.float64]


class MapPoint(NamedTuple):
    """A point of the map; the farthest from the middle has a coordinate of 1 or -1."""

    x: float
    y: float


def map_voices(styles: Mapping[str, StyleTable]) -> dict[str, MapPoint]:
    """Return the point of each voice, by the mean of its style table's rows.

    The axes are the principal components (Pearson, 1901) by a singular value decomposition; each points to
    where its largest weight is positive, so that the same voices make the same map. Takes a few milliseconds
    for a pack: blocks.
    """
    if not styles:
        return {}
    vectors: _Vectors = np.array([table.mean(axis=(0, 1), dtype=np.float64) for table in styles.values()])
    points = _principal_components(vectors - vectors.mean(axis=0))
    points /= np.abs(points).max() or 1.0
    return {name: MapPoint(*map(float, point)) for name, point in zip(styles, points, strict=True)}


def _principal_components(centred: _Vectors) -> _Vectors:
    """Project vectors to their first two principal components: shape (n, 2)."""
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    axes = np.pad(axes, ((0, 2 - len(axes)), (0, 0)))  # a single voice has one component
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    projected: _Vectors = centred @ (axes * np.where(largest < 0, -1.0, 1.0)).T
    return projected
