"""How the server's settings, a client's wish and markup come together."""

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
def test_a_client_that_asks_for_nothing_gets_the_settings(settings: Prosody) -> None:
    assert merge_prosody(settings, Prosody(), PLAIN) == settings


@given(prosodies)
def test_on_neutral_settings_a_client_gets_what_it_asks_for(asked: Prosody) -> None:
    assert merge_prosody(Prosody(), asked, PLAIN) == asked


def test_factors_multiply() -> None:
    settings = Prosody(speed=1.2, pitch=1.2, volume=0.5)
    segment = Segment("One.", rate=0.5, volume=0.5, pitch=1.25)
    merged = merge_prosody(settings, Prosody(speed=2.0, pitch=0.5, volume=3.0), segment)
    assert (merged.speed, merged.pitch, merged.volume) == pytest.approx((1.2, 0.75, 0.75))


def test_scales_of_the_client_replace_those_of_the_settings() -> None:
    settings = Prosody(length_scale=1.1, noise_scale=0.6, noise_w_scale=0.8)
    merged = merge_prosody(settings, Prosody(length_scale=2.0, noise_scale=0.0), PLAIN)
    assert merged == Prosody(length_scale=2.0, noise_scale=0.0, noise_w_scale=0.8)


def test_a_product_that_no_engine_can_do_is_clamped() -> None:
    merged = merge_prosody(
        Prosody(speed=2.0, pitch=1.5, volume=2.0), Prosody(speed=4.0, pitch=2.0, volume=4.0), PLAIN
    )
    assert (merged.speed, merged.pitch, merged.volume) == (4.0, 2.0, 4.0)
    slow = merge_prosody(Prosody(speed=0.5, pitch=0.5), Prosody(speed=0.25, pitch=0.5), PLAIN)
    assert (slow.speed, slow.pitch) == (0.25, 0.5)


@given(prosodies, prosodies, segments)
def test_every_factor_stays_in_its_bounds(settings: Prosody, asked: Prosody, segment: Segment) -> None:
    merged = merge_prosody(settings, asked, segment)
    assert SPEED_RANGE[0] <= merged.speed <= SPEED_RANGE[1]
    assert PITCH_RANGE[0] <= merged.pitch <= PITCH_RANGE[1]
    assert VOLUME_RANGE[0] <= merged.volume <= VOLUME_RANGE[1]
