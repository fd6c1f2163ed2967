from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.bench.percentiles import Percentiles, median, percentile, percentiles, ratio

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50)


@given(VALUES, st.floats(0.0, 100.0))
def test_percentile_interpolates_like_numpy(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), abs=1e-6)


@pytest.mark.parametrize(("values", "percent"), [([], 50.0), ([1.0], 100.5), ([1.0], -1.0)])
def test_percentile_refuses_empty_input_and_values_outside_0_to_100(
    values: list[float], percent: float
) -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        percentile(values, percent)


def test_percentiles_summarize_all_values() -> None:
    spread = percentiles(float(value) for value in range(101))
    assert spread == Percentiles(50.0, 95.0, 99.0, 101)
    assert percentiles([]) is None


def test_median_skips_missing_values() -> None:
    assert median([3.0, None, 1.0, 2.0, None]) == 2.0
    assert median([1.0, 2.0]) == 1.5
    assert median([None]) is None


def test_ratio_requires_both_values() -> None:
    assert ratio(1.0, 4.0) == 0.25
    assert ratio(0.0, 4.0) == 0.0
    assert ratio(None, 4.0) is None
    assert ratio(1.0, None) is None
    assert ratio(1.0, 0.0) is None
