"""Lazy loading of language data, and merging of user data into it."""

from __future__ import annotations

import logging
import textwrap
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from wyoming_tts.text.normalization import NormalizerRegistry
from wyoming_tts.text.normalization.registry import FILE_NAME, load_user_entries
from wyoming_tts.text.normalization.schema import ShippedEntries
from wyoming_tts.yaml_files.reading import read_yaml

DATA = resources.files("wyoming_tts.text.normalization").joinpath("data")
SMOOT = {"units": {"smoot": {"one": "smoot", "many": "smoots"}}}


def write_data(directory: Path, content: str | bytes) -> Path:
    directory.mkdir(exist_ok=True)
    (directory / FILE_NAME).write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory


def test_language_data_is_loaded_lazily_and_once() -> None:
    languages = NormalizerRegistry()
    assert not languages.is_loaded("de_DE")
    languages.load("de_DE")
    assert languages.is_loaded("de")
    assert not languages.is_loaded("fr")
    first = languages.normalizer("de")
    assert languages.normalizer("de_LU").language is first.language


def test_a_territory_has_what_it_writes_otherwise() -> None:
    languages = NormalizerRegistry()
    for tag in ("es_MX", "es_ES"):
        languages.load(tag)
    assert languages.normalizer("es_MX").normalize("son 1,234.5") == (
        "son mil doscientos treinta y cuatro punto cinco"
    )
    assert languages.normalizer("es_ES").normalize("son 1.234,5") == (
        "son mil doscientos treinta y cuatro coma cinco"
    )


def test_text_in_a_language_without_data_is_unchanged() -> None:
    languages = NormalizerRegistry()
    assert languages.is_loaded("tlh")
    assert languages.is_loaded("")
    assert languages.normalizer("tlh").normalize("5 km") == "5 km"


def test_language_data_not_preloaded_is_loaded_on_first_use() -> None:
    languages = NormalizerRegistry()
    assert languages.normalizer("en_GB").normalize("5 km") == "Five kilometers"
    assert languages.is_loaded("en-gb")


def test_protected_tokens_apply_only_to_the_normalizer_they_were_given_to() -> None:
    languages = NormalizerRegistry()
    protecting = languages.normalizer("en", lambda token: token == "5G")
    assert protecting.normalize("has 5G and 5 km") == "has 5G and five kilometers"
    assert languages.normalizer("en").normalize("has 25%") == "has twenty-five percent"


