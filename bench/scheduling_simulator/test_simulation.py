"""The simulation: the real synthesizer in virtual time, the same in every run."""

from __future__ import annotations

from random import Random
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.scheduling_simulator.figures import figures_of
from bench.scheduling_simulator.report import draw, render_table
from bench.scheduling_simulator.scenarios import all_scenarios
from bench.scheduling_simulator.simulation import AT_ONCE, Scenario, simulate
from bench.scheduling_simulator.texts import make_text, pieces_of, segments_known
from bench.scheduling_simulator.voices import KOKORO, PIPER, InventedVoice
from bench.scheduling_simulator.workload import REPLY, SENTENCE, Habits, together


def alone(
    rtf: float, engine: str = PIPER, *, texts: int = 10, words_per_second: float | None = None
) -> Scenario:
    habits = Habits([InventedVoice(rtf, engine)], SENTENCE, words_per_second)
    return Scenario("alone", 2, together(1, texts=texts), habits)


def test_there_are_enough_scenarios_and_each_has_its_own_name() -> None:
    names = [scenario.name for scenario in all_scenarios()]
    assert len(set(names)) == len(names) >= 20


@pytest.mark.parametrize("engine", [PIPER, KOKORO])
def test_the_same_seed_gives_the_same_figures_and_another_seed_others(engine: str) -> None:
    habits = Habits([InventedVoice(0.4, engine)], REPLY, words_per_second=10)
    scenario = Scenario("three", 2, together(3, texts=3), habits)
    first, again, other = (simulate(scenario, AT_ONCE, seed=seed) for seed in (7, 7, 8))
    assert first == again
    assert first != other


def test_everything_that_was_made_is_heard() -> None:
    for listening in simulate(alone(0.3), AT_ONCE):
        assert listening.segments == len(listening.known_at)
        made = sum(piece.samples for piece in listening.pieces)
        assert sum(delivery.samples for delivery in listening.deliveries) == made > 0


@pytest.mark.parametrize("rtf", [0.1, 0.4, 2.0])
def test_a_voice_costs_what_it_is_said_to_cost(rtf: float) -> None:
    listenings = simulate(alone(rtf, KOKORO), AT_ONCE)
    audio = sum(piece.samples for each in listenings for piece in each.pieces) / 1_000
    computing = sum(each.pieces[-1].completed_at - each.arrived_at for each in listenings)
    assert computing / audio == pytest.approx(rtf, rel=0.15)


def test_without_a_hold_a_voice_slower_than_speech_stutters_and_a_fast_one_does_not() -> None:
    fast, slow = (figures_of(alone(rtf), AT_ONCE, simulate(alone(rtf), AT_ONCE)) for rtf in (0.1, 2.0))
    assert fast.gaps == 0
    assert fast.ratio(95) == pytest.approx(1.0)
    assert slow.gap_share == 1.0
    assert slow.ratio(50) < 0.5


def test_streamed_text_is_spoken_no_earlier_than_it_is_known() -> None:
    for listening in simulate(alone(0.1, words_per_second=5), AT_ONCE):
        assert listening.start >= listening.known_at[0] - listening.arrived_at > 0.3
        assert all(piece.completed_at > piece.known_at for piece in listening.pieces)


def test_too_many_listeners_are_refused() -> None:
    habits = Habits([InventedVoice(0.5)], SENTENCE)
    scenario = Scenario("crowd", 1, together(80, texts=1), habits)
    figures = figures_of(scenario, AT_ONCE, simulate(scenario, AT_ONCE))
    assert figures.utterances == 80
    assert 0 < figures.refused == 80 - len(figures.starts)


def test_an_hour_of_speech_is_simulated_by_its_events_alone() -> None:
    listenings = simulate(alone(0.2, texts=100), AT_ONCE)
    assert listenings[-1].arrived_at > 900
    assert len(listenings) == 100


@given(st.integers(1, 200), st.integers(0, 999))
@settings(max_examples=50)
def test_a_text_has_the_words_it_should_have(words: int, seed: int) -> None:
    text = make_text(words, Random(seed))
    assert len(text.split()) == words
    assert text.endswith(".")
    assert "".join(piece for _, piece in pieces_of(text, 5.0)) == text


def test_a_segment_of_streamed_text_is_known_when_its_last_word_has_arrived() -> None:
    text = "This is the first sentence. And this is the second one."
    whole = list(segments_known(pieces_of(text, None), 0))
    streamed = list(segments_known(pieces_of(text, 1.0), 0))
    assert whole == [0.0] * len(streamed)
    assert streamed == sorted(streamed)
    assert 4.0 <= streamed[0] < streamed[-1] == 10.0


def test_the_figures_are_printed_and_drawn() -> None:
    figures = [figures_of(alone(0.1), AT_ONCE, simulate(alone(0.1), AT_ONCE))]
    assert "| alone | at once | 10 | 0 | 0.0 % | 0 |" in render_table(figures)
    assert "at once" in "".join(ET.fromstring(draw(figures)).itertext())
