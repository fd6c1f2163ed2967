"""Merging of prosody: the server's settings, the client's request and markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.speech import PITCH_RANGE, SPEED_RANGE, VOLUME_RANGE, Prosody, Segment
from wyoming_tts.synthesis.prosody import merge_prosody

PLAIN = Segment("One.")


def within(bounds: tuple[float, float]) -> st.SearchStrategy[float]:
    return st.floats(*bounds)


scales = st.none() | st.floats(0.01, 10.0)
prosodies = st.builds(
    Prosody,
    speed=within(SPEED_RANGE),
    pitch=within(PITCH_RANGE),
    volume=within(VOLUME_RANGE),
    length_scale=scales,
    noise_scale=scales,
    noise_w_scale=scales,
)
segments = st.builds(
    Segment, st.just("One."), rate=within(SPEED_RANGE), volume=within(VOLUME_RANGE), pitch=within(PITCH_RANGE)
)


@given(prosodies)
def test_a_neutral_request_gets_the_settings(settings: Prosody) -> None:
    assert merge_prosody(settings, Prosody(), PLAIN) == settings


@given(prosodies)
def test_with_neutral_settings_the_request_is_used_unchanged(request: Prosody) -> None:
    assert merge_prosody(Prosody(), request, PLAIN) == request


def test_speed_pitch_and_volume_are_multiplied() -> None:
    settings = Prosody(speed=1.2, pitch=1.2, volume=0.5)
    segment = Segment("One.", rate=0.5, volume=0.5, pitch=1.25)
    merged = merge_prosody(settings, Prosody(speed=2.0, pitch=0.5, volume=3.0), segment)
    assert (merged.speed, merged.pitch, merged.volume) == pytest.approx((1.2, 0.75, 0.75))


def test_scales_of_the_request_replace_those_of_the_settings() -> None:
    settings = Prosody(length_scale=1.1, noise_scale=0.6, noise_w_scale=0.8)
    merged = merge_prosody(settings, Prosody(length_scale=2.0, noise_scale=0.0), PLAIN)
    assert merged == Prosody(length_scale=2.0, noise_scale=0.0, noise_w_scale=0.8)


def test_products_are_clamped_to_the_supported_range() -> None:
    merged = merge_prosody(
        Prosody(speed=2.0, pitch=1.5, volume=2.0), Prosody(speed=4.0, pitch=2.0, volume=4.0), PLAIN
    )
    assert (merged.speed, merged.pitch, merged.volume) == (4.0, 2.0, 4.0)
    slow = merge_prosody(Prosody(speed=0.5, pitch=0.5), Prosody(speed=0.25, pitch=0.5), PLAIN)
    assert (slow.speed, slow.pitch) == (0.25, 0.5)


@given(prosodies, prosodies, segments)
def test_merged_factors_always_stay_within_their_ranges(
    settings: Prosody, request: Prosody, segment: Segment
) -> None:
    merged = merge_prosody(settings, request, segment)
    assert SPEED_RANGE[0] <= merged.speed <= SPEED_RANGE[1]
    assert PITCH_RANGE[0] <= merged.pitch <= PITCH_RANGE[1]
    assert VOLUME_RANGE[0] <= merged.volume <= VOLUME_RANGE[1]
