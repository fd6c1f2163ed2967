from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_tts.engines.kokoro import statistics_store
from wyoming_tts.engines.kokoro.statistics import CALIBRATED, NormStatistics, VoiceStatistics
from wyoming_tts.engines.kokoro.statistics_store import StatisticsStore
from wyoming_tts.speech import Samples

CHANNELS = 3
TABLE = np.ones((2, 1, 256), np.float32)


def _teach(statistics: VoiceStatistics, count: int = CALIBRATED) -> None:
    random = np.random.default_rng(len(repr(statistics)))
    for _ in range(count):
        means, variances = random.uniform(0.5, 1.5, (2, CHANNELS)).astype(np.float32)
        features = random.normal(size=7).astype(np.float32)
        statistics.learn(features, NormStatistics(means, variances), loudest=0.2, calibrating=True)
        statistics.calibrated += 1


def _store(directory: Path | None, digest: str = "model") -> StatisticsStore:
    return StatisticsStore(directory, digest, CHANNELS)


def _calibrate(store: StatisticsStore, table: Samples = TABLE) -> None:
    statistics = store.of(table)
    _teach(statistics)
    store.save(table, statistics)


def test_what_was_learned_is_there_after_a_restart(tmp_path: Path) -> None:
    store = _store(tmp_path / "new")
    _calibrate(store)
    again = _store(tmp_path / "new").of(TABLE)
    assert again.is_calibrated
    assert again.to_bytes() == store.of(TABLE).to_bytes()


def test_the_statistics_of_a_voice_are_one_object() -> None:
    store = _store(None)
    assert store.of(TABLE) is store.of(TABLE.copy())


def test_another_model_under_the_same_name_has_none(tmp_path: Path) -> None:
    _calibrate(_store(tmp_path))
    assert not _store(tmp_path, "another").of(TABLE).is_enough


def test_another_style_table_has_none(tmp_path: Path) -> None:
    _calibrate(_store(tmp_path))
    other = TABLE.copy()
    other[1, 0, 7] += 1e-6
    assert not _store(tmp_path).of(other).is_enough
    assert _store(tmp_path).of(TABLE).is_enough


def test_without_a_directory_they_stay_in_memory() -> None:
    store = _store(None)
    _calibrate(store)
    assert store.of(TABLE).is_calibrated


def test_a_damaged_file_is_told_and_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _calibrate(_store(tmp_path))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    store = _store(tmp_path)
    assert not store.of(TABLE).is_enough
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "A voice is calibrated anew" in record.message
    assert path.name in record.message
    _calibrate(store)
    assert _store(tmp_path).of(TABLE).is_calibrated


@given(place=st.floats(0, 1), value=st.integers(0, 255))
def test_whatever_byte_is_damaged_what_was_learned_is_read_rightly_or_not_at_all(
    place: float, value: int
) -> None:
    statistics = VoiceStatistics(CHANNELS)
    _teach(statistics)
    content = bytearray(statistics.to_bytes())
    content[min(int(place * len(content)), len(content) - 1)] = value
    try:
        read = VoiceStatistics.from_bytes(bytes(content), CHANNELS)
    except ValueError:
        return
    for expected, got in zip(statistics._seen, read._seen, strict=True):
        np.testing.assert_array_equal(got.features, expected.features)
        np.testing.assert_array_equal(got.values, expected.values)


def test_a_directory_in_which_nothing_can_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = _store(tmp_path / "file" / "within")  # fails for root too
    with caplog.at_level(logging.INFO):
        _calibrate(store)
    assert store.of(TABLE).is_calibrated
    assert "The calibration of a voice is kept in memory only" in caplog.text


def test_a_file_that_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    _calibrate(_store(tmp_path))
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()
    assert not _store(tmp_path).of(TABLE).is_enough


def test_the_oldest_files_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_store, "_MAX_FILES", 3)
    store = _store(tmp_path)
    names: list[str] = []
    for number in range(5):
        _calibrate(store, TABLE * number)
        (new,) = {path.name for path in tmp_path.iterdir()} - {*names}
        names.append(new)
        os.utime(tmp_path / new, (number, number))
    assert {path.name for path in tmp_path.iterdir()} == {*names[2:]}


def test_few_voices_are_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics_store, "_MAX_IN_MEMORY", 3)
    store = _store(None)
    for number in range(9):
        store.of(TABLE * number)
    assert repr(store) == "<StatisticsStore of 3 voices>"


def test_what_a_voice_learned_is_kept_though_many_others_were_used_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics_store, "_MAX_IN_MEMORY", 3)
    store = _store(tmp_path)
    learned = store.of(TABLE)
    for number in range(2, 9):
        store.of(TABLE * number)
    _teach(learned)
    store.save(TABLE, learned)
    assert _store(tmp_path).of(TABLE).is_calibrated


def test_two_servers_with_one_directory_leave_one_whole_file(tmp_path: Path) -> None:
    stores = [_store(tmp_path) for _ in range(2)]
    for store in stores:
        _teach(store.of(TABLE))
    for store in (*stores, *stores):
        store.save(TABLE, store.of(TABLE))
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == stores[1].of(TABLE).to_bytes()
    assert _store(tmp_path).of(TABLE).is_calibrated
