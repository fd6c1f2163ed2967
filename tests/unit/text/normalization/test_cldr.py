"""CLDR data in the format of the language files, for all languages of the catalogues."""

from __future__ import annotations

from decimal import Decimal

import pytest

from wyoming_tts.languages import language_code
from wyoming_tts.text.normalization.cldr import LANGUAGES, cldr_entries, plural_category, territory_entries
from wyoming_tts.text.normalization.cldr_units import SIGNS
from wyoming_tts.text.normalization.schema import LanguageEntries
from wyoming_tts.voices.catalogue import load_catalogue


def test_every_voice_of_the_catalogue_has_its_language() -> None:
    assert {language_code(voice.language) for voice in load_catalogue().voices} <= LANGUAGES


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_has_units_currencies_and_dates(language: str) -> None:
    entries = cldr_entries(language)
    assert {"°", "km", "h", "min"} <= set(entries["units"])
    assert {"€", "$", "£"} <= set(entries["currencies"])
    assert len(entries["dates"]["months"]) == 12
    assert len(entries["dates"]["weekdays"]) == 7
    assert all(part in entries["dates"]["numeric"] for part in ("{day}", "{month}", "{year}"))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_entries_have_the_format_of_the_language_files(language: str) -> None:
    LanguageEntries.model_validate(cldr_entries(language))


def test_plural_forms_are_those_of_the_categories() -> None:
    assert cldr_entries("pl")["units"]["°C"] == {
        "one": "stopień Celsjusza",
        "few": "stopnie Celsjusza",
        "many": "stopni Celsjusza",
        "other": "stopnia Celsjusza",
    }
    assert cldr_entries("ja")["units"]["°C"]["many"] == "摂氏 {number} 度"
    assert cldr_entries("ar")["units"]["h"]["two"] == "=ساعتان"


@pytest.mark.parametrize(
    ("language", "number", "category"),
    [
        ("pl", "1", "one"),
        ("pl", "2", "few"),
        ("pl", "12", "many"),
        ("pl", "22", "few"),
        ("pl", "1.5", "other"),
        ("pl", "1.0", "other"),
        ("en", "1", "one"),
        ("en", "1.0", "other"),
        ("fr", "0", "one"),
        ("fr", "1.5", "one"),
        ("fr", "2", "many"),
        ("fr", "1000000", "many"),
        ("ar", "2", "two"),
        ("lv", "21", "one"),
        ("ja", "1", "other"),
    ],
)
def test_the_plural_category_is_that_of_a_number_with_its_decimals(
    language: str, number: str, category: str
) -> None:
    found = plural_category(language)(Decimal(number))
    assert found == category


def test_a_territory_has_its_marks_order_and_currency() -> None:
    assert territory_entries("es", "MX")["numbers"]["decimal"] == "."
    assert territory_entries("en", "GB")["dates"]["order"] == "dmy"
    assert territory_entries("de", "CH")["currencies"].keys() == {"CHF"}
    assert territory_entries("pl", "PL")["currencies"]["zł"]["few"] == "złote polskie"


def test_a_territory_that_does_not_exist_is_as_the_language() -> None:
    assert territory_entries("ja", "JA")["numbers"] == territory_entries("ja", "JP")["numbers"]
    assert territory_entries("ja", "JA")["currencies"] == {}


def test_no_sign_has_two_units() -> None:
    signs = [sign for spellings in SIGNS.values() for sign in spellings.split(" | ")]
    assert len(signs) == len(set(signs))
