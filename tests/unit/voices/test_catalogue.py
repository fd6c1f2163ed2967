from __future__ import annotations

import json
import logging
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from wyoming_tts.engines.kokoro.names import BY_TAG
from wyoming_tts.voices import catalogue as catalogue_module
from wyoming_tts.voices.catalogue import (
    PIPER_BASE_URL,
    Catalogue,
    CatalogueError,
    CatalogueFile,
    CatalogueVoice,
    Gender,
    Pronunciation,
    data_directory,
    load_catalogue,
    read_kokoro_catalogue,
    read_piper_catalogue,
    read_piper_index,
)
from wyoming_tts.voices.names import NameResolver

UPDATE = Path(__file__).parents[3] / "voices" / "update.py"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def voices_of(catalogue: Catalogue, engine: str) -> list[CatalogueVoice]:
    return [voice for voice in catalogue.voices if voice.engine == engine]


def find_voice(catalogue: Catalogue, name: str) -> CatalogueVoice | None:
    return NameResolver(catalogue=catalogue.voices).find_in_catalogue(name)


def as_index(voices: tuple[CatalogueVoice, ...]) -> dict[str, Any]:
    """The part of the upstream index that is read, for these voices."""
    return {voice.name: _index_entry(voice) for voice in voices}


def _index_entry(voice: CatalogueVoice) -> dict[str, Any]:
    files = {
        f.path: {"size_bytes": f.size, "md5_digest": (f.digest or "").removeprefix("md5:")}
        for f in voice.files
    }
    card = {"en/MODEL_CARD": {"size_bytes": 274, "md5_digest": "b6f0eaf5a7fd094be22a1bcb162173fb"}}
    return {
        "language": {"code": voice.language},
        "quality": voice.quality,
        "num_speakers": voice.speakers,
        "files": card | files,
        "aliases": list(voice.aliases),
    }


def write_catalogue(directory: Path, content: object, name: str = "voices.json") -> Path:
    path = directory / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# Metadata


def test_every_piper_voice_lists_its_model_before_its_configuration(catalogue: Catalogue) -> None:
    voices = voices_of(catalogue, "piper")
    assert len(voices) >= 176
    for voice in voices:
        assert [file.name for file in voice.files] == [f"{voice.name}.onnx", f"{voice.name}.onnx.json"]
        assert voice.files[0].size is not None
        assert voice.files[0].size > 1_000_000
        assert all((file.digest or "").startswith("md5:") for file in voice.files)
        assert all(file.url.startswith(PIPER_BASE_URL) and file.url.isascii() for file in voice.files)
        assert voice.name.startswith(f"{voice.language}-")
        assert voice.speakers >= 1


def test_the_gender_of_well_known_piper_voices_is_told_at_each_quality(catalogue: Catalogue) -> None:
    genders = {voice.name: voice.gender for voice in voices_of(catalogue, "piper")}
    for name, gender in {
        "en_US-lessac-low": "female",
        "en_US-lessac-high": "female",
        "de_DE-thorsten-medium": "male",
        "de_DE-kerstin-low": "female",
        "fr_FR-siwis-medium": "female",
        "pt_PT-tugão-medium": "male",
        "de_DE-mls-medium": None,  # of many speakers
        "de_DE-thorsten_emotional-medium": None,
        "en_US-sam-medium": None,  # not known
    }.items():
        assert genders[name] == gender, name


def test_genders_are_those_of_single_speaker_voices_in_the_catalogue(catalogue: Catalogue) -> None:
    by_gender = yaml.safe_load((data_directory() / "piper_facts.yaml").read_text("utf-8"))["gender"]
    names = [name for of_gender in by_gender.values() for name in of_gender]
    assert len(names) == len(set(names)) > 90
    single = {
        voice.name.removesuffix(f"-{voice.quality}") for voice in catalogue.voices if voice.speakers == 1
    }
    assert set(names) <= single


