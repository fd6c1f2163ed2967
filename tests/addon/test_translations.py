"""The add-on's translations: every option and port has a name and a description in every language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from wyoming_tts.settings.addon import addon_options

ROOT = Path(__file__).parents[2]
LANGUAGES = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted((ROOT / "translations").glob("*.yaml"))
}
MANIFEST = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
ENGLISH = LANGUAGES["en"]["configuration"]
NAMES = [option.name for option in addon_options()]
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?")


def numbers(text: str) -> set[str]:
    return {found.replace(",", ".") for found in _NUMBER.findall(text)}


def test_english_and_german_translations_exist() -> None:
    assert {"en", "de"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_option_and_no_removed_ones(language: str) -> None:
    texts = LANGUAGES[language]
    assert set(texts) == {"configuration", "network"}
    assert list(texts["configuration"]) == NAMES
    assert set(texts["network"]) == set(MANIFEST["ports"])
    for text in texts["configuration"].values():
        assert set(text) == {"name", "description"}
        assert text["name"].strip()
        assert text["description"].strip()


@pytest.mark.parametrize("language", LANGUAGES)
def test_option_names_are_unique_within_a_language(language: str) -> None:
    names = [text["name"] for text in LANGUAGES[language]["configuration"].values()]
    assert len(set(names)) == len(names)


def test_german_texts_are_translated_and_have_the_same_numbers() -> None:
    """A range or a default that changed shows here, where the text was not followed up."""
    german = LANGUAGES["de"]["configuration"]
    for name in NAMES:
        assert german[name]["description"] != ENGLISH[name]["description"]
        assert numbers(ENGLISH[name]["description"]) <= numbers(german[name]["description"]), name


def test_english_descriptions_say_what_the_default_means() -> None:
    for option in addon_options():
        text = ENGLISH[option.name]["description"]
        assert text.startswith(option.info.text[:20])
        assert (f"Default: {option.info.default}" in text) == (option.value is None)
        assert "flag" not in text
