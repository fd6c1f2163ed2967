"""How many examples of what is drawn a test tries."""

from __future__ import annotations

from hypothesis import settings

_USUAL = 100


def examples(number: int) -> int:
    """So many where everything is run; fewer in a fast run, in the proportion that its profile has."""
    return max(1, number * settings().max_examples // _USUAL)
