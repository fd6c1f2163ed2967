"""What a steady start promises, as counts over many texts: no gaps, starts near the earliest possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

import pytest

from bench.scheduling_simulator.figures import Figures, figures_of
from bench.scheduling_simulator.scenarios import all_scenarios
from bench.scheduling_simulator.simulation import AT_ONCE, PATIENT, STEADY, Policy, Scenario, simulate
from bench.scheduling_simulator.workload import together

pytestmark = pytest.mark.slow

ALONE = (
    *("alone, Piper 0.2", "alone, Piper 0.9", "alone, Piper 1.1", "alone, Piper 2", "alone, Piper 3"),
    *("alone, Kokoro 0.45", "alone, Kokoro 0.9", "alone, Kokoro 1.5", "alone, Kokoro 3"),
)
BESIDE_OTHERS = (
    *("8 listeners, Piper 0.08", "2 listeners, Kokoro 0.45", "4 cores, 16 listeners", "Poisson, load 0.5"),
    *("bursts of 8 replies", "8 paced listeners, Piper 0.08"),
)


def scenarios(names: Sequence[str]) -> list[Scenario]:
    return [scenario for scenario in all_scenarios() if scenario.name in names]


def simulated(scenario: Scenario, policy: Policy) -> Figures:
    return figures_of(scenario, policy, simulate(scenario, policy))


def test_a_lone_listener_hears_no_gap_at_any_speed_up_to_three_times_slower_than_speech() -> None:
    figures = [
        simulated(replace(scenario, arrivals=together(1, texts=40)), PATIENT) for scenario in scenarios(ALONE)
    ]
    assert len(figures) == len(ALONE)
    assert {each.scenario: each.gaps for each in figures if each.gaps} == {}
    assert median(ratio for each in figures for ratio in each.ratios) <= 1.25


def test_beside_others_fewer_than_one_text_in_200_has_a_gap_and_few_are_refused() -> None:
    figures = [simulated(scenario, STEADY) for scenario in scenarios(BESIDE_OTHERS)]
    assert len(figures) == len(BESIDE_OTHERS)
    assert sum(each.with_gaps for each in figures) <= 0.005 * sum(len(each.starts) for each in figures)
    assert sum(each.refused for each in figures) <= 0.01 * sum(each.utterances for each in figures)
    assert median(ratio for each in figures for ratio in each.ratios) <= 1.25


def test_on_a_machine_that_keeps_up_a_steady_start_is_no_later() -> None:
    (scenario,) = scenarios(["alone, Piper 0.2"])
    steady, at_once = simulated(scenario, STEADY), simulated(scenario, AT_ONCE)
    assert steady.start(50) == at_once.start(50)
    assert steady.start(95) == at_once.start(95)


@pytest.mark.parametrize("name", ["10 words/s, Kokoro 0.45", "busy machine, 2 × Kokoro 0.45"])
def test_where_speech_started_at_once_has_gaps_a_steady_start_has_few(name: str) -> None:
    (scenario,) = scenarios([name])
    assert simulated(scenario, AT_ONCE).gap_share > 0.2
    assert simulated(scenario, STEADY).gap_share < 0.02
