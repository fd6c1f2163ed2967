"""The configuration of a Piper voice: its bounds, and what is said of a value beyond them."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from piper.config import PhonemeType

from tests.support.tones import TONES, VOICES
from wyoming_tts.engines.piper.voice_json import (
    MAX_BYTES,
    InvalidVoiceJson,
    PhonemeKind,
    VoiceJson,
    read_voice_json,
    voice_json_path,
)
from wyoming_tts.speech import LENGTH_SCALE_RANGE, MAX_SPEAKERS, NOISE_SCALE_RANGE
from wyoming_tts.voices.catalogue import data_directory, read_piper_catalogue

Edit = Callable[[dict[str, Any]], object]

_TONES_JSON = voice_json_path(VOICES / f"{TONES.name}.onnx")


def _read(directory: Path, edit: Edit) -> VoiceJson:
    document = json.loads(_TONES_JSON.read_bytes())
    edit(document)
    path = directory / "x.onnx.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return read_voice_json(path)


def _update(values: dict[str, Any], document: dict[str, Any]) -> None:
    document.update(values)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda json_: json_.update(num_speakers=10**9), "num_speakers 1000000000: it should be less than"),
        (lambda json_: json_.update(num_speakers=2**70), "num_speakers 1180591620717411303424"),
        (lambda json_: json_.update(num_speakers=True), "num_speakers True: it should be a valid integer"),
        (lambda json_: json_.update(num_symbols=-1), "num_symbols -1"),
        (lambda json_: json_["audio"].update(sample_rate=10**6), "audio.sample_rate 1000000"),
        (
            lambda json_: json_["phoneme_id_map"].update(a=[2**70]),
            "phoneme_id_map.a.0 118059",
        ),
        (lambda json_: json_["phoneme_id_map"].update(a=["x"]), "phoneme_id_map.a.0 'x'"),
        (
            lambda json_: json_["phoneme_id_map"].update(a=[1] * 17),
            "phoneme_id_map.a: it should",
        ),
        (lambda json_: json_["phoneme_id_map"].update({"x" * 101: [1]}), "it should have at most 100 char"),
        (lambda json_: json_.update(speaker_id_map={"anna": 2**70}), "speaker_id_map.anna 118059"),
        (lambda json_: json_.update(speaker_id_map={"x" * 101: 1}), "it should have at most 100 characters"),
        (lambda json_: json_.update(default_speaker_id=2**70), "default_speaker_id 118059"),
        (lambda json_: json_.update(language={"code": "x" * 50_000}), "language.code 'xxx"),
        (lambda json_: json_.update(language="x" * 50_000), "language.code 'xxx"),
        (lambda json_: json_.update(espeak={"voice": "x" * 50_000}), "espeak.voice 'xxx"),
        (lambda json_: json_["audio"].update(quality="x" * 50_000), "audio.quality 'xxx"),
        (lambda json_: json_.update(piper_version="x" * 50_000), "piper_version 'xxx"),
        (lambda json_: json_["inference"].update(noise_scale=1e9), "inference.noise_scale 1000000000.0"),
        (lambda json_: json_["inference"].update(length_scale=0), "inference.length_scale 0"),
        (lambda json_: json_.update(hop_length=0), "hop_length 0"),
        (lambda json_: json_.update(vowel_clusters=[["a"] * 17]), "vowel_clusters.0: it should have at most"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_bound(tmp_path: Path, edit: Edit, reason: str) -> None:
    with pytest.raises(InvalidVoiceJson) as caught:
        _read(tmp_path, edit)
    message = str(caught.value)
    assert f"its json has {reason}" in message or reason in message
    assert "it should" in message
    assert len(message) < 200


def test_no_names_are_made_for_more_speakers_than_are_allowed(tmp_path: Path) -> None:
    voice = _read(tmp_path, lambda json_: json_.update(num_speakers=MAX_SPEAKERS, speaker_id_map={}))
    assert len(voice.speakers()) == MAX_SPEAKERS
    with pytest.raises(InvalidVoiceJson, match="num_speakers 10001"):
        _read(tmp_path, lambda json_: json_.update(num_speakers=MAX_SPEAKERS + 1, speaker_id_map={}))


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_the_rates_that_voices_are_trained_at_are_accepted(tmp_path: Path, rate: int) -> None:
    assert _read(tmp_path, lambda json_: json_["audio"].update(sample_rate=rate)).audio.sample_rate == rate


@pytest.mark.parametrize(("low", "high"), [NOISE_SCALE_RANGE])
def test_the_bounds_of_the_scales_themselves_are_accepted(tmp_path: Path, low: float, high: float) -> None:
    short, long = LENGTH_SCALE_RANGE
    scales = _read(
        tmp_path,
        lambda json_: json_["inference"].update(noise_scale=high, noise_w=low, length_scale=long),
    ).inference
    assert (scales.noise_scale, scales.noise_w, scales.length_scale) == (high, low, long)
    scales = _read(tmp_path, lambda json_: json_["inference"].update(length_scale=short)).inference
    assert scales.length_scale == short


def test_unknown_fields_and_descriptions_of_another_type_are_ignored(tmp_path: Path) -> None:
    voice = _read(
        tmp_path,
        lambda json_: json_.update(
            training={"steps": 2**70},
            dataset=None,
            piper_version=1.0,
            language=["en"],
            audio={"sample_rate": 16_000, "quality": None},
        ),
    )
    assert (voice.language.code, voice.piper_version, voice.audio.quality) == (None, None, None)


def test_no_more_than_the_allowed_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(InvalidVoiceJson, match=f"larger than {MAX_BYTES} bytes"):
        read_voice_json(path)


def test_every_voice_of_the_catalogue_is_within_the_bounds(tmp_path: Path) -> None:
    for voice in read_piper_catalogue(data_directory() / "piper.yaml"):
        config = next(file for file in voice.files if file.name.endswith(".json"))
        assert config.size is not None
        assert config.size * 10 < MAX_BYTES
        facts = {"num_speakers": voice.speakers, "audio": {"sample_rate": voice.sample_rate}}
        assert _read(tmp_path, partial(_update, facts)).num_speakers == voice.speakers


def test_the_kinds_of_phonemes_are_those_of_the_package() -> None:
    assert {kind.value for kind in PhonemeKind} == {kind.value for kind in PhonemeType}


@pytest.mark.parametrize("kind", PhonemeType)
def test_a_kind_may_be_written_by_its_name_in_python(tmp_path: Path, kind: PhonemeType) -> None:
    voice = _read(tmp_path, lambda json_: json_.update(phoneme_type=f"PhonemeType.{kind.name}"))
    assert voice.phoneme_type == kind.value
    assert voice.piper_config().phoneme_type is kind


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({",": 0.3, " ": 0.05}, {",": 0.3, " ": 0.05}),
        ({",": 1e9, ".": 2}, {",": 2.0, ".": 2.0}),
        ({",": "long", ".": None, "!": -1, "?": True, ";": 0.1}, {";": 0.1}),
        (None, {}),
        ([0.1], {}),
    ],
)
def test_silences_are_bounded_and_what_is_none_is_ignored(
    tmp_path: Path, given: object, kept: dict[str, float]
) -> None:
    voice = _read(tmp_path, lambda json_: json_["inference"].update(phoneme_silence=given))
    assert voice.inference.phoneme_silence == kept


def test_the_package_receives_the_same_values(tmp_path: Path) -> None:
    config = _read(tmp_path, lambda json_: json_.update(vowel_clusters=[["a", "ɪ"]])).piper_config()
    assert (config.num_speakers, config.sample_rate, config.espeak_voice) == (3, 16_000, "de")
    assert config.phoneme_type is PhonemeType.ESPEAK
    assert (config.noise_scale, config.length_scale, config.noise_w_scale) == (0.0, 1.25, 0.0)
    assert config.phoneme_id_map["^"] == [1]
    assert config.vowel_clusters == {("a", "ɪ")}
