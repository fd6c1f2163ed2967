from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.style_tables import STYLE_VALUES, StyleTable
from wyoming_tts.voices.blends.voice_map import map_voices


def table(*values: float) -> StyleTable:
    style = np.zeros((3, 1, STYLE_VALUES), np.float32)
    style[..., : len(values)] = values
    return style


def random_styles(count: int, seed: int) -> dict[str, StyleTable]:
    made = np.random.default_rng(seed).normal(size=(count, 5, 1, STYLE_VALUES)).astype(np.float32)
    return {f"voice {number}": style for number, style in enumerate(made)}


def test_voices_lie_along_what_differs_most_between_them() -> None:
    points = map_voices({"low": table(-3, 0.1), "high": table(3, 0.1), "other": table(0, 0.4)})
    assert points["high"].x == pytest.approx(-points["low"].x)
    assert abs(points["high"].x) == pytest.approx(1.0)
    assert abs(points["other"].x) < 0.01
    assert abs(points["other"].y) > abs(points["high"].y)


@given(count=st.integers(2, 12), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_a_mix_lies_where_the_weighted_mean_of_its_voices_is(count: int, seed: int, share: float) -> None:
    styles = random_styles(count, seed)
    points = np.array([*map_voices(styles).values()])
    mean = np.mean([style.mean(axis=(0, 1)) for style in styles.values()], axis=0)
    first, second = (style.mean(axis=(0, 1)) - mean for style in [*styles.values()][:2])
    axes = np.linalg.lstsq(
        np.array([style.mean(axis=(0, 1)) - mean for style in styles.values()]), points, rcond=None
    )[0]
    mixed = (share * first + (1 - share) * second) @ axes
    assert mixed == pytest.approx(share * points[0] + (1 - share) * points[1], abs=1e-4)


def test_the_same_voices_make_the_same_map_within_its_bounds() -> None:
    styles = random_styles(20, 1)
    points = map_voices(styles)
    assert points == map_voices(styles)
    assert max(abs(value) for point in points.values() for value in point) == pytest.approx(1.0)


def test_one_voice_or_equal_ones_lie_in_the_middle_and_none_make_no_map() -> None:
    assert map_voices({}) == {}
    assert map_voices({"alone": table(1, 2)}) == {"alone": (0.0, 0.0)}
    assert set(map_voices({"one": table(1), "two": table(1)}).values()) == {(0.0, 0.0)}
