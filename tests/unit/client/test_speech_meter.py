from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.client import SpeechMeter, SpeechReport
from wyoming_tts.speech import AudioFormat

MONO = AudioFormat(22050)


def sine(amplitude: float, *, samples: int = 22050, hertz: float = 220.5, rate: int = 22050) -> bytes:
    wave = amplitude * np.sin(2 * np.pi * hertz * np.arange(samples) / rate)
    return np.round(wave).astype("<i2").tobytes()


def measure(*chunks: bytes, audio_format: AudioFormat = MONO) -> SpeechReport:
    meter = SpeechMeter()
    for chunk in chunks:
        meter.add_audio(audio_format, chunk)
    return meter.report()


def test_a_half_scale_sine_has_minus_9_db_rms_and_minus_6_db_peak() -> None:
    report = measure(sine(16384))
    assert report.rms_dbfs == pytest.approx(-9.03, abs=0.01)
    assert report.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert report.seconds == pytest.approx(1.0)
    assert report.samples == 22050


def test_the_most_negative_sample_is_full_scale_without_overflow() -> None:
    report = measure(np.full(1000, -32768, dtype="<i2").tobytes())
    assert report.rms_dbfs == 0.0
    assert report.peak_dbfs == 0.0


def test_silence_has_no_level() -> None:
    report = measure(bytes(200))
    assert report.rms_dbfs == -math.inf
    assert report.peak_dbfs == -math.inf
    assert report.samples == 100


def test_stereo_counts_frames_and_measures_both_channels() -> None:
    loud_and_silent = np.tile(np.array([16384, 0], dtype="<i2"), 500).tobytes()
    report = measure(loud_and_silent, audio_format=AudioFormat(48000, 2, 2))
    assert report.samples == 500
    assert report.rms_dbfs == pytest.approx(-9.03, abs=0.01)


@given(st.lists(st.integers(0, 2000), max_size=6))
def test_figures_do_not_depend_on_chunking(cuts: list[int]) -> None:
    pcm = sine(9000, samples=2000)
    borders = [0, *sorted(2 * cut for cut in cuts), len(pcm)]
    pieces = [pcm[a:b] for a, b in itertools.pairwise(borders)]
    whole, cut_up = measure(pcm), measure(*pieces)
    assert cut_up.samples == whole.samples
    assert cut_up.rms_dbfs == pytest.approx(whole.rms_dbfs)
    assert cut_up.peak_dbfs == whole.peak_dbfs


def test_latencies_are_measured_from_the_first_text() -> None:
    clock = iter([10.0, 10.25, 11.5])
    meter = SpeechMeter(now=lambda: next(clock))
    meter.mark_text_sent()
    meter.mark_text_sent()
    meter.add_audio(MONO, b"")
    meter.add_audio(MONO, sine(1000))
    meter.add_audio(MONO, sine(1000))
    report = meter.report()
    assert report.ttfa == 0.25
    assert report.total == 1.5
    assert report.seconds == pytest.approx(2.0)


def test_without_audio_there_is_no_ttfa() -> None:
    meter = SpeechMeter()
    meter.mark_text_sent()
    report = meter.report()
    assert (report.ttfa, report.format) == (None, None)
    assert (report.seconds, report.samples) == (0.0, 0)


def test_a_format_without_audio_is_reported() -> None:
    report = measure(b"")
    assert report.format == MONO
    assert (report.samples, report.rms_dbfs) == (0, -math.inf)