def test_each_language_has_one_voice_to_begin_with_of_one_speaker_where_there_is_one(
    catalogue: Catalogue,
) -> None:
    recommended = {voice.language: voice for voice in catalogue.voices if voice.is_recommended}
    assert sum(voice.is_recommended for voice in catalogue.voices) == len(recommended)
    by_language: dict[str, list[CatalogueVoice]] = {}
    for voice in catalogue.voices:
        by_language.setdefault(voice.language, []).append(voice)
    assert recommended.keys() == by_language.keys()
    for language, voices in by_language.items():
        has_single = any(voice.speakers == 1 for voice in voices)
        assert (recommended[language].speakers == 1) == has_single, language
    for language, name in {
        "de_DE": "de_DE-thorsten-medium",
        "en_US": "en_US-lessac-medium",
        "fr_FR": "fr_FR-siwis-medium",
        "ro_RO": "ro_RO-mihai-medium",
        "tr_TR": "tr_TR-dfki-medium",
        "kk_KZ": "kk_KZ-iseke-x_low",  # before the better one of six speakers
        "ja_JP": "jf_alpha",
    }.items():
        assert recommended[language].name == name


def test_the_table_of_recommended_voices_has_one_of_a_language_and_only_voices_of_the_catalogue(
    catalogue: Catalogue,
) -> None:
    names = yaml.safe_load((data_directory() / "piper_facts.yaml").read_text("utf-8"))["recommended"]
    known = {voice.name: voice for voice in catalogue.voices}
    assert [name for name in names if known[name].speakers > 1] == []
    assert len({known[name].language for name in names}) == len(names)
    assert all(known[name].is_recommended for name in names)


@pytest.mark.parametrize("gender", ["[female]", "{neither: [en_US-amy]}", "{male: 5}"])
def test_malformed_genders_are_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gender: str
) -> None:
    for name in ("piper.yaml", "kokoro.yaml"):
        write_catalogue(tmp_path, (data_directory() / name).read_text("utf-8"), name)
    write_catalogue(tmp_path, f"gender: {gender}", "piper_facts.yaml")
    monkeypatch.setattr(catalogue_module, "data_directory", lambda: tmp_path)
    with pytest.raises(CatalogueError, match=r"piper_facts\.yaml is malformed"):
        load_catalogue()


def test_the_catalogue_entry_of_the_default_voice_is_complete(catalogue: Catalogue) -> None:
    voice = find_voice(catalogue, "en_US-lessac-medium")
    assert voice is not None
    folder = "en/en_US/lessac/medium"
    assert voice.files[0] == CatalogueFile(
        path=f"{folder}/en_US-lessac-medium.onnx",
        url=f"https://huggingface.co/rhasspy/piper-voices/resolve/main/{folder}/en_US-lessac-medium.onnx",
        size=63201294,
        digest="md5:2fc642b535197b6305c7c8f92dc8b24f",
    )
    assert (voice.language, voice.quality, voice.speakers) == ("en_US", "medium", 1)
    assert voice.size == sum(file.size or 0 for file in voice.files)


def test_a_non_ascii_name_is_quoted_only_in_its_url(catalogue: Catalogue) -> None:
    voice = find_voice(catalogue, "pt_PT-tugão-medium")
    assert voice is not None
    assert voice.files[0].name == "pt_PT-tugão-medium.onnx"
    assert voice.files[0].url.endswith("/pt_PT-tug%C3%A3o-medium.onnx")


def test_all_kokoro_voices_are_listed_with_language_and_gender(catalogue: Catalogue) -> None:
    voices = voices_of(catalogue, "kokoro")
    assert Counter(voice.language for voice in voices) == {
        "en_US": 20,
        "en_GB": 8,
        "es_ES": 3,
        "fr_FR": 1,
        "hi_IN": 4,
        "it_IT": 2,
        "ja_JP": 5,
        "pt_BR": 3,
        "zh_CN": 8,
    }
    letters = {"a": "en_US", "b": "en_GB", "e": "es_ES", "f": "fr_FR", "h": "hi_IN", "i": "it_IT"}
    letters |= {"j": "ja_JP", "p": "pt_BR", "z": "zh_CN"}
    genders = {"f": Gender.FEMALE, "m": Gender.MALE}
    for voice in voices:
        assert voice.language == letters[voice.name[0]]
        assert voice.gender is genders[voice.name[1]]
    assert {voice.name: voice.grade for voice in voices}["af_heart"] == "A"


