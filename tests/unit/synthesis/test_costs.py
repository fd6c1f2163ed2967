"""The cost model: what it learns of voices and of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.demand import Capacity, Work
from wyoming_tts.speech import Attribution, Voice, VoiceSpec
from wyoming_tts.synthesis.costs import MAX_VOICES, CostModel
from wyoming_tts.synthesis.voice_cost import (
    MeasuredSegment,
    StepTiming,
    VoiceCost,
    fit_rates,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=16) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


def spec(name: str = "tone") -> VoiceSpec:
    return VoiceSpec(Voice(name, "piper", "en_US", "A tone.", 1000, name, Attribution("nobody", "")))


def make_costs(slots: int = 2) -> CostModel:
    return CostModel(slots=slots, capacity=Capacity(1))


def segment(
    characters: int = 100,
    *,
    cost: float = 0.1,
    slowdown: float = 1.0,
    has_cores: bool = True,
    speed: float = 1.0,
) -> MeasuredSegment:
    """A segment of 0.1 s of audio for each character, whose first audio costs a tenth of it."""
    measured = MeasuredSegment(characters, speed)
    audio = characters * 0.1 / speed
    for step in steps(audio, cost, slowdown, has_cores=has_cores):
        measured.add(step)
    return measured


def steps(audio: float, cost: float, slowdown: float, *, has_cores: bool) -> Iterator[StepTiming]:
    setup = 0.1 * audio * cost
    yield StepTiming(0.0, setup * slowdown, setup, has_cores)
    for _ in range(10):
        cpu = 0.9 * audio * cost / 10
        yield StepTiming(audio / 10, cpu * slowdown, cpu, has_cores)


def alone(works: Iterator[Work]) -> float:
    return sum(work.alone for work in works)


def test_nothing_is_expected_of_a_voice_that_has_never_spoken() -> None:
    costs = make_costs()
    assert list(costs.works(costs.voice(spec()), MeasuredSegment(100), now=0.0)) == []


@pytest.mark.parametrize("characters", [10, 100, 500])
def test_a_text_is_expected_to_cost_and_to_last_what_the_voice_showed(characters: int) -> None:
    costs, cost = make_costs(), VoiceCost()
    for _ in range(20):
        cost.learn(segment(cost=0.25))
    works = list(costs.works(cost, MeasuredSegment(characters), now=0.0))
    assert sum(work.audio for work in works) == pytest.approx(characters * 0.1)
    assert alone(iter(works)) == pytest.approx(characters * 0.1 * 0.25)


def test_a_voice_at_twice_the_speed_lasts_half_as_long() -> None:
    cost = VoiceCost()
    cost.learn(segment(speed=1.0))
    assert cost.audio(100, 2.0) == pytest.approx(5.0)
    cost.learn(segment(speed=2.0))
    assert cost.audio(100, 1.0) == pytest.approx(10.0)


def test_what_a_voice_costs_does_not_change_with_the_load_but_what_is_promised_does() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(segment())
    quiet = alone(costs.works(cost, MeasuredSegment(100), now=0.0))
    before = cost.cpu(100, has_cores=True)
    for step in steps(10.0, 1.0, slowdown=3.0, has_cores=True):
        costs.learn_step(step, now=0.0)
    busy = alone(costs.works(cost, MeasuredSegment(100), now=0.0))
    assert busy == pytest.approx(3.0 * quiet, rel=0.1)
    assert before is not None
    assert cost.cpu(100, has_cores=True) == before


def test_a_machine_that_was_slow_is_expected_to_be_fast_again_after_a_while() -> None:
    costs = make_costs()
    for step in steps(10.0, 0.1, slowdown=3.0, has_cores=True):
        costs.learn_step(step, now=0.0)
    assert costs.slowdown(0.0) > 2.5
    assert costs.slowdown(600.0) == pytest.approx(1.0, abs=0.01)


def test_a_machine_that_becomes_slow_is_noticed_within_seconds_of_computing() -> None:
    costs = make_costs()
    for slowdown in (1.0, 4.0):
        for step in steps(60.0, 0.1, slowdown, has_cores=True):
            costs.learn_step(step, now=0.0)
    assert costs.slowdown(0.0) == pytest.approx(4.0, rel=0.2)


def test_steps_on_one_core_share_the_machine_between_its_cores() -> None:
    costs, cost = make_costs(slots=4), VoiceCost()
    cost.learn(segment(cost=0.1))
    cost.learn(segment(cost=0.2, has_cores=False))
    works = list(costs.works(cost, MeasuredSegment(100), now=0.0))
    ratio = sum(work.crowded for work in works) / sum(work.alone for work in works)
    assert ratio == pytest.approx(0.2 / 4 / 0.1)


def test_a_voice_whose_cost_varies_gets_a_larger_margin() -> None:
    steady, varying = VoiceCost(), VoiceCost()
    for index in range(20):
        steady.learn(segment(cost=0.1))
        varying.learn(segment(cost=0.1 if index % 2 else 0.2))
    assert varying.cost_spread > 3 * steady.cost_spread
    assert varying.pace_spread == steady.pace_spread


def test_the_work_of_a_segment_shrinks_as_it_is_rendered() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(segment())
    measured = MeasuredSegment(100)
    left = [alone(costs.works(cost, measured, now=0.0))]
    for step in steps(10.0, 0.1, 1.0, has_cores=True):
        measured.add(step)
        left.append(alone(costs.works(cost, measured, now=0.0)))
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.15 * left[0]


def test_a_voice_that_was_never_seen_to_cut_a_segment_is_expected_to_make_each_in_one_step() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(in_steps(2.0))
    assert step_lengths(costs, cost, characters=90) == pytest.approx([9.0])


def test_a_segment_that_was_begun_in_a_short_step_is_expected_to_go_on_in_steps() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(in_steps(4.0))  # no segment of it was ever cut
    measured = MeasuredSegment(90)
    measured.add(StepTiming(0.3, 0.1, 0.1, has_cores=True))
    lengths = [work.audio for work in costs.works(cost, measured, now=0.0)]
    assert lengths[:3] == pytest.approx([0.6, 1.2, 2.4])


def test_many_short_texts_do_not_hide_how_long_the_steps_of_a_long_one_are() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(in_steps(4.0, 8.0))
    for _ in range(100):
        cost.learn(in_steps(1.0))
    assert step_lengths(costs, cost, characters=90) == pytest.approx([4.0, 5.0])


def test_a_voice_that_is_cut_in_a_finer_way_from_now_on_is_expected_to_be_at_once() -> None:
    costs, cost = make_costs(), VoiceCost()
    for _ in range(20):  # a Kokoro voice before it is calibrated
        cost.learn(in_steps(6.0))
        cost.learn(in_steps(4.0, 5.0))
    assert step_lengths(costs, cost, characters=90) == pytest.approx([6.0, 3.0], abs=0.1)
    cost.learn(in_steps(0.3, 0.3, 0.6, 1.2, 1.2))
    assert step_lengths(costs, cost, characters=60) == pytest.approx([0.3, 0.6, 1.2, 1.2, 1.2, 1.5])
    cost.learn(in_steps(4.0, 5.0))  # and after its calibration was lost
    assert step_lengths(costs, cost, characters=90) == pytest.approx([4.0, 5.0])


def test_short_texts_in_one_step_do_not_make_the_steps_of_long_ones_longer() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(in_steps(0.3, 0.3, 0.6, 1.2, 1.2))
    cost.learn(in_steps(2.0))
    assert step_lengths(costs, cost, characters=20) == pytest.approx([2.0])
    assert step_lengths(costs, cost, characters=36) == pytest.approx([0.3, 0.6, 1.2, 1.5])


def test_a_long_text_in_one_step_is_expected_again_for_a_while() -> None:
    costs, cost = make_costs(), VoiceCost()
    cost.learn(in_steps(0.3, 0.3, 0.6, 1.2, 1.2))
    cost.learn(in_steps(7.0))  # a sentence unlike those that the voice was calibrated with
    assert step_lengths(costs, cost, characters=60) == pytest.approx([6.0])
    for _ in range(12):
        cost.learn(in_steps(0.3, 0.3, 0.6, 1.2, 1.2))
    assert len(step_lengths(costs, cost, characters=60)) > 1


def test_the_steps_of_a_voice_survive_a_restart() -> None:
    costs = make_costs()
    for measured in (in_steps(2.0), in_steps(0.3, 0.3, 0.6, 1.2)):
        costs.voice(spec()).learn(measured)
    restarted = make_costs()
    restarted.load_json(costs.to_json())
    for characters in (10, 20, 60):
        expected = step_lengths(costs, costs.voice(spec()), characters=characters)
        cost = restarted.voice(spec())
        assert step_lengths(restarted, cost, characters=characters) == pytest.approx(expected, rel=0.01)


def in_steps(*audio: float) -> MeasuredSegment:
    """A segment of 0.1 s for each character that was made in steps of so much audio."""
    measured = MeasuredSegment(round(sum(audio) / 0.1))
    for seconds in audio:
        measured.add(StepTiming(seconds, 0.5 * seconds, 0.5 * seconds, has_cores=True))
    return measured


def step_lengths(costs: CostModel, cost: VoiceCost, *, characters: int) -> list[float]:
    return [work.audio for work in costs.works(cost, MeasuredSegment(characters), now=0.0)]


def test_a_segment_that_lasts_longer_than_expected_is_not_taken_for_finished() -> None:
    costs, cost = make_costs(), VoiceCost()
    for audio in (9.0, 10.0, 11.0):
        cost.learn(replace(in_steps(audio / 2, audio / 2), characters=100))
    measured = MeasuredSegment(100)
    left = []
    for _ in range(12):
        measured.add(StepTiming(1.0, 0.5, 0.5, has_cores=True))
        left.append(sum(work.audio for work in costs.works(cost, measured, now=0.0)))
    assert left == sorted(left, reverse=True)
    assert 5.0 < left[3] < 7.0
    assert 0.1 < left[-1] < 1.0


def test_a_segment_without_audio_teaches_nothing() -> None:
    cost = VoiceCost()
    cost.learn(MeasuredSegment(100))
    assert not cost.is_known


def test_what_was_learned_survives_a_restart() -> None:
    costs = make_costs()
    for has_cores in (True, False):
        costs.voice(spec()).learn(segment(has_cores=has_cores))
    restarted = make_costs()
    restarted.load_json(costs.to_json())
    expected = list(costs.works(costs.voice(spec()), MeasuredSegment(100), now=0.0))
    restored = list(restarted.works(restarted.voice(spec()), MeasuredSegment(100), now=0.0))
    assert [work.alone for work in restored] == pytest.approx([work.alone for work in expected], rel=0.01)


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=5))
def test_a_damaged_file_of_costs_is_read_as_far_as_it_can_be_understood(stored: dict[str, object]) -> None:
    costs = make_costs()
    costs.load_json(stored)
    for work in costs.works(costs.voice(spec()), MeasuredSegment(100), now=0.0):
        assert work.audio >= 0


def test_the_costs_of_only_so_many_voices_are_kept() -> None:
    costs = make_costs()
    for number in range(MAX_VOICES + 10):
        costs.voice(spec(f"voice {number}")).learn(segment())
    assert len(costs.to_json()) == MAX_VOICES


def chunked(lengths: list[float], *, per_step: float, per_audio: float) -> MeasuredSegment:
    measured = MeasuredSegment(round(sum(lengths) * 10))
    for audio in lengths:
        cpu = per_step + per_audio * audio
        measured.add(StepTiming(audio, cpu, cpu, has_cores=True))
    return measured


@given(
    lengths=st.lists(st.sampled_from([0.3, 0.6, 1.2, 2.0]), min_size=3, max_size=12),
    per_step=st.floats(0.0, 0.1),
    per_audio=st.floats(0.05, 3.0),
)
def test_what_steps_cost_together_is_expected_whatever_their_lengths(
    lengths: list[float], per_step: float, per_audio: float
) -> None:
    measured = chunked(lengths, per_step=per_step, per_audio=per_audio)
    rates = fit_rates(measured.alone.streaming)
    assert rates is not None
    assert rates.seconds(sum(lengths), len(lengths)) == pytest.approx(measured.alone.streaming.cpu)


def test_a_short_chunk_is_expected_to_cost_its_edges_too() -> None:
    costs, cost = make_costs(), VoiceCost()
    lengths = [0.3, 0.3, 0.6, 1.2, 1.2, 1.2]
    for _ in range(20):
        cost.learn(chunked(lengths, per_step=0.05, per_audio=0.4))
    works = list(costs.works(cost, MeasuredSegment(48), now=0.0))
    assert works[0].audio == pytest.approx(0.3)
    assert works[0].alone == pytest.approx(0.05 + 0.4 * 0.3, rel=0.05)
    assert works[0].alone > 1.2 * 0.3 * alone(iter(works)) / 4.8


def test_steps_of_one_length_do_not_tell_what_each_costs_besides_its_audio() -> None:
    rates = fit_rates(chunked([1.0] * 10, per_step=0.2, per_audio=0.4).alone.streaming)
    assert rates is not None
    assert (rates.per_step, rates.per_audio) == pytest.approx((0.0, 0.6))


def test_cheap_short_steps_do_not_make_the_cost_of_a_step_negative() -> None:
    measured = MeasuredSegment(100)
    for audio, cpu in ((0.1, 0.001), (0.2, 0.01), (2.0, 1.0)):
        measured.add(StepTiming(audio, cpu, cpu, has_cores=True))
    rates = fit_rates(measured.alone.streaming)
    assert rates is not None
    assert rates.per_step == 0.0
