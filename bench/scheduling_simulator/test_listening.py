"""What a listener heard: gaps and the clairvoyant start, by cases made by hand and by properties."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scheduling_simulator.listening import AUDIBLE_GAP, Listening

RATE = 1_000


def listening(
    pieces: Sequence[tuple[float, float]], *, known_at: float = 0.0, start: float = 0.0
) -> Listening:
    """One segment whose pieces, seconds of audio and when each was complete, are heard from `start` on."""
    heard = Listening(0.0, (known_at,), RATE)
    heard.begin_segment()
    for seconds, completed_at in pieces:
        heard.add_piece(round(seconds * RATE)).complete(completed_at)
        heard.deliver(round(seconds * RATE), max(start, completed_at))
    return heard


def test_audio_that_comes_before_the_rest_is_played_leaves_no_gap() -> None:
    assert listening([(1.0, 0.5), (1.0, 1.5), (1.0, 2.0)]).gaps() == []


def test_a_gap_is_as_long_as_the_listener_is_dry_and_playing_goes_on_after_it() -> None:
    assert listening([(1.0, 0.5), (1.0, 2.0), (1.0, 3.4)]).gaps() == pytest.approx([0.5, 0.4])


def test_a_gap_that_no_player_lets_hear_is_none() -> None:
    assert listening([(1.0, 0.0), (1.0, 1.019)]).gaps() == []
    assert listening([(1.0, 0.0), (1.0, 1.021)]).gaps() == pytest.approx([0.021])


def test_silence_until_the_text_is_written_is_no_gap() -> None:
    heard = Listening(0.0, (0.0, 5.0), RATE)
    for completed_at in (1.0, 6.0):
        heard.begin_segment()
        heard.add_piece(RATE).complete(completed_at)
        heard.deliver(RATE, completed_at)
    assert heard.gaps() == []


def test_audio_may_be_delivered_in_other_pieces_than_it_was_made_in() -> None:
    heard = Listening(0.0, (0.0, 1.5), RATE)
    for completed_at in (1.0, 2.0):
        heard.begin_segment()
        heard.add_piece(RATE).complete(completed_at)
    for at in (2.0, 2.3, 2.6, 9.0):
        heard.deliver(RATE // 2, at)
    assert heard.gaps() == pytest.approx([9.0 - 3.5])


def test_the_clairvoyant_start_covers_the_worst_deficit() -> None:
    # The third piece, complete at 6 s, is needed two seconds after the start.
    assert listening([(1.0, 0.5), (1.0, 2.0), (1.0, 6.0), (9.0, 6.5)]).clairvoyant_start == pytest.approx(4.0)


def test_on_a_machine_that_keeps_up_the_clairvoyant_start_is_the_first_audio() -> None:
    assert listening([(1.0, 0.5), (1.0, 1.0), (1.0, 1.5)]).clairvoyant_start == pytest.approx(0.5)


made_pieces = st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 5_000)), min_size=1, max_size=30).map(
    lambda rows: [
        (samples / RATE, sum(took for _, took in rows[: number + 1]) / RATE)
        for number, (samples, _) in enumerate(rows)
    ]
)


@given(made_pieces)
def test_the_clairvoyant_start_is_the_earliest_without_a_gap(pieces: list[tuple[float, float]]) -> None:
    earliest = listening(pieces).clairvoyant_start
    assert earliest >= pieces[0][1]
    assert listening(pieces, start=earliest).gaps() == []
    too_early = earliest - 2 * AUDIBLE_GAP
    if too_early >= pieces[0][1]:
        assert listening(pieces, start=too_early).gaps()
