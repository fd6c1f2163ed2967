from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.kokoro.trimming import (
    CLAUSE_PAUSE,
    SENTENCE_PAUSE,
    StreamTrimmer,
    loudest_power,
    pause_after,
    sounding_frames,
    trim,
)

MS = 24
"""Samples per millisecond."""


def _silence(milliseconds: int, level: float = 0.0) -> np.ndarray:
    return np.full(milliseconds * MS, level, np.float32)


def _sound(milliseconds: int, level: float = 0.5) -> np.ndarray:
    return np.full(milliseconds * MS, level, np.float32)


class TestPauses:
    @pytest.mark.parametrize("mark", [*".!?…"])
    def test_the_end_of_a_sentence_gets_a_long_pause(self, mark: str) -> None:
        assert pause_after(mark, 1.0) == SENTENCE_PAUSE

    @pytest.mark.parametrize("mark", [*",;:—"])
    def test_the_end_of_a_clause_gets_a_short_pause(self, mark: str) -> None:
        assert pause_after(mark, 1.0) == CLAUSE_PAUSE

    def test_there_is_no_pause_between_words(self) -> None:
        assert pause_after("", 1.0) == 0.0

    def test_pauses_shorten_with_speed(self) -> None:
        assert pause_after(".", 2.0) == SENTENCE_PAUSE / 2
        assert pause_after(",", 0.5) == CLAUSE_PAUSE * 2


class TestTrim:
    def test_surrounding_silence_is_replaced_by_the_pause(self) -> None:
        samples = trim(np.concatenate([_silence(300), _sound(100), _silence(500)]), 0.25)
        loud = np.flatnonzero(np.abs(samples) > 0.4)
        assert loud[0] <= 15 * MS
        assert 250 * MS <= len(samples) - loud[-1] <= 265 * MS
        assert loud[-1] - loud[0] == pytest.approx(100 * MS, abs=2)

    def test_sound_as_soft_as_a_consonant_is_kept(self) -> None:
        consonant = _sound(60, 0.5 * 10 ** (-50 / 20))
        samples = trim(np.concatenate([_silence(100), consonant, _sound(200), consonant, _silence(100)]), 0.0)
        assert len(samples) >= 320 * MS
        assert np.count_nonzero(samples) >= 318 * MS

    def test_hiss_softer_than_a_consonant_is_trimmed(self) -> None:
        hiss = _silence(300, 0.5 * 10 ** (-66 / 20))
        assert len(trim(np.concatenate([hiss, _sound(200), hiss]), 0.0)) <= 230 * MS

    def test_silence_within_the_sound_is_kept(self) -> None:
        parts = [_sound(100), _silence(400), _sound(100)]
        assert len(trim(np.concatenate(parts), 0.0)) == 600 * MS

    def test_sound_up_to_the_edge_is_faded_in_and_out(self) -> None:
        samples = trim(_sound(100), 0.1)
        assert samples[0] == 0.0
        assert np.abs(np.diff(samples)).max() <= 0.5 / 40
        assert np.array_equal(samples[2 * MS : 98 * MS], _sound(96))
        assert not samples[100 * MS :].any()

    def test_silence_alone_gives_no_samples_and_no_pause(self) -> None:
        assert trim(_silence(100), 0.25).size == 0
        assert trim(_silence(0), 0.25).size == 0

    def test_the_input_samples_are_not_modified(self) -> None:
        given_samples = _sound(100)
        trim(given_samples, 0.1)
        assert np.array_equal(given_samples, _sound(100))

    @given(st.lists(st.floats(-1, 1, width=32), max_size=600), st.floats(0, 0.3))
    def test_any_trimmed_sound_starts_and_ends_at_zero(self, values: list[float], pause: float) -> None:
        samples = trim(np.array(values, np.float32), pause)
        assert samples.dtype == np.float32
        assert len(samples) <= len(values) + round(pause * 24000)
        assert not samples.size or (samples[0] == 0.0 and samples[-1] == 0.0)


class TestSoundingFrames:
    def test_silence_before_and_after_the_sound_is_not_decoded(self) -> None:
        energy = np.array([-5.0] * 20 + [8.0] * 50 + [-5.0] * 40)
        first, end = sounding_frames(energy)
        assert 10 < first < 20
        assert 70 < end < 80

    def test_a_quiet_consonant_at_an_edge_is_sound(self) -> None:
        energy = np.array([-5.0] * 20 + [0.0] * 6 + [8.0] * 50 + [0.0] * 6 + [-5.0] * 40)
        first, end = sounding_frames(energy)
        assert first < 20
        assert end > 82

    def test_a_long_pause_inside_ends_nothing(self) -> None:
        energy = np.array([8.0] * 50 + [-5.0] * 100 + [8.0] * 5)
        assert sounding_frames(energy) == (0, 155)

    def test_sound_without_silence_around_it_is_decoded_from_end_to_end(self) -> None:
        assert sounding_frames(np.full(10, -3.0, np.float32)) == (0, 10)

    def test_energies_that_are_no_numbers_leave_nothing_out(self) -> None:
        assert sounding_frames(np.full(10, np.nan, np.float32)) == (0, 10)


def _stream(samples: np.ndarray, sizes: list[int], pause: float, *, loudest: float) -> np.ndarray:
    trimmer, pieces, start = StreamTrimmer(loudest), [], 0
    while start < len(samples):
        size = sizes.pop(0) if sizes else len(samples)
        pieces.append(trimmer.add(samples[start : start + size], may_end=True))
        start += size
    return np.concatenate([*pieces, trimmer.finish(pause)])


class TestStreamTrimmer:
    @given(
        before=st.integers(0, 40),
        after=st.integers(0, 40),
        inside=st.integers(0, 300),
        sizes=st.lists(st.integers(1, 3000), max_size=20),
    )
    def test_any_chunks_make_what_trimming_the_whole_makes(
        self, before: int, after: int, inside: int, sizes: list[int]
    ) -> None:
        sound = [_sound(50), _silence(inside), _sound(30, 0.3)]
        samples = np.concatenate([_silence(5 * before), *sound, _silence(5 * after)])
        whole = trim(samples, 0.25)
        got = _stream(samples, sizes, 0.25, loudest=loudest_power(samples))
        assert abs(len(got) - len(whole)) <= 20 * MS  # frames of silence are counted from where sound began
        assert got[0] == 0
        assert np.flatnonzero(got > 0.2).size == pytest.approx(np.flatnonzero(whole > 0.2).size, abs=2 * MS)

    @given(before=st.integers(0, 40), sizes=st.lists(st.integers(1, 3000), max_size=20))
    def test_what_is_trimmed_before_the_sound_is_known_with_its_first_samples(
        self, before: int, sizes: list[int]
    ) -> None:
        samples = np.concatenate([_silence(5 * before), _sound(80)])
        trimmer, start, made = StreamTrimmer(0.25), 0, 0
        for size in [*sizes, len(samples)]:
            made += len(trimmer.add(samples[start : start + size], may_end=False))
            start += size
            assert (trimmer.begin is not None) or not made
        assert trimmer.begin is not None
        assert 0 <= 5 * before * MS - trimmer.begin <= 15 * MS
        assert made + trimmer.begin + len(trimmer.finish(0.0)) == len(samples)

    def test_silence_is_nothing(self) -> None:
        assert not _stream(_silence(500), [100, 1000], 0.25, loudest=0.1).size

    def test_sound_ends_without_a_click(self) -> None:
        got = _stream(_sound(200), [1000, 1000], 0.0, loudest=0.25)
        assert np.abs(np.diff(got)).max() < 0.02
