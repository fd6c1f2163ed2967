from __future__ import annotations

import pytest

from wyoming_tts.engines.spare_cores import count_running, has_spare_core


class Counts:
    """Numbers of running threads at each look."""

    def __init__(self, *numbers: int) -> None:
        self._rest = [*numbers]
        self.pauses: list[float] = []

    def __call__(self) -> int:
        return self._rest.pop(0)

    def is_spare(self, cores: int) -> bool:
        return has_spare_core(self, cores=cores, pause=self.pauses.append)


def test_this_thread_alone_leaves_a_core_which_is_seen_at_the_first_look() -> None:
    counts = Counts(1)
    assert counts.is_spare(cores=2)
    assert not counts.pauses


def test_a_thread_that_is_awake_for_a_moment_takes_no_core() -> None:
    counts = Counts(3, 2, 1)
    assert counts.is_spare(cores=2)
    assert len(counts.pauses) == 2


def test_a_program_that_runs_at_every_look_takes_a_core() -> None:
    assert not Counts(2, 3, 2).is_spare(cores=2)


@pytest.mark.parametrize(("running", "is_spare"), [(3, True), (4, False), (9, False)])
def test_on_four_cores_three_other_programs_take_all(*, running: int, is_spare: bool) -> None:
    assert Counts(*[running] * 3).is_spare(cores=4) is is_spare


def test_the_calling_thread_itself_is_counted() -> None:
    assert count_running() >= 1


def test_a_system_that_does_not_tell_has_spare_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: "no figures")
    assert count_running() == 1
