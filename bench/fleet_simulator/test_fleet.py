"""The fleet: nobody is forgotten or sent to a replica that drains, and one replica is the server alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from bench.fleet_simulator.__main__ import main
from bench.fleet_simulator.autoscaling import ScalingRule
from bench.fleet_simulator.balancing import POLICIES
from bench.fleet_simulator.costs import read_costs
from bench.fleet_simulator.fleet import Event, FleetOptions, Happening, Outcome, Run, run_fleet
from bench.fleet_simulator.replicas import ReplicaOptions
from bench.fleet_simulator.traffic import Arrival, Shape, Traffic
from bench.scheduling_simulator.simulation import STEADY, Scenario, simulate
from bench.scheduling_simulator.voices import InventedVoice
from bench.scheduling_simulator.workload import REPLY, Habits, at_random, between

VOICE = InventedVoice(0.05)
SHORT = between(3, 20)


def fleet(
    replicas: int, listeners: float, *, seconds: float = 6.0, sample: int = 1, **options: object
) -> tuple[FleetOptions, Traffic]:
    """A fleet of two cores each, of which one replica is real and the others are estimated."""
    made = FleetOptions(replicas, ReplicaOptions(2, (VOICE,)), sample=sample)
    return replace(made, **options), Traffic(listeners, seconds, (VOICE,), SHORT)  # type: ignore[arg-type]


def run(options: FleetOptions, traffic: Traffic, events: Sequence[Event] = ()) -> Run:
    return run_fleet(options, traffic.arrivals(1), events=events)


def test_one_replica_is_the_server_of_the_scheduling_simulator() -> None:
    scenario = Scenario("one", 2, at_random(12, per_minute=120), Habits([VOICE], REPLY))
    expected = simulate(scenario, STEADY)
    clients = scenario.arrivals(scenario.habits, Random("one 1"))
    arrivals = [
        Arrival(client.arrives_at, VOICE, 1.0, number, partial(next, iter(client.requests)))
        for number, client in enumerate(clients)
    ]
    options = FleetOptions(1, ReplicaOptions(2, (VOICE,)), agent_poll=None)
    heard = [each.listening for each in run_fleet(options, arrivals).heard]
    assert len(heard) == 12
    for got, wanted in zip(sorted(heard, key=lambda each: each.arrived_at), expected, strict=True):
        assert [each.samples for each in got.pieces] == [each.samples for each in wanted.pieces]
        assert [each.at for each in got.deliveries] == pytest.approx([each.at for each in wanted.deliveries])


def test_every_listener_ends_as_heard_refused_or_lost_also_when_replicas_die() -> None:
    events = [Event(1.0, Happening.KILLED, 0), Event(1.5, Happening.KILLED, 3)]
    for policy in POLICIES:
        options, traffic = fleet(8, 200, seconds=2.0, policy=policy)
        happened = run(options, traffic, events)
        assert happened.outcomes.total() == len(list(traffic.arrivals(1)))
        assert happened.outcomes[Outcome.HEARD] > 0 < happened.outcomes[Outcome.LOST]
        assert happened.sent_at[0] < 1.0
        assert happened.sent_at[3] < 1.5


@pytest.mark.parametrize("agent_poll", [None, 1.0])
def test_nobody_is_sent_to_a_replica_that_drains_once_its_agent_has_said_so(agent_poll: float | None) -> None:
    for policy in POLICIES:
        options, traffic = fleet(4, 60, seconds=4.0, policy=policy, agent_poll=agent_poll, sample=0)
        happened = run(options, traffic, [Event(1.0, Happening.DRAINED, 0)])
        assert happened.sent_at[0] <= 2.0
        assert max(happened.sent_at.values()) > 3.0
        assert set(happened.outcomes) == {Outcome.HEARD}


def test_a_server_that_drains_ends_what_it_speaks() -> None:
    options, traffic = fleet(2, 10, seconds=3.0)
    happened = run(options, traffic, [Event(1.0, Happening.DRAINED, 0)])
    assert {heard.outcome for heard in happened.heard} == {Outcome.HEARD}
    assert happened.sent_at[0] <= 2.0


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    options, traffic = fleet(1, 8, seconds=3.0)
    first, again, other = (
        [each.listening for each in run_fleet(options, traffic.arrivals(seed), seed=seed).heard]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_whoever_is_refused_may_be_sent_to_another() -> None:
    options, traffic = fleet(6, 10, seconds=4.0, sample=0, agent_poll=None, policy="round robin")
    burst = replace(traffic, burst_listeners=3_000, burst_every=4.0)
    at_once = run(options, burst)
    again = run(replace(options, retries_refused=True), burst)
    assert at_once.outcomes[Outcome.REFUSED] >= again.outcomes[Outcome.REFUSED] > 0
    assert again.sent.total() > at_once.sent.total()


def test_a_fleet_grows_by_the_rule_of_keda_and_shrinks_more_slowly() -> None:
    rule = ScalingRule(
        least=1, most=6, computing=1.2, up_every=10.0, down_after=40.0, down_every=20.0, start_seconds=5.0
    )
    options, traffic = fleet(1, 60, seconds=300.0, sample=0, rule=rule)
    sizes = [size for _, size in run(options, replace(traffic, shape=Shape.DAY)).sizes]
    assert max(sizes) >= 4
    assert sizes[-1] < max(sizes)
    assert min(sizes) >= 1


def test_known_texts_are_computed_once_for_all_with_a_shared_cache() -> None:
    options, traffic = fleet(2, 12, seconds=5.0, sample=2)
    known = replace(traffic, repeated=1.0, known_texts=4)
    kept = replace(options, replica=replace(options.replica, cache_seconds=600.0))
    none, own, shared = (
        run(each, known).core_seconds for each in (options, kept, replace(kept, shared_cache=0.002))
    )
    assert shared < 0.8 * own < 0.5 * none


def test_beside_many_listeners_a_second_of_speech_costs_what_was_measured() -> None:
    costs = read_costs()
    for name, listeners, seconds in (("piper", 8, 10.0), ("kokoro", 0.8, 60.0)):
        voices = costs.invented(name, number=1, cores=1, audio_format="pcm")
        options = FleetOptions(1, ReplicaOptions(1, voices), agent_poll=None)
        happened = run_fleet(options, Traffic(listeners, seconds, voices).arrivals(1))
        spoken = sum(piece.samples for each in happened.heard for piece in each.listening.pieces) / 1_000
        assert happened.core_seconds / spoken == pytest.approx(costs.voices[name].processor_seconds, rel=0.1)


def test_an_estimated_replica_takes_as_long_as_a_real_one() -> None:
    voices = read_costs().invented("piper", number=1, cores=4, audio_format="pcm")
    for per_core in (6, 8):
        traffic = Traffic(4 * per_core, 15.0, voices)
        real, estimated = (
            run(FleetOptions(1, ReplicaOptions(4, voices), sample=sample), traffic) for sample in (1, 0)
        )
        assert estimated.stream_seconds == pytest.approx(real.stream_seconds, rel=0.4)
        assert estimated.step_seconds == pytest.approx(real.step_seconds, rel=0.3)


def test_the_command_prints_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["--replicas", "20", "--listeners", "40", "--seconds", "3", "--sample", "1", "--drain", "1"])
        == 0
    )
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 3
    assert rows[2].startswith("| 40 listeners |")


def test_a_voice_that_is_not_in_memory_is_loaded_and_the_least_used_freed() -> None:
    voices = tuple(replace(VOICE, number=each, load_seconds=0.5) for each in range(6))
    options = FleetOptions(1, ReplicaOptions(2, voices, models=2))
    happened = run_fleet(options, Traffic(1, 60.0, voices, SHORT).arrivals(1))
    assert happened.sample[0].server.loads > 6
    assert max(heard.start for heard in happened.heard) > 0.5
