"""The test voices themselves: what is committed is what the script makes, and the ear can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.tones import KOKORO, LETTERS, LOW, TONES, VOICES, ToneVoice, silences
from tests.voices.make_voices import write_voices

MADE = (
    "de_DE-tones-low.onnx",
    "de_DE-tones-low.onnx.json",
    "en_US-letters-low.onnx",
    "en_US-letters-low.onnx.json",
    "en_US-tone-low.onnx",
    "en_US-tone-low.onnx.json",
    "kokoro-tones.onnx",
    "voices-tones.bin",
)


def _sound(voice: ToneVoice, tones: list[tuple[int, int]]) -> np.ndarray:
    """Tones of (id, speaker), made without the voice's model."""
    time = np.arange(voice.slot) / voice.rate
    pitches = [voice.base + voice.spacing * number + voice.shift * speaker for number, speaker in tones]
    return np.concatenate([np.cos(2 * np.pi * pitch * time) for pitch in pitches])


@pytest.fixture(scope="module")
def remade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("voices")
    write_voices(directory)
    return directory


def test_the_script_makes_all_the_committed_voices_and_no_others(remade: Path) -> None:
    assert sorted(path.name for path in remade.iterdir()) == sorted(MADE)


@pytest.mark.parametrize("name", [name for name in MADE if not name.endswith(".bin")])
def test_what_is_committed_is_what_the_script_makes(name: str, remade: Path) -> None:
    assert (remade / name).read_bytes() == (VOICES / name).read_bytes()


def test_the_committed_pack_holds_the_styles_that_the_script_makes(remade: Path) -> None:
    # Compared by content: another zlib compresses to other bytes.
    with np.load(remade / "voices-tones.bin") as new, np.load(VOICES / "voices-tones.bin") as committed:
        assert list(new) == list(committed) == list(KOKORO.speakers)
        for name in new:
            np.testing.assert_array_equal(new[name], committed[name])


def test_the_script_makes_the_same_bytes_twice(remade: Path, tmp_path: Path) -> None:
    write_voices(tmp_path)
    for name in MADE:
        assert (tmp_path / name).read_bytes() == (remade / name).read_bytes()


def test_the_voices_are_small() -> None:
    assert sum((VOICES / name).stat().st_size for name in MADE) < 300_000


@pytest.mark.parametrize("voice", [LOW, TONES, LETTERS, KOKORO], ids=lambda voice: voice.name)
def test_every_tone_of_every_speaker_differs_from_all_others(voice: ToneVoice) -> None:
    tones = [
        (number, speaker)
        for number in sorted(set(voice.symbols.values()))
        for speaker in range(len(voice.speakers))
    ]
    heard = voice.spoken(_sound(voice, tones))
    assert [(tone.id, tone.speaker) for stretch in heard for tone in stretch] == tones


def test_the_ear_hears_the_same_after_a_gain_and_int16() -> None:
    tones = [(number, 0) for number in (1, 30, 0, 47, 2)]
    pcm = (_sound(LETTERS, tones) * 900).astype(np.int16)
    assert [tone.id for tone in LETTERS.spoken(pcm)[0]] == [1, 30, 0, 47, 2]


def test_a_missing_piece_of_a_tone_is_noticed() -> None:
    sound = _sound(LETTERS, [(1, 0), (30, 0), (2, 0)])
    with pytest.raises(AssertionError, match="no whole number of slots"):
        LETTERS.spoken(np.delete(sound, np.s_[700:900]))


def test_a_sentence_without_its_end_is_noticed() -> None:
    with pytest.raises(AssertionError, match="torn"):
        LETTERS.said(_sound(LETTERS, [(1, 0), (30, 0)]))


def test_silence_is_measured_to_the_sample() -> None:
    sound = _sound(LETTERS, [(1, 0), (2, 0)])
    audio = np.concatenate([np.zeros(100), sound, np.zeros(22_050), sound, np.zeros(7)])
    before, between, after = silences(audio)
    assert (before, len(LETTERS.spoken(audio))) == (100, 2)
    assert between == pytest.approx(22_050, abs=4)
    assert after == pytest.approx(7, abs=4)


def test_nothing_is_heard_in_silence() -> None:
    assert LETTERS.said(np.zeros(500)) == []
    assert LETTERS.said(np.zeros(0)) == []
    assert silences(np.zeros(500)) == [500]
