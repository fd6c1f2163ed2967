"""Numbers in languages without a grammar of their own: what is left to the engine, and what never is."""

from __future__ import annotations

import pytest

from wyoming_tts.text.normalization.generic_numbers import GenericSpeller, number_signs

POLISH = GenericSpeller("pl", {"numbers": {"point": "przecinek"}, "words": {"minus": "minus"}})
RUSSIAN = GenericSpeller(
    "ru",
    {
        "numbers": {
            "point": "запятая",
            "cardinals": {"m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
        },
        "words": {"minus": "минус"},
    },
)
CHINESE = GenericSpeller(
    "zh",
    {
        "numbers": {"point": "点", "integers": "words", "ordinal_rules": {"": "spellout-ordinal"}},
        "words": {"minus": "负"},
    },
)


def test_integers_are_left_to_the_engine() -> None:
    assert POLISH.cardinal(21) == "21"
    assert POLISH.cardinal("007") == "7"
    assert POLISH.year(1984) == "1984"


def test_sign_point_and_decimals_are_said() -> None:
    assert POLISH.cardinal(-5) == "minus 5"
    assert POLISH.decimal("-20.35") == "minus 20 przecinek 3 5"
    assert POLISH.decimal("0.05") == "0 przecinek 0 5"
    assert POLISH.decimal(".5") == "0 przecinek 5"


def test_integers_can_be_spelled() -> None:
    assert CHINESE.cardinal(-21) == "负 二十一"
    assert CHINESE.decimal("1.5") == "一 点 五"
    assert CHINESE.digits("-105") == "负 一 〇 五"


def test_a_gender_with_a_rule_set_is_spelled() -> None:
    assert RUSSIAN.cardinal(2, gender="m") == "два"
    assert RUSSIAN.cardinal(2, gender="f") == "две"
    assert RUSSIAN.cardinal(2, gender="n") == "2"


def test_decimals_may_be_said_as_a_number() -> None:
    speller = GenericSpeller("sv", {"numbers": {"point": "komma", "decimals": "number"}})
    assert speller.decimal("3.05") == "3 komma 0 5"
    assert speller.decimal("3.25") == "3 komma 25"
    assert speller.decimal("3.00") == "3 komma 0 0"


def test_ordinals_need_rules() -> None:
    assert POLISH.ordinal(3) == "3"
    assert not POLISH.has_ordinals
    assert CHINESE.ordinal(3) == "第三"


def test_a_number_without_a_name_is_said_digit_by_digit() -> None:
    assert CHINESE.cardinal("1" * 16) == " ".join("一" * 16)


@pytest.mark.parametrize("text", ["", "x", "1-", "1.5.2"])
def test_what_is_no_number_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not an integer"):
        POLISH.decimal(text)


def test_the_words_for_signs_are_those_of_the_cldr() -> None:
    assert number_signs("pl") == ("minus", "przecinek")
    assert number_signs("ja")[0] == "マイナス"
    assert number_signs("eu") == ("", "")
