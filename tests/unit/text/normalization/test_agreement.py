from __future__ import annotations

import pytest

from wyoming_tts.text.normalization import TextNormalizer

RUSSIAN = TextNormalizer("ru")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Есть 1 лампа, 2 лампы и 5 ламп", "Есть одна лампа, две лампы и пять ламп"),
        ("Есть 21 окно и 11 окон", "Есть двадцать одно окно и одиннадцать окон"),
        ("Ждать 2–3 минуты", "Ждать две – три минуты"),
    ],
)
def test_a_number_takes_the_gender_of_the_noun_behind_it(text: str, expected: str) -> None:
    assert RUSSIAN.normalize(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Сегодня 21 января", "Сегодня двадцать первое января"),
        ("Есть 2 кВт", "Есть два киловатта"),
        ("Есть 2 тыс. рублей", "Есть две тысячи рублей"),
        ("Жителей 1 234 561", "Жителей один миллион двести тридцать четыре тысячи пятьсот шестьдесят один"),
    ],
)
def test_dates_units_scales_and_groups_of_digits_are_no_nouns(text: str, expected: str) -> None:
    assert RUSSIAN.normalize(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("До 5 ламп", "До пяти ламп"),
        ("Около 1 минуты", "Около одной минуты"),
        ("Ниже -5 °C", "Ниже минус пяти градусов Цельсия"),
        ("До 1 км", "До одного километра"),
        ("До 300 ₽", "До трёхсот рублей"),
        ("До 2,5 км", "До две целых пять десятых километра"),
    ],
)
def test_a_preposition_asks_for_the_genitive_of_whole_numbers(text: str, expected: str) -> None:
    assert RUSSIAN.normalize(text) == expected
