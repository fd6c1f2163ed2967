"""The scenarios: from one listener of a voice twenty times faster than speech to more than can be carried."""

from __future__ import annotations

from collections.abc import Iterator

from bench.scheduling_simulator.machine import Phase
from bench.scheduling_simulator.simulation import Scenario
from bench.scheduling_simulator.voices import KOKORO, InventedVoice
from bench.scheduling_simulator.workload import (
    ANSWER,
    REPLY,
    SENTENCE,
    Habits,
    at_random,
    in_bursts,
    together,
)

_PIPER = InventedVoice(0.2)
"""A medium voice on a small machine."""
_FAST_PIPER = InventedVoice(0.08)
"""The same on two cores of a server."""
_KOKORO = InventedVoice(0.45, KOKORO)
_CALIBRATED = InventedVoice(0.45, KOKORO, is_calibrated=True)
_SLOW = InventedVoice(1.5)

_OTHERS_NOW_AND_THEN = (Phase(20.0), Phase(20.0, other_threads=2))
_HOT_NOW_AND_THEN = (Phase(20.0), Phase(10.0, speed=0.4))


def all_scenarios() -> tuple[Scenario, ...]:
    """Return all scenarios, in the order of the table."""
    return (
        *_alone(),
        *_listeners(),
        *_arrivals(),
        *_streamed(),
        *_machines(),
        *_changing_machines(),
        *_paced(),
        *_in_chunks(),
    )


def _alone() -> Iterator[Scenario]:
    """One listener, one text after the other."""
    for rtf in (0.05, 0.2, 0.5, 0.9, 1.1, 1.5, 2.0, 3.0):
        habits = Habits([InventedVoice(rtf)])
        yield Scenario(f"alone, Piper {rtf:g}", 2, together(1, texts=100), habits)
    for rtf in (0.2, 0.45, 0.9, 1.1, 1.5, 2.0, 3.0):
        habits = Habits([InventedVoice(rtf, KOKORO)])
        yield Scenario(f"alone, Kokoro {rtf:g}", 2, together(1, texts=100), habits)


def _listeners() -> Iterator[Scenario]:
    """Several listeners at once on two cores, each with one text after the other."""
    for listeners in (2, 4, 8, 16, 64):
        texts = max(2, 80 // listeners)
        habits = Habits([_FAST_PIPER], ANSWER)
        yield Scenario(f"{listeners} listeners, Piper 0.08", 2, together(listeners, texts=texts), habits)
    for listeners in (2, 4, 8):
        habits = Habits([_KOKORO], SENTENCE)
        yield Scenario(
            f"{listeners} listeners, Kokoro 0.45", 2, together(listeners, texts=80 // listeners), habits
        )


def _arrivals() -> Iterator[Scenario]:
    """Texts that arrive by chance, at half of what the machine can carry, at nearly all and at too much."""
    habits = Habits([_PIPER])
    yield Scenario("Poisson, load 0.5", 2, at_random(150, per_minute=20), habits)
    yield Scenario("Poisson, load 0.9", 2, at_random(150, per_minute=36), habits)
    yield Scenario("Poisson, load 1.5", 2, at_random(150, per_minute=60), habits)
    mixed = habits.but(voices=[_FAST_PIPER, _PIPER, _KOKORO])
    yield Scenario("Poisson, mixed voices, 4 cores", 4, at_random(150, per_minute=30), mixed)
    yield Scenario("bursts of 8 replies", 2, in_bursts(15, size=8, every=20.0), habits.but(words=REPLY))
    yield Scenario("bursts of 8 sentences", 2, in_bursts(12, size=8, every=30.0), habits.but(words=SENTENCE))
    yield Scenario(
        "bursts of 24, of 3 addresses",
        2,
        in_bursts(5, size=24, every=60.0, peers=3),
        habits.but(words=SENTENCE),
    )


def _streamed() -> Iterator[Scenario]:
    """Texts that are written while they are spoken."""
    for voice, name in ((_PIPER, "Piper 0.2"), (_KOKORO, "Kokoro 0.45"), (_SLOW, "Piper 1.5")):
        for speed in (5, 10, 20, 50):
            habits = Habits([voice], ANSWER, words_per_second=speed)
            yield Scenario(f"{speed} words/s, {name}", 2, together(1, texts=60), habits)


def _machines() -> Iterator[Scenario]:
    """Four listeners for each core."""
    for cores, texts in ((1, 20), (4, 6), (16, 2), (64, 1)):
        habits = Habits([_FAST_PIPER], ANSWER)
        yield Scenario(
            f"{cores} cores, {4 * cores} listeners", cores, together(4 * cores, texts=texts), habits
        )


def _changing_machines() -> Iterator[Scenario]:
    """Another program takes the cores, all the time or now and then, or heat slows them down."""
    for listeners in (1, 2, 4):
        habits = Habits([_KOKORO], SENTENCE)
        arrivals = together(listeners, texts=60 // listeners)
        yield Scenario(
            f"busy machine, {listeners} × Kokoro 0.45", 2, arrivals, habits, (Phase(other_threads=2),)
        )
    for listeners in (1, 4):
        arrivals = together(listeners, texts=80 // listeners)
        habits = Habits([_KOKORO], SENTENCE)
        yield Scenario(
            f"busy now and then, {listeners} × Kokoro 0.45", 2, arrivals, habits, _OTHERS_NOW_AND_THEN
        )
    habits = Habits([_PIPER], ANSWER)
    yield Scenario("hot now and then, 4 × Piper 0.2", 2, together(4, texts=20), habits, _HOT_NOW_AND_THEN)


def _paced() -> Iterator[Scenario]:
    """Listeners who read at playing speed."""
    for voice, name in ((_KOKORO, "Kokoro 0.45"), (_SLOW, "Piper 1.5")):
        habits = Habits([voice], ANSWER, is_paced=True)
        yield Scenario(f"paced listener, {name}", 2, together(1, texts=60), habits)
    habits = Habits([_FAST_PIPER], ANSWER, is_paced=True)
    yield Scenario("8 paced listeners, Piper 0.08", 2, together(8, texts=10), habits)


def _in_chunks() -> Iterator[Scenario]:
    """Kokoro's voices once they are calibrated."""
    for rtf in (0.45, 0.9, 1.5):
        habits = Habits([InventedVoice(rtf, KOKORO, is_calibrated=True)])
        yield Scenario(f"alone, Kokoro in chunks {rtf:g}", 2, together(1, texts=100), habits)
    for listeners in (2, 4):
        habits = Habits([_CALIBRATED], SENTENCE)
        arrivals = together(listeners, texts=80 // listeners)
        yield Scenario(f"{listeners} listeners, Kokoro in chunks 0.45", 2, arrivals, habits)
    habits = Habits([_CALIBRATED], ANSWER, words_per_second=10)
    yield Scenario("10 words/s, Kokoro in chunks 0.45", 2, together(1, texts=60), habits)
