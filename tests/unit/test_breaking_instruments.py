"""Instruments of the breaking suite and of the soak: what they report is what happened."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.breaking.listening import Hearing
from tests.scenarios.paced_listener import HeardText, Recording, numbered_text
from tests.scenarios.process_footprint import footprint_of
from tests.support.byte_mutations import mutations

HOLDS_A_CHILD = """
import subprocess, sys
pipe, code = subprocess.PIPE, "print(flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe)
child.stdout.readline()
print(flush=True)
input()
"""


def heard(first_audio: float | None, *, worst_gap: float = 0.0, error: str = "") -> HeardText:
    return HeardText(
        began=0.0,
        took=1.0,
        first_audio=first_audio,
        seconds=1.0,
        gaps=int(worst_gap > 0),
        worst_gap=worst_gap,
        silence=worst_gap,
        error=error,
    )


def test_gaps_are_counted_on_the_clock_of_playback() -> None:
    times = iter([10.0, 10.5, 11.0, 14.0, 14.5])
    recording = Recording(lambda: next(times))
    for _ in range(3):
        recording.add_audio(1.0)
    text = recording.heard()
    assert (text.first_audio, text.gaps, text.worst_gap, text.seconds) == (0.5, 1, 1.5, 3.0)
    assert (text.took, recording.plays_until) == (4.5, 15.0)


def test_a_text_without_audio_is_an_error() -> None:
    assert Recording().heard().error == "no audio came"
    assert Recording().heard().first_audio is None


def test_no_two_texts_are_alike() -> None:
    sentences = [part for number in range(3) for part in numbered_text(number).split(". ")]
    assert len(set(sentences)) == len(sentences)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "no text"),
        ([heard(0.1), heard(None, error="busy")], "1 of 2 texts failed"),
        ([heard(0.1), heard(11.0)], "first audio after 11.0 s"),
        ([heard(0.1, worst_gap=4.0)], "a gap of 4.0 s"),
    ],
)
def test_what_was_not_served_fails_the_check(texts: list[HeardText], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        Hearing(texts).check_served()


def test_served_listeners_pass_the_check() -> None:
    Hearing([heard(0.1), heard(2.0, worst_gap=0.2)]).check_served()


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="it reads Linux's /proc")  # noqa: PTH110
def test_a_footprint_sums_a_process_and_its_children() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", HOLDS_A_CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        found = footprint_of(parent.pid)
        assert (found.children, found.threads) == (1, 2)
        assert found.descriptors >= 6
        assert found.rss >= found.pss > 0
    finally:
        parent.communicate(b"\n")
    assert footprint_of(parent.pid).pss == 0


def test_mutations_are_the_same_for_the_same_seed() -> None:
    corpus = [b'{"type": "ping"}', b"two"]
    once, again, other = (list(mutations(corpus, count=50, seed=seed)) for seed in "aab")
    assert once == again != other
    assert once[:2] == corpus
    assert len(set(once)) > 40