def test_the_sample_rate_of_a_piper_voice_is_that_of_its_quality(catalogue: Catalogue) -> None:
    rates = {(voice.quality, voice.sample_rate) for voice in voices_of(catalogue, "piper")}
    assert rates == {("x_low", 16000), ("low", 16000), ("medium", 22050), ("high", 22050)}


def test_kokoro_voices_have_one_rate_and_one_licence(catalogue: Catalogue) -> None:
    facts = {(voice.sample_rate, voice.licence) for voice in voices_of(catalogue, "kokoro")}
    assert facts == {(24000, "Apache-2.0")}


def test_languages_that_need_misaki_are_marked(catalogue: Catalogue) -> None:
    poor = {voice.language for voice in catalogue.voices if voice.pronunciation is Pronunciation.POOR}
    fair = {voice.language for voice in voices_of(catalogue, "kokoro") if voice.pronunciation is None}
    needing = {language.tag for language in BY_TAG.values() if language.misaki}
    assert poor == needing == {"ja_JP", "zh_CN"}
    assert not poor & fair


def test_all_kokoro_voices_share_one_model_and_one_pack(catalogue: Catalogue) -> None:
    assert len({voice.files for voice in voices_of(catalogue, "kokoro")}) == 1
    model, pack = voices_of(catalogue, "kokoro")[0].files
    assert (model.name, model.size) == ("kokoro-v1.0.onnx", 325532387)
    assert (pack.name, pack.size) == ("voices-v1.0.bin", 28214398)


@pytest.mark.parametrize(
    ("export", "name", "size"),
    [("fp16", "kokoro-v1.0.fp16.onnx", 177464787), ("int8", "kokoro-v1.0.int8.onnx", 92361271)],
)
def test_another_export_of_the_kokoro_model_can_be_chosen(export: str, name: str, size: int) -> None:
    voice = find_voice(load_catalogue(kokoro_model=export), "af_heart")
    assert voice is not None
    assert (voice.files[0].name, voice.files[0].size, voice.quality) == (name, size, export)


def test_the_error_for_an_unknown_export_lists_the_available_ones() -> None:
    with pytest.raises(ValueError, match=r"'fp8'.*fp32, fp16, int8"):
        load_catalogue(kokoro_model="fp8")


def test_no_name_refers_to_two_voices(catalogue: Catalogue) -> None:
    names = [voice.name.casefold() for voice in catalogue.voices]
    aliases = [alias.casefold() for voice in catalogue.voices for alias in voice.aliases]
    assert len({*names, *aliases}) == len(names) + len(aliases)


def test_voices_come_sorted_by_name(catalogue: Catalogue) -> None:
    for engine in ("piper", "kokoro"):
        names = [voice.name for voice in voices_of(catalogue, engine)]
        assert names == sorted(names)


# Downloaded index


