from __future__ import annotations

import numpy as np
import pytest

from wyoming_tts.engines.kokoro.statistics import (
    CALIBRATED,
    ENOUGH,
    NormStatistics,
    Prediction,
    Values,
    VoiceStatistics,
    sentence_features,
)

_CHANNELS = 6
_FEATURES = 5 + 8


class Voice:
    """Its sentences' statistics are a linear function of their features."""

    def __init__(self, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.slopes = self.random.normal(size=(_FEATURES, 2 * _CHANNELS)) * 0.1
        self.intercepts = self.random.normal(size=2 * _CHANNELS)

    def features(self, spread: float = 1.0) -> Values:
        # Properties of sentences go together: two numbers behind them all.
        latent = self.random.normal(size=2) * spread
        return (latent @ np.random.default_rng(0).normal(size=(2, _FEATURES))).astype(np.float32)

    def statistics(self, features: Values) -> NormStatistics:
        means, logarithms = np.split(features @ self.slopes + self.intercepts, 2)
        return NormStatistics(means.astype(np.float32), np.exp(logarithms).astype(np.float32))

    def teach(self, statistics: VoiceStatistics, count: int, *, calibrating: bool = True) -> None:
        for _ in range(count):
            features = self.features()
            statistics.learn(features, self.statistics(features), loudest=0.25, calibrating=calibrating)
            statistics.calibrated += calibrating


def _error(got: Prediction | None, expected: NormStatistics) -> float:
    assert got is not None
    means = np.abs(got.statistics.means - expected.means).mean()
    variances = np.abs(np.log(got.statistics.variances / expected.variances)).mean()
    return float(means + variances)


def _calibrated(voice: Voice) -> VoiceStatistics:
    statistics = VoiceStatistics(_CHANNELS)
    voice.teach(statistics, CALIBRATED)
    return statistics


def test_nothing_is_predicted_before_enough_sentences_were_heard() -> None:
    voice, statistics = Voice(), VoiceStatistics(_CHANNELS)
    voice.teach(statistics, ENOUGH - 1)
    assert statistics.predict(voice.features(0.1)) is None
    voice.teach(statistics, 1)
    assert statistics.predict(voice.features(0.1)) is not None


def test_a_sentence_is_predicted_from_others_of_the_voice() -> None:
    voice = Voice()
    statistics = _calibrated(voice)
    for _ in range(10):
        features = voice.features(0.5)
        assert _error(statistics.predict(features), voice.statistics(features)) < 0.02


def test_another_voices_sentences_are_no_help() -> None:
    voice, other = Voice(1), Voice(2)
    features = voice.features(0.5)
    assert _error(_calibrated(other).predict(features), voice.statistics(features)) > 1.0


def test_a_sentence_unlike_all_that_were_heard_is_not_predicted() -> None:
    voice = Voice()
    statistics = _calibrated(voice)
    assert statistics.predict(20 * voice.features()) is None


def test_a_sentence_between_two_kinds_that_were_heard_is_still_unlike_them() -> None:
    voice, statistics = Voice(), VoiceStatistics(_CHANNELS)
    far = np.random.default_rng(3).normal(size=_FEATURES).astype(np.float32) * 30
    voice.teach(statistics, CALIBRATED)
    for way in (far, -far):
        statistics.learn(way, voice.statistics(way), loudest=0.25)
    sideways = np.roll(far, 1)
    assert (np.abs(sideways) <= np.abs(far).max()).all()
    assert statistics.predict(sideways) is None


def test_what_is_loudest_is_what_was_usual() -> None:
    voice = Voice()
    prediction = _calibrated(voice).predict(voice.features(0.1))
    assert prediction is not None
    assert prediction.loudest == pytest.approx(0.25)


def test_sentences_of_listeners_never_outweigh_the_calibration() -> None:
    voice, odd = Voice(), Voice(5)
    statistics = _calibrated(voice)
    probes = [voice.features(0.5) for _ in range(10)]
    before = [_error(statistics.predict(each), voice.statistics(each)) for each in probes]
    for _ in range(200):  # all of one kind, as short answers are
        features = voice.features() + odd.random.normal(size=_FEATURES).astype(np.float32) * 0.01 + 3
        statistics.learn(features, voice.statistics(features), loudest=0.25)
    after = [_error(statistics.predict(each), voice.statistics(each)) for each in probes]
    assert statistics.is_calibrated
    assert max(after) < max(before) + 0.05


def test_a_sentence_that_was_heard_before_counts_once() -> None:
    voice, statistics = Voice(), VoiceStatistics(_CHANNELS)
    features = voice.features()
    for _ in range(2 * ENOUGH):
        statistics.learn(features, voice.statistics(features), loudest=0.25)
    assert not statistics.is_enough


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_not_learned(value: float) -> None:
    voice, statistics = Voice(), VoiceStatistics(_CHANNELS)
    features = voice.features()
    good = voice.statistics(features)
    bad = good.means.copy()
    bad[0] = value
    for _ in range(CALIBRATED):
        statistics.learn(features, NormStatistics(bad, good.variances), loudest=0.25, calibrating=True)
        statistics.learn(features, good, loudest=value)
        statistics.learn(features * np.float32(value), good, loudest=0.25)
    assert not statistics.is_enough


def test_what_was_learned_survives_as_bytes() -> None:
    voice = Voice()
    statistics = _calibrated(voice)
    voice.teach(statistics, 3, calibrating=False)
    again = VoiceStatistics.from_bytes(statistics.to_bytes(), _CHANNELS)
    features = voice.features(0.5)
    before, after = statistics.predict(features), again.predict(features)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.statistics.means, after.statistics.means)
    assert again.calibrated == statistics.calibrated == CALIBRATED


def test_bytes_of_another_model_are_refused() -> None:
    content = _calibrated(Voice()).to_bytes()
    with pytest.raises(ValueError, match="shape"):
        VoiceStatistics.from_bytes(content, _CHANNELS + 1)


def test_damaged_bytes_are_refused() -> None:
    content = _calibrated(Voice()).to_bytes()
    for damaged in (b"", b"PK", content[: len(content) // 2], content[:400] + b"?" + content[401:]):
        with pytest.raises(ValueError, match="cannot be read"):
            VoiceStatistics.from_bytes(damaged, _CHANNELS)


def test_bytes_with_values_that_are_no_numbers_are_refused() -> None:
    statistics = _calibrated(Voice())
    statistics._seen[3].values[0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        VoiceStatistics.from_bytes(statistics.to_bytes(), _CHANNELS)


def test_features_tell_length_voicing_loudness_and_channels() -> None:
    pitch = np.array([0, 0, 100, 200], np.float32)
    energy = np.array([-9, 0, 0, 1], np.float32)
    frames = np.array([[1, 1, 1, 1], [0, 2, 0, 2]], np.float32)
    features = sentence_features(pitch, energy, frames)
    assert features == pytest.approx([0.25, 0.5, -2, energy.std(), 0.25, 1, 1, np.log(1e-6), 0], abs=1e-4)
