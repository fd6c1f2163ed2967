"""A Piper voice and a Kokoro voice as users have them speak over Wyoming, and are cut without a loss."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from wyoming.tts import Synthesize, SynthesizeVoice

from script import real_voices
from tests.support.server_process import server_process
from tests.support.wyoming_client import WyomingTestClient, pcm_of
from wyoming_tts.engines.base import EngineOptions
from wyoming_tts.engines.onnx import open_model
from wyoming_tts.engines.piper.model import CutModel, model_feeds, open_piper_model
from wyoming_tts.voices.catalogue import expected_files, load_catalogue

SENTENCE = "The front door is open, and somebody is waiting for you in the garden."
SPOKEN_WITHIN = (2.5, 6.5)
"""Seconds; people take 3.5 to 5 for the sentence, and Piper draws its lengths anew each time."""
LEVEL = (-26.0, -14.0)
"""RMS in dB of full scale: voices are normalized to -20 LUFS by default, with a limiter above."""
ENGLISH_STYLE = real_voices.ENGLISH_STYLES[0]


@dataclass(frozen=True, slots=True)
class Speech:
    samples: npt.NDArray[np.float64]
    """Between -1 and 1."""
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def level(self) -> float:
        return float(10 * np.log10(np.mean(np.square(self.samples))))

    @property
    def longest_silence(self) -> float:
        """Seconds of the longest stretch below -60 dB."""
        loud = np.flatnonzero(np.abs(self.samples) > 1e-3)
        edges = np.concatenate([[-1], loud, [len(self.samples)]])
        return float(np.diff(edges).max()) / self.rate


async def speak(port: int, voice: str) -> Speech:
    async with WyomingTestClient.connect("127.0.0.1", port) as client:
        await client.send(Synthesize(SENTENCE, SynthesizeVoice(name=voice)).event())
        events = await client.until("audio-stop")
    samples = np.frombuffer(pcm_of(events), "<i2").astype(np.float64) / 32768
    return Speech(samples, int(events[0].data["rate"]))


async def test_real_voices_of_both_models_speak_a_sentence_at_a_usual_pace_and_level(
    voices: Path, tmp_path: Path
) -> None:
    rates = {real_voices.PIPER_VOICE: 22050, ENGLISH_STYLE: 24000}
    # Threads that wait for each other take processor time, too.
    places = ("--data-dir", str(voices), "--download-dir", str(tmp_path))
    flags = ("--voice", real_voices.PIPER_VOICE, *places, "--offline", "--intra-op-threads", "1")
    async with server_process(*flags) as server, asyncio.timeout(120):
        spoken = {voice: await speak(server.port, voice) for voice in rates}
    assert {voice: speech.rate for voice, speech in spoken.items()} == rates
    for voice, speech in spoken.items():
        assert SPOKEN_WITHIN[0] <= speech.seconds <= SPOKEN_WITHIN[1], voice
        assert LEVEL[0] <= speech.level <= LEVEL[1], voice
        assert np.abs(speech.samples).max() < 1.0, voice
        assert speech.longest_silence < 1.0, voice


def test_a_real_piper_voice_rewritten_and_in_chunks_equals_the_whole_model_to_80_db(
    voices: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = voices / f"{real_voices.PIPER_VOICE}.onnx"
    options = EngineOptions(intra_op_threads=1)
    with caplog.at_level(logging.INFO):
        model = open_piper_model(path, options, 22050)
    assert isinstance(model, CutModel)
    assert not caplog.records  # which would say that its text part stays as it is
    ids = [int(each) for each in np.random.default_rng(0).integers(3, 120, 90)]
    feeds = model_feeds(model.inputs, ids, (0.0, 1.0, 0.0), 0)
    chunks = list(model.speak(feeds))
    whole = open_model(path, options).run(None, feeds)[0].reshape(-1)
    difference = np.concatenate(chunks) - whole
    assert len(chunks) > 1
    assert np.isfinite(whole).all()
    assert np.square(difference).sum() <= 1e-8 * np.square(whole).sum()


def test_the_digests_of_the_fetched_models_are_those_of_the_catalogue(voices: Path) -> None:
    known = expected_files(load_catalogue().voices)
    models = [path for path in voices.iterdir() if path.suffix in {".json", ".onnx"}]
    assert {path.name for path in models} <= known.keys()
    assert len(models) == 3
    for path in models:
        digest = known[path.name].digest or ""
        file = real_voices.WantedFile(path.name, digest, (), ())
        assert file.is_in(voices), f"{path.name} is not the catalogue's"
