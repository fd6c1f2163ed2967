"""Number of hypothesis examples of a test, scaled by the profile."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100


def scaled_examples(number: int) -> int:
    """Scale a number of examples: all of them each night, proportionally fewer in other runs."""
    return max(1, number * settings().max_examples // _USUAL)
