"""What voices cost, kept over a restart in a real file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_synthesizer import run_in_thread
from wyoming_tts.demand import Capacity
from wyoming_tts.server.cost_keeping import FILE_NAME, kept_costs
from wyoming_tts.speech import Attribution, Voice, VoiceSpec
from wyoming_tts.synthesis import CostModel
from wyoming_tts.synthesis.voice_cost import MeasuredSegment, StepTiming

TONE = VoiceSpec(Voice("tone", "piper", "en_US", "A tone.", 1000, "tone", Attribution("nobody", "")))


def make_costs() -> CostModel:
    return CostModel(slots=1, capacity=Capacity())


def teach(costs: CostModel) -> None:
    segment = MeasuredSegment(100)
    segment.add(StepTiming(10.0, 1.0, 1.0, has_cores=True))
    costs.voice(TONE).learn(segment)


async def test_costs_are_known_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / FILE_NAME
    costs = make_costs()
    async with kept_costs(costs, path, run_in_thread):
        teach(costs)
    restarted = make_costs()
    async with kept_costs(restarted, path, run_in_thread):
        assert restarted.to_json() == costs.to_json() != {}


async def test_nothing_is_written_while_nothing_was_learned(tmp_path: Path) -> None:
    async with kept_costs(make_costs(), tmp_path / FILE_NAME, run_in_thread):
        pass
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"{", b"[" * 100_000, b'{"tone:": [1, "x"]}', b"\xff", bytes(300_000)]
)
async def test_a_damaged_file_is_replaced(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    costs = make_costs()
    async with kept_costs(costs, path, run_in_thread):
        assert costs.to_json() == {}
        teach(costs)
    async with kept_costs(make_costs(), path, run_in_thread):
        assert path.read_bytes().startswith(b'{"tone:"')


async def test_a_directory_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    costs = make_costs()
    async with kept_costs(costs, tmp_path / "file" / FILE_NAME, run_in_thread):
        teach(costs)
    assert costs.to_json()
