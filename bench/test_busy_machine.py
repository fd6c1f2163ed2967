"""The measurement of a busy machine: which servers it compares, what it counts, and that its burners end."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench.busy_machine import burning_cores, busy_table, playing_ended_after, server_pair
from bench.comparison.results import MeasurementFailed
from tests.scenarios.process_footprint import process_tree
from wyoming_tts.bench.options import Input
from wyoming_tts.bench.playback import simulate_playback
from wyoming_tts.bench.results import LoadCase, LoadFigures, LoadRound
from wyoming_tts.bench.targets.listener import ListenerReport, RequestOutcome

CASE = LoadCase("sentence", Input.PLAIN, 2)


def heard(
    *arrivals: tuple[float, float], outcome: RequestOutcome = RequestOutcome.SPOKEN, error: str = ""
) -> ListenerReport:
    """A text was sent at 0; pairs of a time and the seconds of audio that arrived then."""
    return ListenerReport(
        outcome,
        error,
        ttfa=arrivals[0][0] if arrivals else None,
        after_sentence=None,
        total=arrivals[-1][0] if arrivals else 0.0,
        audio=sum(seconds for _, seconds in arrivals),
        played=simulate_playback(arrivals),
        played_later=None,
    )


def figures(server: str, *reports: ListenerReport) -> LoadFigures:
    return LoadFigures(CASE, server, (LoadRound(reports, 0.0, ()),))


def arguments(directory: Path, **given: object) -> argparse.Namespace:
    return argparse.Namespace(
        **{"data_dir": directory, "voice": "tone", "server": None, "against": None, "peer_python": None}
        | given
    )


def test_playing_ends_after_the_start_the_audio_and_the_gaps() -> None:
    assert playing_ended_after(heard((0.5, 1.0), (2.0, 3.0))) == pytest.approx(0.5 + 1.0 + 0.5 + 3.0)
    assert playing_ended_after(heard()) is None


def test_the_table_counts_gaps_of_all_and_times_of_what_was_spoken() -> None:
    ours = figures("ours", heard((0.5, 1.0), (2.0, 3.0)), heard((1.5, 8.5)))
    theirs = figures("theirs", heard((2.0, 8.0)), heard(outcome=RequestOutcome.REFUSED, error="busy"))
    console = Console(width=200)
    with console.capture() as captured:
        console.print(busy_table([(ours, theirs)]))
    _, first, second = captured.get().splitlines()
    assert " ".join(first.split()) == "sentence 2 ours 1.00 1.50 1 / 2 0.50 0.50 1.75 7.50 0.75"
    assert " ".join(second.split()) == "sentence 2 theirs 2.00 2.00 0 / 2 0.00 0.00 2.00 10.00 1 busy"


def test_another_build_gets_the_same_flags(tmp_path: Path) -> None:
    server, against = server_pair(arguments(tmp_path, server="./a b", against="./c d"), tmp_path)
    assert (server.words[:2], against.words[:2]) == (("./a", "b"), ("./c", "d"))
    assert server.words[2:] == against.words[2:]
    assert server.words[2:4] == ("--voice", "tone")


def test_a_piper_voice_is_measured_beside_wyoming_piper_and_others_alone(tmp_path: Path) -> None:
    python = Path(sys.executable)
    assert len(server_pair(arguments(tmp_path, peer_python=python), tmp_path)) == 1
    (tmp_path / "tone.onnx").touch()
    own, peer = server_pair(arguments(tmp_path, peer_python=python), tmp_path)
    assert (own.name, peer.name) == ("wyoming-tts", "wyoming-piper")
    assert len(server_pair(arguments(tmp_path, against="none"), tmp_path)) == 1
    with pytest.raises(MeasurementFailed, match="no wyoming-piper"):
        server_pair(arguments(tmp_path), tmp_path)


async def test_burners_run_and_end_with_the_block() -> None:
    before = set(process_tree(os.getpid()))
    async with burning_cores(2):
        burners = set(process_tree(os.getpid())) - before
        assert len(burners) == 2
    assert not burners & set(process_tree(os.getpid()))
