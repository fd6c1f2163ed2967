"""Costs of speech, as measured: read from `costs.yaml`, made into voices of the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from bench.scheduling_simulator.machine import Machine, speedup
from bench.scheduling_simulator.voices import KOKORO, PIPER, InventedVoice

COSTS: Final = Path(__file__).with_name("costs.yaml")

_CROWDED_COST = {PIPER: 1.09, KOKORO: 1.04}
"""Cost on one core beside others, of what `InventedVoice.rtf` means: shorter chunks have more edges."""


@dataclass(frozen=True, slots=True)
class VoiceCost:
    """What a voice costs."""

    engine: str
    processor_seconds: float
    """For a second of audio, on a server with many listeners."""
    load_seconds: float
    megabytes: float
    """Memory of its model, loaded."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What speech costs."""

    voices: dict[str, VoiceCost]
    formats: dict[str, float]
    """Processor time added to each second of audio."""
    shared_cache_seconds: float
    start_seconds: float

    def invented(self, name: str, *, number: int, cores: int, audio_format: str) -> tuple[InventedVoice, ...]:
        """Return so many voices that cost the same, for replicas with so many cores."""
        cost = self.voices[name]
        seconds = cost.processor_seconds + self.formats[audio_format]
        rtf = seconds / _CROWDED_COST[cost.engine] / speedup(Machine(cores).cores_per_step)
        return tuple(
            InventedVoice(
                rtf,
                cost.engine,
                is_calibrated=cost.engine == KOKORO,
                number=each,
                load_seconds=cost.load_seconds,
            )
            for each in range(number)
        )


def read_costs(path: Path = COSTS) -> Costs:
    """Read the file."""
    read: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return Costs(
        voices={
            name: VoiceCost(
                each["engine"], each["processor_seconds"], each["load_seconds"], each["megabytes"]
            )
            for name, each in read["voices"].items()
        },
        formats={name: each["processor_seconds"] for name, each in read["formats"].items()},
        shared_cache_seconds=read["shared_cache"]["seconds"],
        start_seconds=read["replica"]["start_seconds"],
    )
