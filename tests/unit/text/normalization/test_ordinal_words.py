from __future__ import annotations

import pytest

from wyoming_tts.text.normalization.ordinal_words import OrdinalWords

CARDINALS = {20: "dwadzieścia", 100: "sto", 300: "trzysta", 2000: "dwa tysiące", 3000: "trzy tysiące"}
WORDS = {1: "pierwszy", 2: "drugi", 20: "dwudziesty", 100: "setny", 2000: "dwutysięczny"}
ENDINGS = {"f": [["gi\\b", "ga"], ["y\\b", "a"]]}


def ordinals(**entries: object) -> OrdinalWords:
    data = {"ordinal_words": WORDS, "ordinal_endings": ENDINGS, **entries}
    return OrdinalWords(data, lambda number: CARDINALS.get(number, str(number)))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, "pierwszy"),
        (22, "dwudziesty drugi"),
        (102, "sto drugi"),
        (2000, "dwutysięczny"),
        (2022, "dwa tysiące dwudziesty drugi"),
    ],
)
def test_the_last_part_of_a_number_is_the_ordinal(number: int, expected: str) -> None:
    assert ordinals(ordinal_compound="{tens} {units}").spell(number) == expected


def test_endings_make_other_genders_of_every_word_of_the_ordinal() -> None:
    assert ordinals(ordinal_compound="{tens} {units}").spell(2022, "f") == "dwa tysiące dwudziesta druga"


def test_tens_are_cardinals_unless_the_compound_says_otherwise() -> None:
    assert ordinals().spell(21) == "dwadzieścia pierwszy"
    assert ordinals(ordinal_compound="{cardinal_units}in{tens}").spell(21) == "1indwudziesty"


def test_a_number_without_a_word_for_its_ordinal_is_a_cardinal() -> None:
    assert ordinals().spell(300) == "trzysta"
    assert ordinals().spell(3000) == "trzy tysiące"
    assert ordinals().spell(0) == "0"


def test_a_language_without_words_has_no_ordinals() -> None:
    assert not OrdinalWords({}, str)
    assert ordinals()