def test_user_entries_take_precedence_over_the_shipped_data() -> None:
    languages = NormalizerRegistry({"en": SMOOT})
    assert languages.normalizer("en").normalize("is 3 smoot or 5 km") == "is three smoots or five kilometers"
    assert languages.normalizer("de").normalize("sind 3 smoot") == "sind drei smoot"


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": {"smoot": {"many": "smoots"}}},
        {"units": 5},
        {"words": ["and"]},
        pytest.param({"unit": {"smoot": {"one": "smoot"}}}),
        pytest.param({"months": ["January"]}),
    ],
)
def test_malformed_user_entries_are_skipped_with_one_error(
    wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    languages = NormalizerRegistry({"en": wrong})
    for _ in range(2):
        assert languages.normalizer("en").normalize("is 5 km") == "is five kilometers"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert FILE_NAME in errors[0].message
    assert "'en'" in errors[0].message


def test_a_file_in_a_data_directory_is_read(tmp_path: Path) -> None:
    write_data(
        tmp_path,
        "en_US:\n  units:\n    smoot: {one: smoot, many: smoots}\nde:\n  phrases: {HA: Home Assistant}\n",
    )
    extra = load_user_entries([tmp_path])
    assert set(extra) == {"en", "de"}
    languages = NormalizerRegistry(extra)
    assert languages.normalizer("en_GB").normalize("is 3 smoot") == "is three smoots"
    assert languages.normalizer("de").normalize("Die HA ist da") == "Die Home Assistant ist da"


def test_of_two_data_directories_the_first_wins_per_language(tmp_path: Path) -> None:
    first = write_data(tmp_path / "first", "en: {phrases: {HA: first}}")
    second = write_data(tmp_path / "second", "en: {phrases: {HA: second}}\nde: {phrases: {HA: zweite}}")
    extra = load_user_entries([first, tmp_path / "missing", second])
    assert extra == {"en": {"phrases": {"HA": "first"}}, "de": {"phrases": {"HA": "zweite"}}}


def test_without_a_user_file_nothing_is_added_and_nothing_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_user_entries([tmp_path]) == {}
    assert load_user_entries([write_data(tmp_path, "")]) == {}
    assert not caplog.records


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("en: [1, 2", "line 1: got a bracket or a quote that is not closed"),
        ("- en", "expected languages"),
        ("en: 5", "line 1: got 5 for 'en', expected entries as en.yaml has them"),
        ("just text", "expected languages"),
        (b"\xff\xfe\x00", ""),
        ("en: !!python/object/apply:os.getcwd []", "line 1: got the tag"),
        ("#" * 1_000_001, "more than 1,000,000 bytes"),
    ],
)
def test_an_unreadable_user_file_is_skipped_with_an_error(
    tmp_path: Path, content: str | bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = write_data(tmp_path / "broken", content)
    fine = write_data(tmp_path / "fine", "en: {phrases: {HA: fine}}")
    assert load_user_entries([broken, fine]) == {"en": {"phrases": {"HA": "fine"}}}
    (error,) = caplog.records
    assert str(broken / FILE_NAME) in error.message
    assert reason in error.message


def test_every_mistake_is_reported_with_its_line_and_does_not_affect_other_languages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = textwrap.dedent("""\
        en:
          unit: {smoot: {one: smoot}}
          units:
            smoot: {one: 5, mny: smoots}
            foot: [foot]
          abbreviations: {Dr.: {before: name}}
        fr: {words: {and: yes}, years: {from: long ago}}
        no: {}
        de: {phrases: {HA: Home Assistant}, times: {hours: {1: ein}}}
        """)
    write_data(tmp_path, content)
    assert load_user_entries([tmp_path]) == {
        "de": {"phrases": {"HA": "Home Assistant"}, "times": {"hours": {1: "ein"}}}
    }
    (error,) = caplog.records
    _, *lines = error.getMessage().replace(f"{tmp_path / FILE_NAME} ", "").splitlines()
    assert lines[0].startswith("line 2: got the key 'unit', expected numbers, years, words, ")
    assert lines[0].endswith("; did you mean 'units'?")
    assert lines[1:] == [
        "line 4: got 5 for 'one', expected text",
        (
            "line 4: got the key 'mny', expected one, many, zero, two, few, other, gender, per, of, "
            "alone, spaced, last, tight or minor; "
            "did you mean 'many'?"
        ),
        "line 5: got a list for 'foot', expected an entry such as {one: kilometer, many: kilometers}",
        "line 6: got no 'spoken', expected one",
        "line 7: got true for 'and', expected text",
        "line 7: got 'long ago' for 'from', expected a whole number",
        "line 8: got a key that is not text, expected it in quotes",
    ]


@pytest.mark.parametrize(
    "language",
    sorted(path.name.removesuffix(".yaml") for path in DATA.iterdir() if path.name.endswith("yaml")),
)
def test_the_shipped_data_use_the_format_of_user_data(language: str) -> None:
    data = DATA.joinpath(f"{language}.yaml").read_text("utf-8")
    content = f"'{language}':\n{textwrap.indent(data, '  ')}"
    document = read_yaml(content.encode(), "own.yaml")
    assert document.validate(ShippedEntries)
    assert document.problems == ()


def test_a_directory_in_place_of_the_user_file_is_skipped_with_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).mkdir()
    assert load_user_entries([tmp_path]) == {}
    assert len(caplog.records) == 1


def test_a_language_that_is_part_of_another_is_spoken_by_its_data() -> None:
    languages = NormalizerRegistry()
    norwegian = languages.normalizer("no_NO").language
    assert norwegian is not None
    assert languages.normalizer("nb").language is norwegian
    assert languages.normalizer("nn_NO").language is norwegian
    assert languages.normalizer("yue").language is not None


def test_an_abbreviation_from_the_cldr_is_read_beside_a_date_alone() -> None:
    estonian = NormalizerRegistry().normalizer("et")
    assert estonian.normalize("E, 5. mai 2026").startswith("Esmaspäev")
    assert estonian.normalize("Vitamiin E.") == "Vitamiin E."


def test_a_territory_that_is_not_loaded_is_spoken_as_one_that_is() -> None:
    languages = NormalizerRegistry()
    languages.load("en_US")
    assert languages.normalizer("en_GB").language is languages.normalizer("en_US").language
    assert not languages.is_loaded("en_GB")
    languages.load("en_GB")
    assert languages.normalizer("en_GB").language is not languages.normalizer("en_US").language


def test_marks_of_the_language_are_understood_in_each_of_its_territories() -> None:
    languages = NormalizerRegistry()
    for tag in ("nl_NL", "nl_BE"):
        languages.load(tag)
        assert languages.normalizer(tag).normalize("op 21-11-2026") == (
            "op eenentwintig november tweeduizend zesentwintig"
        )