def test_a_downloaded_index_adds_voices_and_updates_their_metadata(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    known = find_voice(catalogue, "en_US-lessac-medium")
    assert known is not None
    index = as_index((known,))
    index["en_US-lessac-medium"]["num_speakers"] = 7
    index["xx_XX-new-low"] = _index_entry(known) | {
        "files": {
            f"xx/xx_XX-new-low{end}": {"size_bytes": 5, "md5_digest": "0" * 32}
            for end in (".onnx", ".onnx.json")
        },
        "aliases": [],
    }
    merged = load_catalogue(write_catalogue(tmp_path, index))
    changed, new = find_voice(merged, "en-us-lessac-medium"), find_voice(merged, "xx_XX-new-low")
    assert changed is not None
    assert changed.speakers == 7
    assert new is not None
    assert new.files[0].url == f"{PIPER_BASE_URL}xx/xx_XX-new-low.onnx"
    assert len(merged.voices) == len(catalogue.voices) + 1
    assert [voice.name for voice in voices_of(merged, "piper")] == sorted(
        voice.name for voice in voices_of(merged, "piper")
    )


def test_a_downloaded_index_keeps_the_metadata_it_does_not_contain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "language: en_US, quality: low, speakers: 1, sample_rate: 8000, licence: CC0"
    files = "files: {a/x.onnx: [5, null], a/x.onnx.json: [5, null]}"
    write_catalogue(tmp_path, f"{{voices: {{x: {{{entry}, {files}}}}}}}", "piper.yaml")
    write_catalogue(tmp_path, UPDATE.with_name("kokoro.yaml").read_text(encoding="utf-8"), "kokoro.yaml")
    write_catalogue(tmp_path, "gender: {female: [x]}", "piper_facts.yaml")
    monkeypatch.setattr(catalogue_module, "data_directory", lambda: tmp_path)
    for changes, rate in ({"num_speakers": 3}, 8000), ({"quality": "high"}, 22050):
        voice = find_voice(load_catalogue(write_catalogue(tmp_path, entry_with(**changes))), "x")
        assert voice is not None
        assert (voice.sample_rate, voice.licence) == (rate, "CC0")


def test_an_unknown_quality_gives_no_sample_rate(tmp_path: Path) -> None:
    (voice,) = read_piper_index(write_catalogue(tmp_path, entry_with(quality="lossless")))
    assert voice.sample_rate is None


def test_an_index_that_was_never_downloaded_changes_nothing(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_catalogue(tmp_path / "voices.json") == catalogue
    assert caplog.records == []


@pytest.mark.parametrize("broken", ['{"half', "[1, 2]", '{"a": 1}', '{"a": {"files": {}}}', "\x00"])
def test_a_corrupt_index_logs_one_warning_that_names_it(
    tmp_path: Path, catalogue: Catalogue, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    path = write_catalogue(tmp_path, broken)
    assert load_catalogue(path) == catalogue
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(path) in record.getMessage()
    assert "--update-voices" in record.getMessage()


def entry_with(**changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "language": {"code": "en_US"},
        "quality": "low",
        "num_speakers": 1,
        "files": {f"x{end}": {"size_bytes": 5, "md5_digest": "0" * 32} for end in (".onnx", ".onnx.json")},
        "aliases": [],
    }
    return {"x": entry | changes}


def test_a_valid_index_entry_is_read(tmp_path: Path) -> None:
    (voice,) = read_piper_index(write_catalogue(tmp_path, entry_with()))
    assert voice.name == "x"


@pytest.mark.parametrize(
    "changes",
    [
        {"language": "en_US"},
        {"files": {}},
        {"files": {"x.onnx": {"size_bytes": 5, "md5_digest": "0" * 32}}},
        {"files": {"x.onnx": {"size_bytes": -1, "md5_digest": "0" * 32}}},
        {"files": {"x.onnx": {"size_bytes": "5", "md5_digest": "0" * 32}}},
        {"files": {"x.onnx": {"size_bytes": 5, "md5_digest": "no digest"}}},
        {"files": None},
        {"num_speakers": 1_000_000_000},
        {"num_speakers": "1"},
    ],
)
def test_the_error_for_a_malformed_entry_names_the_entry_and_its_file(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = write_catalogue(tmp_path, entry_with(**changes))
    with pytest.raises(CatalogueError, match="the voice x is malformed") as caught:
        read_piper_index(path)
    assert str(path) in str(caught.value)


def test_a_huge_index_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "voices.json"
    with path.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(CatalogueError, match="larger than 20000000 bytes"):
        read_piper_index(path)


@pytest.mark.parametrize("path", ["", "..", "a/..", "a\\b", "a\0b"])
def test_file_paths_cannot_escape_the_download_directory(path: str) -> None:
    with pytest.raises(ValueError, match="does not name a file"):
        CatalogueFile(path, "https://example.com/")


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/./passwd"])
def test_files_are_stored_flat_whatever_their_path(path: str) -> None:
    assert CatalogueFile(path, "https://example.com/").name == "passwd"


# YAML files


@pytest.mark.parametrize("text", ["voices: [", "- a", "just text", "voices: 5", "\x00"])
def test_the_error_names_yaml_that_is_no_catalogue(tmp_path: Path, text: str) -> None:
    path = write_catalogue(tmp_path, text, "piper.yaml")
    with pytest.raises(CatalogueError) as caught:
        read_piper_catalogue(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "voices: {}",
        "{base_url: a, models: {fp32: [a, 1]}, pack: [b, 1, null], voices: {}}",
        "{base_url: a, models: {fp32: [a, 1, 'sha256:0']}, pack: [b, 1, null], voices: {}}",
        "{base_url: a, models: {fp32: [a, 1, null]}, pack: [b, 1, null], voices: {x: {language: en_US}}}",
        "{base_url: a, models: {fp32: [a, 1, ~]}, pack: [b, 1, ~], voices: {x: {language: a, gender: b}}}",
    ],
)
def test_the_error_names_a_malformed_kokoro_catalogue(tmp_path: Path, text: str) -> None:
    path = write_catalogue(tmp_path, text, "kokoro.yaml")
    with pytest.raises(CatalogueError) as caught:
        read_kokoro_catalogue(path)
    assert str(path) in str(caught.value)


def test_the_error_names_a_missing_catalogue(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"piper\.yaml"):
        read_piper_catalogue(tmp_path / "piper.yaml")


def test_the_packaged_catalogue_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "wyoming_tts" / "voices"
    monkeypatch.setattr(catalogue_module, "__file__", str(package / "catalogue.py"))
    with pytest.raises(CatalogueError, match="install again"):
        data_directory()
    for place in (tmp_path / "voices", package / "data"):
        place.mkdir(parents=True)
        write_catalogue(place, "", "piper.yaml")
        assert data_directory() == place


def test_importing_the_module_does_not_load_yaml() -> None:
    code = "import sys, wyoming_tts.voices.catalogue; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Updating


def updated(arguments: list[str]) -> None:
    runpy.run_path(str(UPDATE))["main"](arguments)


def test_updating_from_the_same_index_writes_identical_bytes(tmp_path: Path) -> None:
    present = UPDATE.with_name("piper.yaml")
    index = as_index(read_piper_catalogue(present))
    for order in (1, -1):
        shuffled = write_catalogue(tmp_path, dict(list(index.items())[::order]))
        updated([str(shuffled), "--output", str(tmp_path / "piper.yaml")])
        assert (tmp_path / "piper.yaml").read_bytes() == present.read_bytes()


def test_the_update_reports_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "piper.yaml"
    arguments = [str(tmp_path / "voices.json"), "--output", str(output)]
    index = as_index(read_piper_catalogue(UPDATE.with_name("piper.yaml"))[:3])
    names = sorted(index)
    write_catalogue(tmp_path, {name: index[name] for name in names[:2]})
    updated(arguments)
    assert capsys.readouterr().out == "2 voices\n"
    index[names[1]]["num_speakers"] = 9
    write_catalogue(tmp_path, {name: index[name] for name in names[1:]})
    updated(arguments)
    assert capsys.readouterr().out.splitlines() == [
        "2 voices",
        f"new: {names[2]}",
        f"gone: {names[0]}",
        f"changed: {names[1]}",
    ]


def test_a_corrupt_index_leaves_the_catalogue_unchanged(tmp_path: Path) -> None:
    output = write_catalogue(tmp_path, "as it was", "piper.yaml")
    with pytest.raises(CatalogueError):
        updated([str(write_catalogue(tmp_path, "{")), "--output", str(output)])
    assert output.read_text() == "as it was"
