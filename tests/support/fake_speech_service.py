"""A fake speech service: the fake synthesizer, with voices that exist in name only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.fake_synthesizer import FakeSynthesizer
from wyoming_tts.errors import BadRequest
from wyoming_tts.speech import Utterance
from wyoming_tts.transports.interfaces import AvailableVoice, RemovedSegments, ServiceHealth, UnloadedModels

HEART = AvailableVoice("af_heart", "en_US", "kokoro", "Heart", sample_rate=24_000)
LESSAC = AvailableVoice("en_US-lessac-medium", "en_US", "piper", "lessac, medium", is_installed=False)
SPEAKERS = AvailableVoice("en_GB-vctk-medium", "en_GB", "piper", "vctk", ("p225", "p226"), 22_050)


class FakeSpeechService(FakeSynthesizer):
    """A `SpeechService` that tests control through its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.available: Sequence[AvailableVoice] = (LESSAC, HEART, SPEAKERS)
        self.service_health = ServiceHealth()
        self.blends: list[tuple[str, str | None]] = []
        self.failing_status: Exception | None = None

    def voices(self) -> Sequence[AvailableVoice]:
        return self.available

    async def phonemes(self, utterance: Utterance) -> Sequence[str]:
        return [piece async for piece in utterance.text]

    async def blend(self, recipe: str, name: str | None) -> AvailableVoice:
        if "+" not in recipe:
            raise BadRequest(f"{recipe!r} is not a recipe.", hint="Write af_bella+af_sky.")
        self.blends.append((recipe, name))
        return AvailableVoice(name or recipe, "en_US", "kokoro", f"Blend {recipe}", sample_rate=24_000)

    async def unload_models(self) -> UnloadedModels:
        return UnloadedModels(["af_heart.onnx"], ["lessac.onnx"])

    async def clear_cache(self) -> Mapping[str, RemovedSegments]:
        return {"memory": RemovedSegments(2, 1000), "disk": RemovedSegments(3, 2000)}

    def health(self) -> ServiceHealth:
        return self.service_health

    async def status(self) -> Mapping[str, object]:
        if self.failing_status:
            raise self.failing_status
        return {"status": "ready", "load": {"streams": self.entered - self.left}}

    async def metrics(self) -> bytes:
        return b"# HELP tts_streams Streams.\n# TYPE tts_streams gauge\ntts_streams 0\n"
