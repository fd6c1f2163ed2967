"""The real Kokoro model in parts: chunks equal the whole, and are heard before it is computed."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from script import real_voices
from wyoming_tts.engines.base import EngineOptions, samples_of
from wyoming_tts.engines.kokoro.decoder import KokoroDecoder, Request, Sentence
from wyoming_tts.engines.kokoro.engine import KokoroEngine
from wyoming_tts.engines.kokoro.loaded import LoadedKokoro
from wyoming_tts.engines.kokoro.opening import OpenedDecoder, open_decoder
from wyoming_tts.engines.kokoro.statistics import ENOUGH
from wyoming_tts.engines.kokoro.trimming import SAMPLE_RATE
from wyoming_tts.speech import Prosody, Samples, Segment, TimedSamples, Voice, VoiceSpec
from wyoming_tts.voices.styles import STYLES_DIRECTORY, ImportedStyles

STYLE = real_voices.ENGLISH_STYLES[0]
SENTENCE = "The old bridge was closed on Monday, because a truck had damaged its pillars."
"""None of those of the calibration."""


@pytest.fixture(scope="module")
def options(voices: Path, tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    return EngineOptions(
        data_dirs=(voices,),
        intra_op_threads=1,  # waiting for another thread takes processor time, too
        kokoro_styles=ImportedStyles(voices / STYLES_DIRECTORY),
        statistics_dir=tmp_path_factory.mktemp("statistics"),
    )


def _table(voices: Path) -> Samples:
    table: Samples = np.load(voices / STYLES_DIRECTORY / f"{STYLE}.npy")
    return table.reshape(-1, 1, 256)


@pytest.fixture(scope="module")
def opened(voices: Path, options: EngineOptions) -> OpenedDecoder:
    """It was compared with the graph; a reason why it runs whole would be a line in the log."""
    lines: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("wyoming_tts")
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        path = voices / real_voices.KOKORO_MODEL
        decoder = open_decoder(path, options, lambda: _table(voices)[24])
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
    assert lines == []
    assert decoder is not None
    return decoder


def _sentence(voices: Path, decoder: KokoroDecoder) -> Sentence:
    # Phonemes in no order: what they say does not matter.
    tokens = np.random.default_rng(0).integers(43, 150, 40)
    request = Request(tuple(map(int, tokens)), _table(voices)[39], 1.0)
    return decoder.make_sentence(decoder.encode_text(request))


def test_chunks_with_the_statistics_of_the_whole_equal_the_whole_to_80_db(
    voices: Path, opened: OpenedDecoder
) -> None:
    decoder = opened.decoder
    sentence = _sentence(voices, decoder)
    whole, taken = decoder.generate_whole(sentence)
    difference = decoder.generate_in_chunks(sentence, taken) - whole
    assert sentence.seconds > 3
    assert np.isfinite(whole).all()
    assert np.square(difference).sum() <= 1e-8 * np.square(whole).sum()


@pytest.fixture(scope="module")
def loaded(options: EngineOptions) -> tuple[LoadedKokoro, Voice]:
    engine = KokoroEngine(options)
    voice = next(each for each in engine.installed() if each.name == STYLE)
    return engine.load(voice), voice


def _seconds_of_steps(loaded: LoadedKokoro, voice: Voice) -> list[float]:
    """Of audio, for each step that made some."""
    steps = map(samples_of, loaded.render(Segment(SENTENCE), VoiceSpec(voice), Prosody()))
    return [len(samples) / SAMPLE_RATE for samples in steps if samples.size]


def test_a_voice_with_enough_sentences_learned_is_heard_before_its_sentence_is_computed(
    loaded: tuple[LoadedKokoro, Voice],
) -> None:
    model, voice = loaded
    before = _seconds_of_steps(model, voice)
    assert max(before) > 1.5  # whole, or a batch
    # The rest makes it a little better; that all is done is shown with the small model.
    next(done for done in model.calibrate(VoiceSpec(voice)) if done == ENOUGH)
    after = _seconds_of_steps(model, voice)
    assert len(after) > 4
    assert after[0] < 0.35
    assert max(after) < 1.3
    assert sum(after) == pytest.approx(sum(before), rel=0.15)


_FRAME = 120
"""Samples of 5 ms."""


def _loud_times(audio: Samples) -> np.ndarray:
    """Seconds at which frames begin that are louder than -35 dB of the loudest."""
    power = np.square(audio[: len(audio) // _FRAME * _FRAME].reshape(-1, _FRAME)).mean(axis=1)
    return np.flatnonzero(power > power.max() * 10**-3.5) * _FRAME / SAMPLE_RATE


@pytest.mark.parametrize("speed", [1.0, 1.5])
def test_words_begin_and_end_where_sound_does_at_a_pause(
    loaded: tuple[LoadedKokoro, Voice], speed: float
) -> None:
    model, voice = loaded
    steps = [*model.render(Segment(SENTENCE), VoiceSpec(voice), Prosody(speed=speed))]
    words = {
        SENTENCE[word.begin : word.end]: (word.first_sample / SAMPLE_RATE, word.end_sample / SAMPLE_RATE)
        for step in steps
        if isinstance(step, TimedSamples)
        for word in step.timings.words
    }
    assert [*words] == SENTENCE.replace(",", "").rstrip(".").split()
    loud = _loud_times(np.concatenate([samples_of(step) for step in steps]))
    begin, end = words["because"][0], words["Monday"][1]
    assert begin - end > 0.1
    middle = (begin + end) / 2
    assert loud[loud > middle].min() == pytest.approx(begin, abs=0.06)
    assert loud[loud < middle].max() == pytest.approx(end, abs=0.06)
    assert loud.max() == pytest.approx(words["pillars"][1], abs=0.08)
