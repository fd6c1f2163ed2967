"""Hostile models, configurations and sentences that want all the memory, beside listeners."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any

import httpx
import pytest

from tests.breaking.conftest import OpenScene
from tests.breaking.connections import ATTACKER
from tests.breaking.scene import Scene
from tests.breaking.server_under_attack import MIB
from tests.support.hostile_models import folded_memory, run_memory
from tests.support.tones import LOW, VOICES
from tests.voices.make_vits import MEDIUM, VITS

_HELD = 150 * MIB
"""What a server may use beyond what it had: a child that tries a model is another 120 MB."""


def _client(scene: Scene) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(local_address=ATTACKER)
    return httpx.AsyncClient(base_url=scene.server.url, transport=transport, timeout=60.0)


def _config(**changes: Any) -> bytes:
    document = json.loads((VOICES / f"{LOW.name}.onnx.json").read_bytes())
    return json.dumps(document | changes).encode()


@pytest.mark.parametrize(
    "model", [folded_memory(600_000_000), run_memory(20_000_000)], ids=["when loaded", "when speaking"]
)
async def test_an_uploaded_model_that_takes_gigabytes(open_scene: OpenScene, model: bytes) -> None:
    async with open_scene() as scene, _client(scene) as client:
        before = await scene.quiet()
        async with scene.phase("upload and speak") as attack:
            for name, content in ((".onnx.json", _config()), (".onnx", model)):
                answer = await client.post(f"/page/voices/upload/en_US-bomb-low{name}", content=content)
            spoken = await client.post("/v1/audio/speech", json={"input": "Boom.", "voice": "en_US-bomb-low"})
        assert answer.status_code == 400
        assert "needs more than" in answer.text
        assert spoken.status_code == 404
        attack.hearing.check_served()
        assert attack.peak.pss < before.after.pss + 450 * MIB  # the child's limit, while it lasts
        await scene.recovers(before)


@pytest.mark.parametrize("speakers", [4_000_000, 1_000_000_000])
async def test_a_voice_with_millions_of_speakers(open_scene: OpenScene, speakers: int) -> None:
    async with open_scene() as scene, _client(scene) as client:
        before = await scene.quiet()
        async with scene.phase(f"{speakers} speakers") as attack:
            voice = scene.server.data_dir / "en_US-crowd-low.onnx"
            shutil.copy(VOICES / f"{LOW.name}.onnx", voice)
            voice.with_name(f"{voice.name}.json").write_bytes(
                _config(num_speakers=speakers, speaker_id_map={})
            )
            await scene.server.until(
                lambda: "num_speakers" in scene.server.log, seconds=20, what="a word about the voice"
            )
            voices = await client.get("/v1/audio/voices")
        assert "en_US-crowd-low" not in voices.text
        assert scene.server.log.count("num_speakers") == 1
        attack.hearing.check_served()
        assert attack.peak.pss < before.after.pss + _HELD
        await scene.recovers(before)


async def test_sentences_without_end(open_scene: OpenScene) -> None:
    """Noise of lengths, the slowest speed, and signs that are spelled out: 480 characters each."""
    text = "the quick brown fox jumps over the lazy dog and runs away " * 8
    slowest = {"length_scale": 4.0, "speed": 0.25, "noise_w_scale": 2.0}
    bodies = [
        {"input": text, **slowest},
        {"input": text, "noise_w_scale": 10.0},
        {"input": text, "noise_w_scale": 5.0, "length_scale": 10.0},
        {"input": "漢" * 480, **slowest},
    ]
    async with open_scene() as scene, _client(scene) as client:
        _install_vits(scene)
        for _ in range(100):
            if MEDIUM.name in (await client.get("/v1/audio/voices")).text:
                break
            await asyncio.sleep(0.2)
        voice = {"voice": MEDIUM.name, "response_format": "pcm"}
        await client.post("/v1/audio/speech", json={"input": "Hello there.", **voice})
        before = await scene.quiet()
        async with scene.phase("endless sentences") as attack:
            answers = [await client.post("/v1/audio/speech", json=body | voice) for body in bodies]
        assert [answer.status_code for answer in answers[1:3]] == [400, 400]
        assert answers[0].status_code == 413
        assert "would last" in answers[0].text
        attack.hearing.check_served()
        assert attack.peak.pss < before.after.pss + _HELD
        await scene.recovers(before)


def _install_vits(scene: Scene) -> None:
    """A voice with the architecture of real ones, for phonemes of espeak-ng."""
    shutil.copy(VITS / f"{MEDIUM.name}.onnx", scene.server.data_dir)
    document = json.loads((VITS / f"{MEDIUM.name}.onnx.json").read_bytes())
    symbols = {symbol: [number % 112] for symbol, number in LOW.symbols.items()}
    document |= {"phoneme_type": "espeak", "phoneme_id_map": symbols}
    document["inference"]["length_scale"] = 1.0
    (scene.server.data_dir / f"{MEDIUM.name}.onnx.json").write_text(json.dumps(document), encoding="utf-8")
